"""Did the forecasts of VaR hold? Rolling forecasts out of sample, and the tests of what they missed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy
from numpy.typing import ArrayLike

from .arrays import BoolArray, FloatArray, at_least, fraction, matrix, vector
from .errors import HistoryTooShortError, InvalidInputError
from .var import TailRisk


class Model(Protocol):
    """What is backtested: `var.Historical`, `var.Parametric` or any other with this method."""

    def risk(self, exposures: ArrayLike, level: float, horizon_days: int = 1) -> TailRisk:
        """VaR and ES of the exposures."""
        ...


@dataclass(frozen=True)
class Forecasts:
    """What was forecast for each day, and what came. Money, loss positive.

    `var` has shape (days, portfolios, levels), `losses` (days, portfolios). Row i is day window + i of the history.
    """

    levels: tuple[float, ...]
    var: FloatArray
    losses: FloatArray

    @property
    def violations(self) -> BoolArray:
        """Whether the loss was above VaR, shape (days, portfolios, levels)."""
        return self.losses[:, :, None] > self.var


@dataclass(frozen=True)
class Likelihood:
    """A likelihood ratio and the chance of one as large if the model is right."""

    statistic: float
    p_value: float


@dataclass(frozen=True)
class Backtest:
    """One run of violations against its level; `band` is the range of counts that Kupiec's test accepts."""

    level: float
    days: int
    violations: int
    expected: float
    band: tuple[int, int]
    coverage: Likelihood
    independence: Likelihood
    conditional_coverage: Likelihood

    @property
    def in_band(self) -> bool:
        """Whether the count lies within the band."""
        return self.band[0] <= self.violations <= self.band[1]


def rolling(
    returns: ArrayLike,
    portfolios: ArrayLike,
    model: Callable[[FloatArray], Model],
    *,
    window: int = 500,
    levels: tuple[float, ...] = (0.95, 0.99),
) -> Forecasts:
    """Forecast each day's VaR of each portfolio from the `window` days before it, and nothing else.

    returns (days, instruments) without holes; portfolios (portfolios, instruments) of constant exposures in
    money; `model` makes a model of a window of returns.
    """
    rows = matrix("returns", returns)
    money = matrix("portfolios", portfolios, columns=rows.shape[1])
    at_least(window + 1, rows)
    forecasts = np.empty((len(rows) - window, len(money), len(levels)))
    for day in range(len(forecasts)):
        fitted = model(rows[day : day + window])
        forecasts[day] = [[fitted.risk(own, level).var for level in levels] for own in money]
    return Forecasts(levels, forecasts, -(rows[window:] @ money.T))


def evaluate(violations: ArrayLike, level: float, confidence: float = 0.95) -> Backtest:
    """All tests of one run of violations (true or 1 where the loss was above VaR), oldest first."""
    hits = _hits(violations)
    miss = 1.0 - fraction("level", level)
    return Backtest(
        level,
        len(hits),
        int(hits.sum()),
        len(hits) * miss,
        kupiec_band(len(hits), level, confidence),
        kupiec(int(hits.sum()), len(hits), level),
        christoffersen_independence(hits),
        conditional_coverage(hits, level),
    )


def kupiec(violations: int, days: int, level: float) -> Likelihood:
    """Proportion of failures (Kupiec, 1995): is the share of violations 1 - level?

    LR = -2 ln [(1-p)^(n-x) p^x / ((1-x/n)^(n-x) (x/n)^x)], chi-squared with one degree of freedom.
    """
    miss = 1.0 - fraction("level", level)
    if days < 1 or not 0 <= violations <= days:
        raise InvalidInputError("violations", f"must be 0 to {days} days, is {violations}")
    share = violations / days
    return _ratio(_bernoulli(violations, days, miss), _bernoulli(violations, days, share), degrees=1)


def kupiec_band(days: int, level: float, confidence: float = 0.95) -> tuple[int, int]:
    """Least and most violations that Kupiec's test does not reject at 1 - confidence, both included."""
    if days < 1:
        raise InvalidInputError("days", f"must be at least 1, is {days}")
    miss = 1.0 - fraction("level", level)
    counts = np.arange(days + 1)
    ratio = -2.0 * (_bernoulli(counts, days, miss) - _bernoulli(counts, days, counts / days))
    passed = np.flatnonzero(ratio <= scipy.stats.chi2.ppf(fraction("confidence", confidence), 1))
    return int(passed[0]), int(passed[-1])


def christoffersen_independence(violations: ArrayLike) -> Likelihood:
    """Do violations come in clusters (Christoffersen, 1998)? First-order Markov chain against independence.

    LR = -2 [l(pi) - l(pi01, pi11)], chi-squared with one degree of freedom for many pairs of violations in a row.
    Where few are to be expected (1000 days at 95 %: 2.5) it rejects a right model too often, 8 % of the time for 5 %.
    A run without violations has nothing to test: statistic 0, p 1.
    """
    calm, stormy = _transitions(_hits(violations))
    together = _bernoulli(
        calm[1] + stormy[1], calm[0] + stormy[0], _share(calm[1] + stormy[1], calm[0] + stormy[0])
    )
    apart = _bernoulli(calm[1], calm[0], _share(calm[1], calm[0]))
    apart += _bernoulli(stormy[1], stormy[0], _share(stormy[1], stormy[0]))
    return _ratio(together, apart, degrees=1)


def conditional_coverage(violations: ArrayLike, level: float) -> Likelihood:
    """Right share and independent at once (Christoffersen, 1998): LR_cc = LR_pof + LR_ind, two degrees of freedom."""
    hits = _hits(violations)
    statistic = kupiec(int(hits.sum()), len(hits), level).statistic
    statistic += christoffersen_independence(hits).statistic
    return Likelihood(statistic, float(scipy.stats.chi2.sf(statistic, 2)))


def _hits(violations: ArrayLike) -> BoolArray:
    hits = vector("violations", violations)
    if len(hits) == 0:
        raise HistoryTooShortError(1, 0)
    if not np.isin(hits, (0.0, 1.0)).all():
        raise InvalidInputError("violations", "must be true or false")
    return hits.astype(bool)


def _transitions(hits: BoolArray) -> tuple[tuple[int, int], tuple[int, int]]:
    """(days, violations) of the days after a calm day and of those after a violation."""
    before, after = hits[:-1], hits[1:]
    return (int((~before).sum()), int(after[~before].sum())), (int(before.sum()), int(after[before].sum()))


def _share(count: int, total: int) -> float:
    return count / total if total else 0.0


def _bernoulli(count: ArrayLike, total: int, probability: ArrayLike) -> FloatArray:
    """Log likelihood of `count` in `total`, with 0 ln 0 = 0."""
    successes = np.asarray(count, dtype=np.float64)
    chance = np.asarray(probability, dtype=np.float64)
    return np.asarray(
        scipy.special.xlogy(successes, chance) + scipy.special.xlog1py(total - successes, -chance)
    )


def _ratio(restricted: FloatArray, free: FloatArray, degrees: int) -> Likelihood:
    statistic = max(0.0, float(-2.0 * (restricted - free)))
    return Likelihood(statistic, float(scipy.stats.chi2.sf(statistic, degrees)))
