"""Daily closes of the time before the demo market opened: invented, seeded, and ending at its reference prices.

A one-factor market with industries: each day's log return is `beta × market + industry + own`, volatile by a
GARCH(1, 1) of the market (Bollerslev 1986), cut at the day's price limit. So risk figures have something to work
with on the first day; they are as invented as the companies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
from smartex.matching.v1.types_pb2 import Instrument

_DAILY_MARKET = 0.011
_DAILY_INDUSTRY = 0.007
_DAILY_OWN = {0: 0.012, 1: 0.003, 2: 0.008, 3: 0.012, 4: 0.018, 5: 0.024}
_DAILY_TURNOVER = 40_000_000.0


@dataclass(frozen=True)
class Close:
    """The last price of a day."""

    instrument_id: int
    day: date
    price: Decimal
    """Of a unit, on the tick."""
    volume: float
    """Units traded."""


def past_closes(instruments: Sequence[Instrument], today: date, days: int, seed: int) -> list[Close]:
    """Closes of the `days` weekdays before `today`, oldest first, the last at the reference price."""
    random = np.random.default_rng(seed)
    returns = _returns(instruments, days, random)
    # Backwards from the reference: the price before a day's return r is price / e^r.
    levels = np.exp(np.cumsum(returns[:, ::-1], axis=1)[:, ::-1] * -1)
    levels = np.concatenate([levels[:, 1:], np.ones((len(instruments), 1))], axis=1)
    turnover = _DAILY_TURNOVER * np.exp(random.normal(0, 0.35, returns.shape) + 15 * np.abs(returns))
    dates = weekdays_before(today, days)
    closes = []
    for row, instrument in enumerate(instruments):
        tick = Decimal(instrument.tick_size)
        for column, day in enumerate(dates):
            ticks = max(1, round(instrument.reference_price_ticks * float(levels[row, column])))
            price = ticks * tick
            closes.append(Close(instrument.instrument_id, day, price, turnover[row, column] / float(price)))
    return closes


def weekdays_before(today: date, count: int) -> list[date]:
    """The last `count` days from Monday to Friday before `today`, oldest first."""
    found: list[date] = []
    day = today
    while len(found) < count:
        day -= timedelta(days=1)
        if day.weekday() < 5:
            found.append(day)
    return found[::-1]


def _returns(
    instruments: Sequence[Instrument], days: int, random: np.random.Generator
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Log returns, instruments × days."""
    market = _market(days, random)
    industries = sorted({each.industry for each in instruments})
    by_industry = {name: random.normal(0, _DAILY_INDUSTRY, days) for name in industries}
    rows = []
    for each in instruments:
        beta = 0.6 + 0.2 * each.risk_level
        own = random.standard_t(5, days) * _DAILY_OWN[min(each.risk_level, 5)] * np.sqrt(3 / 5)
        limit = np.log1p(each.price_limit_ppm / 1e6) if each.price_limit_ppm else np.inf
        rows.append(np.clip(beta * market + by_industry[each.industry] + own, -limit, limit))
    return np.array(rows)


def _market(days: int, random: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Returns of the market, whose volatility comes in clusters."""
    persistence, shock = 0.90, 0.08
    mean_variance = _DAILY_MARKET**2
    variance, returns = mean_variance, np.empty(days)
    for day in range(days):
        returns[day] = random.normal(0.0002, np.sqrt(variance))
        variance = (
            mean_variance * (1 - persistence - shock) + shock * returns[day] ** 2 + persistence * variance
        )
    return returns
