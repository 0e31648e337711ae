"""The risk of a portfolio now: every figure of the report, from holdings and the market's history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray
from smartex_quant import HistoryTooShortError, backtests, liquidity
from smartex_quant.drawdown import drawdown
from smartex_quant.returns import realised_volatility
from smartex_quant.var import Historical, Parametric, TailRisk

from positions.domain.risk.history import History
from positions.domain.risk.model import MarketRisk, betas_of
from positions.domain.risk.scenarios import Exposed, Scenario, Stressed, answer, house_scenarios

Floats = NDArray[np.float64]

HISTORICAL, PARAMETRIC = "historical", "parametric"
LEVELS = (0.95, 0.99)
HORIZONS = (1, 10)
DAYS_PER_YEAR = 244.0
GOOD_HISTORY = 250
BACKTEST_WINDOW = 250
BACKTEST_DAYS = 250
LEAST_BACKTEST_DAYS = 50
POOR_FIT = 0.05
"""A backtest with a smaller p-value is told among the caveats."""
PROXIED_MUCH = 0.05


@dataclass(frozen=True)
class Position:
    """A holding: units held, value in the base currency, spread as a share of the price (0: not known)."""

    instrument_id: int
    symbol: str
    value: float
    units: float
    spread: float = 0.0


@dataclass(frozen=True)
class Portfolio:
    """What is reported on. `growth` is the account's own curve, growth of one unit of money at the ends of days, oldest
    first; `drawdown` is how far it stands below its highest at this moment."""

    account_id: int
    sequence: int
    time_ns: int
    currency: str
    equity: float
    positions: Sequence[Position]
    growth: Sequence[float] = ()
    growth_ns: Sequence[int] = ()
    drawdown: float = 0.0
    other_currencies: bool = False
    unmarked: int = 0

    @property
    def values(self) -> dict[int, float]:
        """Value by instrument."""
        return {one.instrument_id: one.value for one in self.positions}


@dataclass(frozen=True)
class Tail:
    """A tail risk by a method."""

    method: str
    risk: TailRisk


@dataclass(frozen=True)
class Backtested:
    """How one-day forecasts of a method would have done."""

    method: str
    test: backtests.Backtest


@dataclass(frozen=True)
class Caveat:
    """Key of a sentence, and its values."""

    key: str
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class RiskReport:
    """All figures. `components` are those of the 1-day 95 % historical value at risk, one for each position."""

    portfolio: Portfolio
    days: int
    proxied_share: float
    tails: Sequence[Tail]
    components: Floats
    volatility: float
    beta: tuple[float, float, float]
    drawdown_now: float
    drawdown_worst: float
    stresses: Sequence[Stressed]
    exposed: Exposed
    days_to_leave: Floats
    cost_to_leave: Floats
    backtests: Sequence[Backtested]
    caveats: Sequence[Caveat]
    daily_gains: Floats
    """What today's holdings would have earned on each day of the history."""


def make_report(portfolio: Portfolio, risk: MarketRisk, scenarios: Sequence[Scenario] = ()) -> RiskReport:
    """Every figure; those that the history is too short for are left out and said so."""
    own = _own(risk.history, portfolio)
    exposures = own.exposures(portfolio.values)
    tails, tests = _tails(own, exposures), _backtests(own, exposures)
    first = next((tail.risk for tail in tails if tail.method == HISTORICAL), None)
    by_number = dict(
        zip(own.instrument_ids, () if first is None else first.component_var, strict=first is not None)
    )
    exposed = risk.exposed(portfolio.values)
    gains = own.returns @ exposures
    leave, cost = _liquidity(portfolio, own)
    proxied = _proxied(own, exposures)
    return RiskReport(
        portfolio=portfolio,
        days=own.days,
        proxied_share=proxied,
        tails=tails,
        components=np.array([by_number.get(one.instrument_id, 0.0) for one in portfolio.positions]),
        volatility=_volatility(gains, portfolio.equity),
        beta=_beta(gains, portfolio.equity, risk.history.market),
        drawdown_now=portfolio.drawdown,
        # One unit is what the account began with; and today is not at its end.
        drawdown_worst=max(portfolio.drawdown, drawdown([1.0, *portfolio.growth]).worst),
        stresses=[answer(exposed, one) for one in (*house_scenarios(exposed), *scenarios)],
        exposed=exposed,
        days_to_leave=leave,
        cost_to_leave=cost,
        backtests=tests,
        caveats=_caveats(portfolio, own, proxied, tests),
        daily_gains=gains,
    )


