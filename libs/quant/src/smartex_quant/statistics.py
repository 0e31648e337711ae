"""Intervals and ranks for figures of behaviour. Every interval is two-sided with the given confidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from .arrays import FloatArray, at_least, fraction, labels, series, vector
from .errors import HistoryTooShortError, InvalidInputError


class Interval(NamedTuple):
    """An estimate and the bounds of its confidence interval."""

    low: float
    estimate: float
    high: float


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Interval of a proportion by inverting the score test (Wilson, 1927); near nominal on average."""
    share = _proportion(successes, trials)
    z = _normal(confidence)
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    low = 0.0 if successes == 0 else float(centre - half)  # the ends are exact, but for rounding
    high = 1.0 if successes == trials else float(centre + half)
    return Interval(low, share, high)


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Exact interval of a proportion (Clopper & Pearson, 1934); covers at least nominally."""
    share = _proportion(successes, trials)
    tail = (1.0 - fraction("confidence", confidence)) / 2.0
    low = scipy.stats.beta.ppf(tail, successes, trials - successes + 1) if successes > 0 else 0.0
    high = scipy.stats.beta.ppf(1.0 - tail, successes + 1, trials - successes) if successes < trials else 1.0
    return Interval(float(low), share, float(high))


def mean(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean with Student's t interval (Student, 1908), mean +- t[n-1] s / sqrt(n)."""
    sample = vector("values", values)
    at_least(2, sample)
    error = float(sample.std(ddof=1) / np.sqrt(len(sample)))
    return _symmetric(float(sample.mean()), error, len(sample) - 1, confidence)


def winsorised_mean(values: ArrayLike, share: float = 0.05, confidence: float = 0.95) -> Interval:
    """Mean with the `share` at each end set to the nearest value kept, and its t interval (Dixon & Tukey, 1968).

    With g = floor(share n) and h = n - 2 g: error = (n - 1) / (h - 1) s_w / sqrt(n), h - 1 degrees of freedom.
    """
    sample = np.sort(vector("values", values))
    if not 0.0 <= share < 0.5:
        raise InvalidInputError("share", f"must be at least 0 and below 0.5, is {share}")
    cut = int(share * len(sample) + 1e-9)
    kept = len(sample) - 2 * cut
    if kept < 2:
        raise HistoryTooShortError(len(sample) + 2 - kept, len(sample))
    clipped = np.clip(sample, sample[cut], sample[len(sample) - 1 - cut])
    error = (len(sample) - 1) / (kept - 1) * clipped.std(ddof=1) / np.sqrt(len(sample))
    return _symmetric(float(clipped.mean()), float(error), kept - 1, confidence)


def ratio_of_means(
    numerators: ArrayLike,
    denominators: ArrayLike,
    clusters: Sequence[str] | None = None,
    confidence: float = 0.95,
) -> Interval:
    """sum(numerators) / sum(denominators) with an interval by the delta method (Cochran, 1977, ch. 6).

    Residuals u = y - R x, summed within clusters (rows that go together: one instrument, one day), give
    error = sqrt(G / (G - 1) sum u^2) / |sum x|, and t with G - 1 degrees of freedom. PGR and PLR are such ratios.
    """
    top = vector("numerators", numerators)
    bottom = vector("denominators", denominators, size=len(top))
    total = float(bottom.sum())
    if total == 0.0:
        raise InvalidInputError("denominators", "must not add up to zero")
    ratio = float(top.sum()) / total
    groups = _cluster_numbers(clusters, len(top))
    residuals = np.bincount(groups, weights=top - ratio * bottom).astype(np.float64)
    at_least(2, residuals)
    count = len(residuals)
    error = float(np.sqrt(count / (count - 1) * (residuals @ residuals))) / abs(total)
    return _symmetric(ratio, error, count - 1, confidence)


