"""A market maker's quotes: a ladder on both sides of a value, and how to get there from what rests. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from smartex.matching.v1.types_pb2 import SIDE_BUY, SIDE_SELL

from .rules import Rules


@dataclass(frozen=True, slots=True)
class Quote:
    """A limit order that should rest, or does."""

    side: int
    price: int
    lots: int


@dataclass(frozen=True, slots=True)
class Style:
    """How a market maker quotes."""

    levels: int = 5
    half_spread: float = 0.0006
    """Distance of the best quote from the value, as a share of it."""
    gap: float = 0.0005
    """Distance between two levels, as a share of the value."""
    growth: float = 1.4
    """How much larger each level is than the one before it."""
    skew: float = 0.004
    """How far the quotes move against a full inventory, as a share of the value."""


def ladder(rules: Rules, value: float, lots: float, inventory: float, style: Style) -> tuple[Quote, ...]:
    """The quotes around `value` (in ticks), `lots` at the best level; buys below sells, no price twice.

    `inventory` runs from -1 (short of all that one is willing to lack) to 1 (long): quotes move against it, so
    that the next trade likely brings it back. Prices that the day does not allow are left out.
    """
    tilt = 1 - style.skew * min(1.0, max(-1.0, inventory))
    centre = min(max(value * tilt, rules.lowest), rules.highest)
    buys: dict[int, Quote] = {}
    sells: dict[int, Quote] = {}
    for level in range(style.levels):
        distance = style.half_spread + level * style.gap
        size = rules.lots(lots * style.growth**level)
        buy, sell = rules.at_most(centre * (1 - distance)), rules.at_least(centre * (1 + distance))
        if buy is not None:
            buys.setdefault(buy, Quote(SIDE_BUY, buy, size))
        if sell is not None:
            sells.setdefault(sell, Quote(SIDE_SELL, sell, size))
    return (*buys.values(), *sells.values())


def changes(
    resting: Mapping[int, Quote], wanted: Iterable[Quote], *, refill_below: float = 0.5
) -> tuple[list[int], list[Quote]]:
    """Which orders to cancel (by their key) and which to place, so that `wanted` rests.

    An order that rests at a wanted price stays, and keeps its place in the queue, until less than `refill_below`
    of what is wanted there is left of it.
    """
    missing = {(quote.side, quote.price): quote for quote in wanted}
    cancels = []
    for key, order in resting.items():
        quote = missing.get((order.side, order.price))
        if quote is not None and order.lots >= quote.lots * refill_below:
            del missing[order.side, order.price]
        else:
            cancels.append(key)
    return cancels, list(missing.values())
