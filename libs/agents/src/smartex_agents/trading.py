"""The participants at work: each sends commands at its own rate until it is cancelled."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np

from .desk import Desk
from .floor import Floor
from .quoting import Style, changes, ladder
from .taking import momentum_intent, noise_intent

_ORDER_WORTH = {"CNY": 60_000.0, "USD": 8_000.0}
_FULL_INVENTORY = 400  # orders of ordinary size
_OPEN_ORDERS = 12  # that a noise trader leaves in one book
_LEAST_PAUSE = 0.01  # seconds


class Trader(ABC):
    """Takes turns at random times such that `rate` commands a second come out of it."""

    def __init__(self, desk: Desk, floor: Floor, rng: np.random.Generator, rate: float) -> None:
        self.desk = desk
        self.floor = floor
        self.rng = rng
        self._rate = rate

    async def run(self) -> None:
        """Trade until cancelled."""
        numbers = sorted(self.floor.rules)
        while True:
            for number in self.rng.permutation(numbers):
                sent = await self.turn(int(number))
                pause = max(1, sent) / self._rate * self.rng.exponential()
                await asyncio.sleep(max(_LEAST_PAUSE, pause))

    @abstractmethod
    async def turn(self, number: int) -> int:
        """Do something about an instrument; the number of commands sent."""

    def ordinary_lots(self, number: int) -> float:
        """The size of an ordinary order in lots."""
        instrument = self.floor.instruments[number]
        price = self.floor.value(number) * float(instrument.tick_size)
        return _ORDER_WORTH.get(instrument.currency_code, 10_000.0) / (price * float(instrument.lot_size))


class MarketMaker(Trader):
    """Quotes both sides of what it believes an instrument to be worth."""

    def __init__(
        self,
        desk: Desk,
        floor: Floor,
        rng: np.random.Generator,
        rate: float,
        inventory: Mapping[int, int],
        style: Style,
    ) -> None:
        super().__init__(desk, floor, rng, rate)
        self._before = dict(inventory)
        self._style = style

    async def turn(self, number: int) -> int:
        """Move the quotes of an instrument to where they belong now."""
        lots = self.ordinary_lots(number)
        inventory = self._before.get(number, 0) + self.desk.position[number]
        # Makers see the same value, each a little differently.
        value = self.floor.value(number) * (1 + 0.0002 * self.rng.standard_normal())
        wanted = ladder(
            self.floor.rules[number], value, lots, inventory / (lots * _FULL_INVENTORY), self._style
        )
        cancels, places = changes(self.desk.resting[number], wanted)
        return await self.desk.change(number, cancels, places)


class NoiseTrader(Trader):
    """Buys and sells for reasons of its own."""

    async def turn(self, number: int) -> int:
        """Send one random order; take the oldest off where too many rest."""
        rules, best = self.floor.rules[number], self.floor.best[number]
        intent = noise_intent(self.rng, rules, best, self.ordinary_lots(number) * 0.5)
        if intent is None:
            return 0
        return await self.desk.trade(number, intent, self.desk.oldest(number, _OPEN_ORDERS - 1))


class MomentumTrader(Trader):
    """Follows trends."""

    async def turn(self, number: int) -> int:
        """Take with the trend, if there is one."""
        rules, best, trend = self.floor.rules[number], self.floor.best[number], self.floor.trend[number]
        intent = momentum_intent(self.rng, rules, best, trend, self.ordinary_lots(number) * 0.3)
        return 0 if intent is None else await self.desk.trade(number, intent)