def bootstrap(
    rows: ArrayLike,
    statistic: Callable[[FloatArray], float],
    generator: np.random.Generator,
    *,
    clusters: Sequence[str] | None = None,
    confidence: float = 0.95,
    draws: int = 2000,
) -> Interval:
    """Percentile interval (Efron, 1979) of any statistic of the rows, with Hesterberg's (2015) expanded tails.

    With `clusters`, whole clusters are drawn (Davison & Hinkley, 1997, 3.8). The tail alpha / 2 becomes
    Phi(-sqrt(n / (n - 1)) t[n-1]), n rows or clusters, which makes up for the narrowness of small samples. A draw in
    which the statistic is NaN is left out; InvalidInputError if it is so in half of them.
    """
    values = series("rows", rows)
    groups = _cluster_numbers(clusters, len(values))
    order, sizes = np.argsort(groups, kind="stable"), np.bincount(groups)
    count = len(sizes)
    if count < 2:
        raise HistoryTooShortError(2, count)
    figures = np.array([statistic(values[order[_drawn(sizes, generator)]]) for _ in range(draws)])
    figures = figures[~np.isnan(figures)]
    if 2 * len(figures) < draws:
        raise InvalidInputError("statistic", "is not defined on half of the draws")
    expanded = -np.sqrt(count / (count - 1)) * _student(confidence, count - 1)
    tail = float(scipy.stats.norm.cdf(expanded))
    low, high = np.quantile(figures, [tail, 1.0 - tail])
    return Interval(float(low), float(statistic(values)), float(high))


def percentile_rank(value: float, peers: ArrayLike) -> float:
    """Percent of peers below the value, those equal to it counting half (mid-rank), 0 to 100."""
    others = vector("peers", peers)
    at_least(1, others)
    if not np.isfinite(value):
        raise InvalidInputError("value", "must be finite")
    return float(100.0 * (np.mean(others < value) + 0.5 * np.mean(others == value)))


def auc(positives: ArrayLike, negatives: ArrayLike, confidence: float = 0.95) -> Interval:
    """Chance that a positive scores above a negative, ties half, with the interval of DeLong et al. (1988).

    Variance from the placements: var(V10) / m + var(V01) / n, cut to 0..1. Where the scores separate fully that
    variance is zero and says nothing; the open end is then the exact one-sided bound of k = min(m, n) successes in k
    trials, (alpha / 2)^(1 / k), which is cautious.
    """
    hits, misses = vector("positives", positives), vector("negatives", negatives)
    at_least(2, hits)
    at_least(2, misses)
    ranks = scipy.stats.rankdata(np.concatenate([hits, misses]))
    of_hits = (ranks[: len(hits)] - scipy.stats.rankdata(hits)) / len(misses)
    of_misses = 1.0 - (ranks[len(hits) :] - scipy.stats.rankdata(misses)) / len(hits)
    area = float(of_hits.mean())
    half = _normal(confidence) * np.sqrt(
        of_hits.var(ddof=1) / len(hits) + of_misses.var(ddof=1) / len(misses)
    )
    bound = ((1.0 - confidence) / 2.0) ** (1.0 / min(len(hits), len(misses)))
    if half == 0.0 and area in (0.0, 1.0):
        return Interval(bound, area, 1.0) if area == 1.0 else Interval(0.0, area, 1.0 - bound)
    return Interval(max(0.0, float(area - half)), area, min(1.0, float(area + half)))


def _proportion(successes: int, trials: int) -> float:
    if trials < 1 or not 0 <= successes <= trials:
        raise InvalidInputError("successes", f"must be 0 to {trials} trials, is {successes}")
    return successes / trials


def _normal(confidence: float) -> float:
    return float(scipy.stats.norm.ppf((1.0 + fraction("confidence", confidence)) / 2.0))


def _student(confidence: float, degrees: int) -> float:
    return float(scipy.stats.t.ppf((1.0 + fraction("confidence", confidence)) / 2.0, degrees))


def _symmetric(estimate: float, error: float, degrees: int, confidence: float) -> Interval:
    half = _student(confidence, degrees) * error
    return Interval(estimate - half, estimate, estimate + half)


def _cluster_numbers(clusters: Sequence[str] | None, size: int) -> NDArray[np.intp]:
    if clusters is None:
        return np.arange(size)
    return np.unique(labels("clusters", clusters, size=size), return_inverse=True)[1]


def _drawn(sizes: NDArray[np.intp], generator: np.random.Generator) -> NDArray[np.intp]:
    """Positions of the members of as many clusters as there are, drawn with replacement; members lie side by side."""
    picked = generator.integers(len(sizes), size=len(sizes))
    starts, taken = (np.cumsum(sizes) - sizes)[picked], sizes[picked]
    before = np.cumsum(taken) - taken
    return np.asarray(np.arange(taken.sum()) + np.repeat(starts - before, taken))
