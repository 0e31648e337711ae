"""Confidence intervals from sums over clusters of observations that depend on each other.

A habit's figure is a function of sums (of gains realised, of days at risk, ...). What one day, week or position
adds is one row; rows are nearly independent, what is in a row is not. Leaving out one row at a time then
gives the figure's standard error whatever the dependence within the rows (delete-one-group jackknife; Efron and
Stein 1981; Miller 1974), and Student's t with as many degrees of freedom as there are rows to spare gives the width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy

from .habit import Estimate
from .records import Floats, Integers

Figure = Callable[[Floats], Floats]
"""From sums, the last axis of an array, to the figure."""


@dataclass(frozen=True)
class Link:
    """The scale on which a figure's error is nearly symmetric, there and back."""

    there: Callable[[Floats], Floats]
    back: Callable[[Floats], Floats]


PLAIN = Link(lambda figure: figure, lambda figure: figure)
LOG = Link(np.log, np.exp)


def cluster_sums(clusters: Integers, columns: Floats) -> Floats:
    """Rows of `columns` summed by cluster: an array of clusters x columns, without empty clusters."""
    _, places = np.unique(clusters, return_inverse=True)
    sums = np.zeros((places.max() + 1 if len(places) else 0, columns.shape[1]))
    np.add.at(sums, places, columns)
    return sums


def ratio(sums: Floats) -> Floats:
    """The first sum over the second."""
    return np.asarray(sums[..., 0] / sums[..., 1])


def ratio_difference(sums: Floats) -> Floats:
    """The first sum over the second, less the third over the fourth."""
    return np.asarray(sums[..., 0] / sums[..., 1] - sums[..., 2] / sums[..., 3])


def ratio_of_ratios(sums: Floats) -> Floats:
    """The first sum over the second, divided by the third over the fourth."""
    return np.asarray(sums[..., 0] / sums[..., 1] / (sums[..., 2] / sums[..., 3]))


def jackknife(
    figure: Figure, sums: Floats, confidence: float, link: Link = PLAIN, size: int | None = None
) -> Estimate | None:
    """The figure of all sums and its interval; None if it is not defined, or hangs on a single cluster.

    Where clusters differ much, `size` is the column with their size: few large ones then count as few (Kish 1965).
    """
    rows = sums[np.any(sums != 0, axis=1)]
    if len(rows) < 2:
        return None
    total = rows.sum(axis=0)
    with np.errstate(all="ignore"):
        value = float(figure(total))
        centre = float(link.there(np.float64(value)))  # type: ignore[arg-type]
        left_out = link.there(figure(total - rows))
    if not np.isfinite(centre) or not np.isfinite(left_out).all():
        return None
    width = quantile(confidence, freedom(rows, size)) * _error(left_out)
    low, high = link.back(np.array([centre - width, centre + width]))
    return Estimate(value, float(low), float(high))


def freedom(sums: Floats, size: int | None = None) -> float:
    """Degrees of freedom of an error from so many clusters, counted by size if it is given; at least 1."""
    if size is None:
        return len(sums) - 1.0
    sizes = sums[:, size]
    return max(1.0, float(sizes.sum() ** 2 / (sizes**2).sum()) - 1.0)


def _error(left_out: Floats) -> float:
    count = len(left_out)
    return float(np.sqrt((count - 1) / count * np.sum((left_out - left_out.mean()) ** 2)))


def share(sums: Floats, confidence: float) -> Estimate | None:
    """The first sum over the second, a share of at most 1.

    Wilson's score interval (1927) with the effective sample that the jackknife's error implies (Korn and
    Graubard 1998): it stays within 0 and 1, and is no point where nothing or everything was counted.
    """
    rows = sums[sums[:, 1] > 0]
    if len(rows) < 2:
        return None
    total = rows.sum(axis=0)
    part = float(total[0] / total[1])
    variance = _error(ratio(total - rows)) ** 2
    size = part * (1 - part) / variance if variance > 0 else float(len(rows))
    low, high = score_interval(part, size, quantile(confidence, freedom(rows)))
    return Estimate(part, low, high)


def concentration(
    clusters: Integers, groups: Integers, weights: Floats, even: float, confidence: float
) -> Estimate | None:
    """The chance that two weighted observations of different clusters are of the same group.

    It is the Herfindahl index of the groups' shares, without its bias from small samples and from clusters (a
    U-statistic; Hoeffding 1948). `even` is its least value, one over the number of groups that there are.
    """
    names, place = np.unique(groups, return_inverse=True)
    columns = np.zeros((len(groups), len(names)))
    columns[np.arange(len(groups)), place] = weights
    sums = cluster_sums(clusters, columns)
    squares = np.stack([(sums**2).sum(axis=1), sums.sum(axis=1) ** 2], axis=1)
    return _around_even(np.hstack([sums, squares]), even, confidence)


def _around_even(columns: Floats, even: float, confidence: float) -> Estimate | None:
    """The index with an interval that also holds where the shares are nearly even and its error depends on itself.

    With the shares' distance from even ones squared, d = index - even, and the variance s of shares in one direction,
    the variance of the index is 4 s d + 2 (1 / even - 1) s^2. The interval holds the d from which the one found is
    not too far (inverted as Wilson's is): the roots of a quadratic.
    """
    plain = jackknife(_same_group, columns, confidence)
    if plain is None:
        return None
    t = quantile(confidence, freedom(columns))
    distance, others = plain.value - even, max(1.0 / even - 1.0, 1.0)
    left_out = columns[:, :-2].sum(axis=0) - columns[:, :-2]
    shares = left_out / left_out.sum(axis=1, keepdims=True)
    spread = sum(_error(column) ** 2 for column in shares.T) / others
    if distance > 4 * spread:  # far enough to know the direction, and the variance in it
        error = (plain.high - plain.value) / t
        spread = max(spread, (error**2 - 2 * others * spread**2) / (4 * distance))
    low, high = _not_too_far(distance, spread, others, t)
    if low <= 0.0:
        # Even shares can be refuted from one side only, so they are by the quantile of one side.
        one_sided = quantile(2 * confidence - 1, freedom(columns))
        refuted = _not_too_far(distance, spread, others, one_sided)[0] > 0.0
        low = float(np.spacing(even)) if refuted else 0.0
    return Estimate(plain.value, min(even + low, 1.0), min(max(even + high, even), 1.0))


def _not_too_far(distance: float, spread: float, others: float, t: float) -> tuple[float, float]:
    """The least and greatest distance from even shares from which the one found is no more than `t` errors away."""
    middle = distance + 2 * t * t * spread
    reach = t * np.sqrt(4 * spread * max(distance, 0.0) + (4 * t * t + 2 * others) * spread**2)
    return float(middle - reach), float(middle + reach)


def _same_group(sums: Floats) -> Floats:
    groups, same, pairs = sums[..., :-2], sums[..., -2], sums[..., -1]
    return np.asarray(((groups**2).sum(axis=-1) - same) / (groups.sum(axis=-1) ** 2 - pairs))


def score_interval(part: float, size: float, z: float) -> tuple[float, float]:
    """Wilson's interval of a share seen in an effective number of observations, which need not be whole."""
    centre = (part + z * z / (2 * size)) / (1 + z * z / size)
    width = z / (1 + z * z / size) * np.sqrt(part * (1 - part) / size + z * z / (4 * size * size))
    return max(0.0, float(centre - width)), min(1.0, float(centre + width))


def quantile(confidence: float, freedom: float) -> float:
    """How many standard errors an interval reaches to each side."""
    return float(scipy.special.stdtrit(freedom, 0.5 + confidence / 2))
