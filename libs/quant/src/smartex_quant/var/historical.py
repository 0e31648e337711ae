"""Historical simulation: the past days, brought to today's volatility, happen to today's portfolio."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from smartex_quant.arrays import FloatArray, IntArray, at_least, choice, fraction, positive
from smartex_quant.returns import RISKMETRICS_DECAY

from .order_weights import tail_weights
from .scenarios import FilteredScenarios, PlainScenarios, Scenarios
from .tail_risk import TailRisk, checked_history, checked_question


class Historical:
    """Scenarios from past returns; made once for a market, asked for any number of portfolios.

    returns: simple daily returns, shape (days, instruments), latest last, no holes (see `returns.complete`).

    scaling "ewma": filtered historical simulation. The portfolio's gain on each past day is multiplied by its
    volatility forecast for tomorrow over the forecast for that day (Hull & White, 1998), and the mean is taken out,
    since the residuals are to be innovations without drift (Barone-Adesi, Giannopoulos & Vosper, 1999). The filter
    is the portfolio's own, not each instrument's: the ratio of two noisy forecasts is too large on average, and that
    bias does not diversify away. The first BURN_IN_DAYS only start the forecasts. A day's forecast counts as at
    least 0.2 of the root mean square of all days, lest a day after a spell without trading be blown up.
    scaling "none": the days as they were, the plain method.

    Longer horizons: `paths` sums of days drawn with replacement by a generator of seed `seed`, so equal input
    gives equal figures and portfolios meet the same paths. Overlapping windows would give only days / horizon
    independent outcomes. The draw takes days as independent and volatility as flat, as EWMA forecasts it; gains
    are added up, not compounded, which keeps the figure homogeneous in the exposures.

    ES without scaling is coherent. With scaling it is homogeneous, but subadditive only as far as the forecasts of
    the parts agree with that of the whole.
    """

    def __init__(
        self,
        returns: ArrayLike,
        scaling: Literal["ewma", "none"] = "ewma",
        *,
        decay: float = RISKMETRICS_DECAY,
        paths: int = 10_000,
        seed: int = 0,
    ) -> None:
        self._returns = checked_history(returns)
        self._filtered = choice("scaling", scaling, ("ewma", "none")) == "ewma"
        self._decay = fraction("decay", decay)
        self._paths = int(positive("paths", paths))
        self._seed = seed

    def risk(self, exposures: ArrayLike, level: float = 0.99, horizon_days: int = 1) -> TailRisk:
        """VaR and ES of exposures in money (short is negative), one for each column of the returns.

        Raises HistoryTooShortError if fewer than 1 / (1 - level) days are left after the burn-in: the quantile would
        lie beyond the worst of them.
        """
        money = checked_question(exposures, self._returns.shape[1], level, horizon_days)
        scenarios = self._scenarios(money)
        count = len(scenarios.gains)
        at_least(round(1.0 / (1.0 - level)), scenarios.gains)
        if not scenarios.gains.any():
            return TailRisk.from_marginals(money, 0.0 * money, 0.0 * money, level, horizon_days)
        days = self._draw(count, horizon_days)
        worst_first = days[np.argsort(scenarios.gains[days].sum(axis=1), kind="stable")]
        var, es = (
            -scenarios.gradient(_weight_of_days(worst_first, weights, count))
            for weights in tail_weights(len(days), 1.0 - level)
        )
        return TailRisk.from_marginals(money, var, es, level, horizon_days)

    def _scenarios(self, money: FloatArray) -> Scenarios:
        if self._filtered:
            return FilteredScenarios(self._returns, money, self._decay)
        return PlainScenarios(self._returns, money)

    def _draw(self, count: int, horizon_days: int) -> IntArray:
        """Numbers of the past days of each outcome, shape (outcomes, horizon_days)."""
        if horizon_days == 1:
            return np.arange(count)[:, None]
        return np.random.default_rng(self._seed).integers(count, size=(self._paths, horizon_days))


def _weight_of_days(days: IntArray, weights: FloatArray, count: int) -> FloatArray:
    """Total weight of each past day, when the weight of an outcome goes to each of its days."""
    each = np.repeat(weights, days.shape[1])
    return np.bincount(days.ravel(), weights=each, minlength=count).astype(np.float64)
