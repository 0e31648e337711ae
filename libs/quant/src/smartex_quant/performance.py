"""How well it went: ratios of returns and of closed trades."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .arrays import FloatArray, at_least, positive, vector
from .drawdown import drawdown, growth
from .errors import InvalidInputError

_FLAT = 1e-12


@dataclass(frozen=True)
class Performance:
    """Figures of a run of periodic returns, annualised. A ratio whose denominator is zero is NaN: it says nothing."""

    annual_return: float
    volatility: float
    sharpe: float
    sortino: float
    max_drawdown: float
    calmar: float


@dataclass(frozen=True)
class Trades:
    """Figures of closed trades.

    `hit_rate` is the share with a gain, breaking even counting as none. `payoff` is the mean gain over the mean loss,
    `profit_factor` all gains over all losses; both are NaN without a gain or without a loss.
    """

    count: int
    hit_rate: float
    mean_gain: float
    mean_loss: float
    payoff: float
    profit_factor: float


def performance(returns: ArrayLike, periods_per_year: float = 252.0, risk_free: float = 0.0) -> Performance:
    """Performance of simple returns of equal periods.

    annual_return: geometric, (prod (1 + r))^(periods / n) - 1. volatility: sample deviation * sqrt(periods).
    sharpe: mean excess over the sample deviation of it * sqrt(periods) (Sharpe, 1994). sortino: mean excess over
    the root mean square of its negative part * sqrt(periods) (Sortino & Price, 1994). calmar: annual return over
    maximum drawdown (Young, 1991). risk_free is the rate of one period.
    """
    rows = vector("returns", returns)
    at_least(2, rows)
    if (rows < -1.0).any():
        raise InvalidInputError("returns", "must be at least -1")
    root = np.sqrt(positive("periods_per_year", periods_per_year))
    excess = rows - risk_free
    index = growth(rows)
    annual = float(index[-1] ** (periods_per_year / len(rows)) - 1.0)
    worst = drawdown(index).worst
    below = float(np.sqrt(np.mean(np.minimum(excess, 0.0) ** 2)))
    return Performance(
        annual,
        float(rows.std(ddof=1) * root),
        _ratio(float(excess.mean() * root), float(excess.std(ddof=1))),
        _ratio(float(excess.mean() * root), below),
        worst,
        _ratio(annual, worst),
    )


def trades(profits: ArrayLike) -> Trades:
    """Hit rate and payoff of the profits of closed trades, in money."""
    each = vector("profits", profits)
    at_least(1, each)
    gains, losses = each[each > 0.0], -each[each < 0.0]
    gain, loss = _mean(gains), _mean(losses)
    factor = _ratio(float(gains.sum()), float(losses.sum())) if len(gains) else float("nan")
    return Trades(len(each), len(gains) / len(each), gain, loss, _ratio(gain, loss), factor)


def turnover(bought: float, sold: float, mean_equity: float, years: float = 1.0) -> float:
    """Yearly turnover, (bought + sold) / 2 / mean equity / years (Barber & Odean, 2000). Money at least zero."""
    if min(bought, sold) < 0.0:
        raise InvalidInputError("bought and sold", "must not be negative")
    return (bought + sold) / 2.0 / positive("mean_equity", mean_equity) / positive("years", years)


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _ratio(numerator: float, denominator: float) -> float:
    """Quotient, NaN where the denominator is zero but for rounding."""
    return numerator / denominator if denominator > _FLAT else float("nan")
