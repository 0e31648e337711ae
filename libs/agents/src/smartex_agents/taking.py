"""What noise and momentum traders do when it is their turn. Pure: a turn depends on its arguments only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from smartex.matching.v1.types_pb2 import (
    SIDE_BUY,
    SIDE_SELL,
    TIME_IN_FORCE_DAY,
    TIME_IN_FORCE_IOC,
)

from .rules import Rules

_WIDEST = 1.02  # best ask over best bid


@dataclass(frozen=True, slots=True)
class Best:
    """The best of both sides in ticks; 0 where there is none."""

    bid: int = 0
    ask: int = 0

    @property
    def orderly(self) -> bool:
        """Whether both sides are there and near each other: one does not trade before the makers quote."""
        return 0 < self.bid < self.ask <= self.bid * _WIDEST


@dataclass(frozen=True, slots=True)
class Intent:
    """A limit order that a trader wants to send."""

    side: int
    price: int
    lots: int
    time_in_force: int


@dataclass
class Trend:
    """A fast and a slow average of the mid price."""

    fast: float = 0.0
    slow: float = 0.0

    def see(self, best: Best, seconds: float) -> None:
        """Take in the prices after `seconds`."""
        if not best.orderly:
            return
        mid = (best.bid + best.ask) / 2
        if not self.slow:
            self.fast = self.slow = mid
        self.fast += (mid - self.fast) * min(1.0, seconds / 10)
        self.slow += (mid - self.slow) * min(1.0, seconds / 60)

    @property
    def strength(self) -> float:
        """How far the fast average is above the slow one, as a share of it."""
        return self.fast / self.slow - 1 if self.slow else 0.0


def noise_intent(rng: np.random.Generator, rules: Rules, best: Best, lots: float) -> Intent | None:
    """A random order: a side by chance; half of them take, half rest near the best price of their side."""
    if not best.orderly:
        return None
    side = SIDE_BUY if rng.random() < 0.5 else SIDE_SELL
    takes, depth = rng.random() < 0.5, rng.exponential(0.001)
    size = rules.lots(lots * rng.lognormal(0.0, 0.8))
    if takes:
        return _taking(rules, best, side, size, through=0.0005)
    price = (
        rules.at_most(best.bid * (1 - depth)) if side == SIDE_BUY else rules.at_least(best.ask * (1 + depth))
    )
    return None if price is None else Intent(side, price, size, TIME_IN_FORCE_DAY)


def momentum_intent(
    rng: np.random.Generator, rules: Rules, best: Best, trend: Trend, lots: float, threshold: float = 0.0008
) -> Intent | None:
    """Take with the trend when it is strong enough, more the stronger it is; else do nothing."""
    strength = trend.strength
    if abs(strength) < threshold or not best.orderly:
        return None
    size = rules.lots(lots * min(3.0, abs(strength) / threshold) * rng.lognormal(0.0, 0.5))
    return _taking(rules, best, SIDE_BUY if strength > 0 else SIDE_SELL, size, through=0.001)


def _taking(rules: Rules, best: Best, side: int, lots: int, through: float) -> Intent | None:
    """An order that takes up to `through` beyond the best opposite price; None if the day does not allow it."""
    opposite = best.ask if side == SIDE_BUY else best.bid
    price = (
        rules.at_most(opposite * (1 + through))
        if side == SIDE_BUY
        else rules.at_least(opposite * (1 - through))
    )
    return None if price is None else Intent(side, price, lots, TIME_IN_FORCE_IOC)
