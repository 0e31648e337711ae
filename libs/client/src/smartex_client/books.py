"""A book kept up to date from a subscription."""

from __future__ import annotations

from smartex.matching.v1 import market_data_pb2 as md
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1.types_pb2 import Instrument

from . import model
from .convert import from_lots, from_ns, from_ticks
from .words import word

Levels = dict[int, tuple[int, int]]
"""Price in ticks → lots, orders."""


class BookGap(Exception):  # noqa: N818 - not a failure: it says to subscribe again
    """An update does not continue what came before: something was missed."""


class LocalBook:
    """The book of one instrument: `apply` every update of an L2 or L3 subscription, then read it.

    In ticks and lots in `bids`, `asks` (price → lots, orders) and, with L3, `orders` (in order of priority);
    in people's units from `book()`.
    """

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.sequence = 0
        self.bids: Levels = {}
        self.asks: Levels = {}
        self.orders: dict[int, md.RestingOrder] = {}
        self._last_price = 0
        self._state = types.TRADING_STATE_UNSPECIFIED
        self._time_ns = 0
        self._known = False

    def apply(self, update: md.BookSnapshot | md.LevelUpdate | md.OrderUpdate) -> None:
        """Take a snapshot or a change. BookGap if a change does not continue from here."""
        if isinstance(update, md.BookSnapshot):
            self._start(update)
            return
        if not self._known or update.previous_sequence != self.sequence:
            raise BookGap(
                f"{self.instrument.symbol}: at {self.sequence}, the update continues {update.previous_sequence}"
            )
        if isinstance(update, md.LevelUpdate):
            _change(self.bids, update.bids)
            _change(self.asks, update.asks)
            self._last_price = update.last_price_ticks
        else:
            self._last_price = 0  # a change of orders does not tell it
            for order in update.orders:
                self._change_order(order)
        self.sequence, self._time_ns = update.sequence, update.market_time_ns

    def levels(self, side: str, depth: int | None = None) -> tuple[model.Level, ...]:
        """The levels of "buy" or "sell", best first."""
        buying = side == "buy"
        levels = self.bids if buying else self.asks
        return tuple(
            model.Level(
                from_ticks(self.instrument, price),
                from_lots(self.instrument, levels[price][0]),
                levels[price][1],
            )
            for price in sorted(levels, reverse=buying)[:depth]
        )

    def book(self, depth: int | None = None) -> model.Book:
        """The book as it stands."""
        return model.Book(
            symbol=self.instrument.symbol,
            sequence=self.sequence,
            bids=self.levels("buy", depth),
            asks=self.levels("sell", depth),
            last_price=from_ticks(self.instrument, self._last_price) if self._last_price else None,
            state=word(types.TradingState, self._state),
            time=from_ns(self._time_ns),
        )

    def _start(self, snapshot: md.BookSnapshot) -> None:
        self.sequence, self._time_ns, self._known = snapshot.sequence, snapshot.market_time_ns, True
        self._last_price, self._state = snapshot.last_price_ticks, snapshot.trading_state
        self.bids, self.asks, self.orders = {}, {}, {}
        if snapshot.orders:
            for order in snapshot.orders:
                self._change_order(order)
        else:
            _change(self.bids, snapshot.bids)
            _change(self.asks, snapshot.asks)

    def _change_order(self, order: md.RestingOrder) -> None:
        """An unknown order comes last at its price; at another price, or after its removal, so does a known one."""
        before = self.orders.get(order.order_id)
        if before is not None:
            self._count(before, -before.quantity_lots, -1)
            if not order.quantity_lots or before.price_ticks != order.price_ticks:
                del self.orders[order.order_id]
        if order.quantity_lots:
            self.orders[order.order_id] = order
            self._count(order, order.quantity_lots, 1)

    def _count(self, order: md.RestingOrder, lots: int, orders: int) -> None:
        levels = self.bids if order.side == types.SIDE_BUY else self.asks
        old_lots, old_orders = levels.get(order.price_ticks, (0, 0))
        if old_orders + orders:
            levels[order.price_ticks] = (old_lots + lots, old_orders + orders)
        else:
            levels.pop(order.price_ticks, None)


def _change(levels: Levels, changes: object) -> None:
    for level in changes:  # type: ignore[attr-defined]
        if level.quantity_lots:
            levels[level.price_ticks] = (level.quantity_lots, level.order_count)
        else:
            levels.pop(level.price_ticks, None)