def _own(history: History, portfolio: Portfolio) -> History:
    known = [number for number in portfolio.values if number in history.instrument_ids]
    return history.columns(known)


def _tails(own: History, exposures: Floats) -> list[Tail]:
    if not own.enough or len(exposures) == 0:
        return []
    models: tuple[tuple[str, Historical | Parametric], ...] = (
        (HISTORICAL, Historical(own.returns)),
        (PARAMETRIC, Parametric(own.returns)),
    )
    asked = product(models, HORIZONS, LEVELS)
    found = (_tail(*model, exposures, level, horizon) for model, horizon, level in asked)
    return [tail for tail in found if tail is not None]


def _tail(
    method: str, model: Historical | Parametric, exposures: Floats, level: float, horizon: int
) -> Tail | None:
    """None where the quantile lies beyond the worst day of a short history."""
    try:
        return Tail(method, model.risk(exposures, level, horizon))
    except HistoryTooShortError:
        return None


def _backtests(own: History, exposures: Floats) -> list[Backtested]:
    """Rolling one-day forecasts of today's holdings over the last days of the history."""
    days = min(BACKTEST_DAYS, own.days - BACKTEST_WINDOW)
    if days < LEAST_BACKTEST_DAYS or len(exposures) == 0:
        return []
    recent = own.returns[-(days + BACKTEST_WINDOW) :]
    found = []
    for method, model in ((HISTORICAL, Historical), (PARAMETRIC, Parametric)):
        forecasts = backtests.rolling(
            recent, exposures[None, :], model, window=BACKTEST_WINDOW, levels=LEVELS
        )
        for at, level in enumerate(LEVELS):
            found.append(Backtested(method, backtests.evaluate(forecasts.violations[:, 0, at], level)))
    return found


def _volatility(gains: Floats, equity: float) -> float:
    if len(gains) < 2 or equity <= 0:
        return 0.0
    return float(realised_volatility(gains / equity, DAYS_PER_YEAR))


def _beta(gains: Floats, equity: float, market: Floats) -> tuple[float, float, float]:
    """Estimate, lower and upper end of its interval; zeros where it is not known."""
    estimates = betas_of((gains / equity)[:, None], market) if equity > 0 and len(gains) else None
    if estimates is None:
        return 0.0, 0.0, 0.0
    value, half = float(estimates.beta[0]), 1.96 * float(estimates.standard_error[0])
    return value, value - half, value + half


def _liquidity(portfolio: Portfolio, own: History) -> tuple[Floats, Floats]:
    volume_of = dict(zip(own.instrument_ids, own.volumes, strict=True))
    daily_of = dict(
        zip(own.instrument_ids, own.returns.std(axis=0) if own.days else own.volumes * 0, strict=True)
    )
    units = [one.units for one in portfolio.positions]
    volumes = [volume_of.get(one.instrument_id, 0.0) for one in portfolio.positions]
    if not units:
        return np.zeros(0), np.zeros(0)
    cost = liquidity.cost_to_leave(
        [one.value for one in portfolio.positions],
        units,
        volumes,
        [one.spread for one in portfolio.positions],
        [daily_of.get(one.instrument_id, 0.0) for one in portfolio.positions],
    )
    return liquidity.days_to_leave(units, volumes), cost


def _proxied(own: History, exposures: Floats) -> float:
    """Share of the return history that is a stand-in, weighted by exposure."""
    total = float(np.abs(exposures).sum())
    if total == 0 or own.days == 0:
        return 0.0
    return float(own.proxied.mean(axis=0) @ np.abs(exposures) / total)


def _caveats(portfolio: Portfolio, own: History, proxied: float, tests: Sequence[Backtested]) -> list[Caveat]:
    found = []
    if not own.enough and portfolio.positions:
        found.append(Caveat("no_history", {"days": own.days}))
    elif own.days < GOOD_HISTORY and portfolio.positions:
        found.append(Caveat("short_history", {"days": own.days}))
    if proxied > PROXIED_MUCH:
        found.append(Caveat("proxied", {"share": proxied}))
    if portfolio.other_currencies:
        found.append(Caveat("currency"))
    if portfolio.unmarked:
        found.append(Caveat("unmarked", {"count": portfolio.unmarked}))
    for one in tests:
        p = one.test.coverage.p_value
        if one.method == HISTORICAL and p < POOR_FIT:
            values = {
                "level": one.test.level,
                "violations": one.test.violations,
                "days": one.test.days,
                "p": p,
            }
            found.append(Caveat("backtest", values))
    return found
