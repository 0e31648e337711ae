"""The model of the market's risk, made from daily closes in a thread and kept until there are new ones."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import numpy as np

from positions.domain.risk import MarketRisk, build_history
from positions.naming import Instruments
from positions.prices import Closes, Prices

HISTORY_DAYS = 1000


class Markets:
    """Gives the model; makes it once for all who ask at the same time."""

    def __init__(self, prices: Prices, instruments: Instruments) -> None:
        self._prices = prices
        self._instruments = instruments
        self._lock = asyncio.Lock()
        self._risk: MarketRisk | None = None
        self.version = 0
        """Grows whenever the closes have changed: what was computed before is old."""

    def changed(self) -> None:
        """Say that there are new closes or instruments."""
        self._risk = None
        self.version += 1

    async def risk(self) -> MarketRisk:
        """The model by the closes of now."""
        async with self._lock:
            if self._risk is None:
                closes = await self._prices.closes(days=HISTORY_DAYS)
                industries, limits = self._instruments.industries(), self._instruments.price_limits()
                version = self.version
                made = await asyncio.to_thread(_make, closes, industries, limits)
                if version != self.version:
                    return made  # closes came in meanwhile: the next one who asks has it made anew
                self._risk = made
            return self._risk


def _make(closes: Closes, industries: Mapping[int, str], limits: Mapping[int, float]) -> MarketRisk:
    numbers = sorted(industries)
    prices = np.full((len(closes.days), len(numbers)), np.nan)
    volumes = prices.copy()
    for at, number in enumerate(numbers):
        if number in closes.instrument_ids:
            column = closes.instrument_ids.index(number)
            prices[:, at], volumes[:, at] = closes.prices[:, column], closes.volumes[:, column]
    history = build_history(prices, volumes, numbers, [industries[number] for number in numbers])
    return MarketRisk(history, limits)
