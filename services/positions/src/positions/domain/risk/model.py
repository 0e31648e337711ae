"""Models of tail risk that advice and alerts ask: by the market's history, or flat where there is too little of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from smartex_quant.beta import MIN_DAYS as BETA_DAYS
from smartex_quant.beta import Beta, beta, vasicek
from smartex_quant.var import Historical, Parametric, TailRisk

from positions.domain.risk.history import History
from positions.domain.risk.scenarios import Exposed, Scenario, answer, house_scenarios

Floats = NDArray[np.float64]

LEVEL = 0.95
FLAT_DAILY_VOLATILITY = 0.02
"""Assumed of every instrument where history is too short, all moving together."""
_QUANTILE = 1.645  # of the normal distribution at 95 %


class MarketRisk:
    """Tail risk by the history of all instruments; made once a day, asked for any portfolio."""

    def __init__(self, history: History, limits: Mapping[int, float]) -> None:
        self.history = history
        self._limits = limits
        self.known = history.enough

    def value_at_risk(self, values: Mapping[int, float]) -> float:
        """1-day 95 % value at risk of holdings in money, historical with scaling. 0 for none."""
        if not self.known:
            return _QUANTILE * FLAT_DAILY_VOLATILITY * sum(abs(value) for value in values.values())
        return max(0.0, self.tail(values, LEVEL, 1).var)

    def marginals(self, values: Mapping[int, float]) -> Mapping[int, float]:
        """Change of the value at risk for one more unit of money in each holding."""
        flat = _QUANTILE * FLAT_DAILY_VOLATILITY
        if not self.known:
            return dict.fromkeys(values, flat)
        slopes = self.tail(values, LEVEL, 1).marginal_var
        of = dict(zip(self.history.instrument_ids, slopes.tolist(), strict=True))
        return {number: of.get(number, flat) for number in values}

    def screen(self, exposures: Floats) -> Floats:
        """1-day 95 % value at risk of many portfolios at once, quickly: rows of money by the columns of the history.

        Normal, by the shrunk covariance; the flat assumption where the history is short.
        """
        if not self.known:
            return np.asarray(_QUANTILE * FLAT_DAILY_VOLATILITY * np.abs(exposures).sum(axis=1))
        variance = np.einsum("ij,ij->i", exposures @ self.parametric.covariance, exposures)
        return np.asarray(_QUANTILE * np.sqrt(np.maximum(variance, 0.0)))

    def worst_stress(self, values: Mapping[int, float]) -> float:
        """Change of value in the worst of the house's scenarios; 0 without holdings."""
        exposed = self.exposed(values)
        return min((answer(exposed, one).change for one in house_scenarios(exposed)), default=0.0)

    def tail(self, values: Mapping[int, float], level: float, horizon_days: int) -> TailRisk:
        """Historical value at risk and expected shortfall. Raises HistoryTooShortError."""
        return self.historical.risk(self.history.exposures(values), level, horizon_days)

    def stressed(self, values: Mapping[int, float], scenario: Scenario) -> float:
        """Change of value in one scenario."""
        return answer(self.exposed(values), scenario).change

    def exposed(self, values: Mapping[int, float]) -> Exposed:
        """Holdings as the scenarios see them."""
        numbers = list(values)
        place = {number: at for at, number in enumerate(self.history.instrument_ids)}
        known = [place.get(number, -1) for number in numbers]
        return Exposed(
            numbers,
            [self.history.industries[at] if at >= 0 else "" for at in known],
            np.array([values[number] for number in numbers]),
            np.array([self.betas[at] if at >= 0 else 1.0 for at in known]),
            np.array([self._limits.get(number) or np.nan for number in numbers]),
        )

    @cached_property
    def historical(self) -> Historical:
        """Filtered historical simulation over all instruments."""
        return Historical(self.history.returns)

    @cached_property
    def parametric(self) -> Parametric:
        """Shrunk covariance over all instruments."""
        return Parametric(self.history.returns)

    @cached_property
    def betas(self) -> Floats:
        """Beta of each instrument to the market, drawn towards one; one for all where history is short."""
        estimates = betas_of(self.history.returns, self.history.market)
        return np.ones(len(self.history.instrument_ids)) if estimates is None else vasicek(estimates)


def betas_of(returns: Floats, market: Sequence[float] | Floats) -> Beta | None:
    """Betas of columns, or None where there are too few days or the market stood still."""
    if len(returns) < BETA_DAYS or np.ptp(market) == 0:
        return None
    return beta(returns, market)
