"""A market for the read side's tests: the reference model, read the way the core is, and readers that believe
what they are told."""

from collections.abc import Iterable, Iterator
from dataclasses import astuple, fields
from decimal import Decimal
from typing import Any

import numpy as np
from matching.event_rows import EVENT
from matching.marketdata.feed import Feed
from matching.marketdata.settings import MarketDataSettings
from matching.marketdata.subscribers import Subscriber
from matching.sources import Rows
from reference.flows import Flow
from reference.profiles import PROFILES
from reference.records import Event
from reference.state import Order
from smartex.matching.v1.market_data_pb2 import SubscribeResponse
from smartex.matching.v1.types_pb2 import Instrument

LEVEL = np.dtype([("price_ticks", "i8"), ("quantity_lots", "i8"), ("order_count", "i8")])
ORDER = np.dtype([("order_id", "i8"), ("side", "u1"), ("price_ticks", "i8"), ("leaves_lots", "i8")])
STATE = np.dtype([("trading_state", "u1"), ("last_price_ticks", "i8")])
CURRENCIES = ["CNY", "USD", *(f"C{letter}X" for letter in "ABCDEFGHIJKLMN")]
_NAMES = [field.name for field in fields(Event)]


def rows_of(events: list[Event]) -> Rows:
    """The model's events as rows of the event log."""
    rows = np.zeros(len(events), EVENT)
    for at, event in enumerate(events):
        for name, value in zip(_NAMES, astuple(event), strict=True):
            rows[at][name] = value
    return rows


def levels_of(orders: list[Order], depth: int) -> list[tuple[int, int, int]]:
    """The best levels of orders that are in priority."""
    found: dict[int, tuple[int, int]] = {}
    for order in orders:
        lots, count = found.get(order.price, (0, 0))
        found[order.price] = (lots + order.leaves, count + 1)
    return [(price, *rest) for price, rest in found.items()][:depth]


class ModelMarket:
    """The model behind the face of the core, and its own catalogue."""

    def __init__(self, seed: int, profile: int = 1) -> None:
        self.flow = Flow(seed, PROFILES[profile])
        self._market = self.flow.market

    @property
    def sequence(self) -> int:
        return self._market.sequence

    @property
    def now(self) -> int:
        return self._market.now

    def book(self, instrument_id: int, depth: int) -> tuple[Rows, Rows]:
        instrument = self._market.instruments[instrument_id]
        bids, asks = (np.array(levels_of(side, depth), LEVEL) for side in (instrument.bids, instrument.asks))
        return bids, asks

    def orders(self, instrument_id: int) -> Rows:
        return np.array(self.order_tuples(instrument_id), ORDER)

    def order_tuples(self, instrument_id: int) -> list[tuple[int, int, int, int]]:
        instrument = self._market.instruments[instrument_id]
        return [
            (order.order_id, order.side, order.price, order.leaves)
            for order in instrument.bids + instrument.asks
        ]

    def instrument(self, instrument_id: int) -> Rows:
        instrument = self._market.instruments[instrument_id]
        rows: Rows = np.array([(instrument.trading_state, instrument.last_price)], STATE)
        return rows[0]  # type: ignore[no-any-return]

    def all(self) -> list[Instrument]:
        return [found for found in map(self.get, sorted(self._market.instruments)) if found]

    def get(self, instrument_id: int) -> Instrument | None:
        if instrument_id not in self._market.instruments:
            return None
        rules = self._market.instruments[instrument_id].rules
        return Instrument(
            instrument_id=instrument_id,
            symbol=f"I{instrument_id}",
            currency_code=CURRENCIES[rules.currency_id],
            tick_size=str(Decimal(rules.tick_value) / 1_000_000),
            lot_size="1",
        )

    def currency_id(self, code: str) -> int | None:
        return CURRENCIES.index(code) if code in CURRENCIES else None

    def currency_code(self, currency_id: int) -> str:
        return CURRENCIES[currency_id]

    def feed(self, settings: MarketDataSettings | None = None) -> Feed:
        return Feed(lambda: self, self, settings or MarketDataSettings())

    def frames(self, commands: int) -> Iterator[tuple[int, int, Rows]]:
        """First sequence, time and events of each frame, after the model has applied it."""
        for _, events in self.flow.frames(commands):
            yield self.sequence - len(events) + 1, self.now, rows_of(events)


def drain(subscriber: Subscriber) -> Iterator[SubscribeResponse]:
    """Everything that the subscriber has to say now."""
    while (data := subscriber.take()) is not None:
        yield SubscribeResponse.FromString(data)


class OrderReader:
    """Believes an L3 subscription: keeps the orders of every instrument, and checks the chain."""

    def __init__(self) -> None:
        self.orders: dict[int, dict[int, tuple[int, int, int]]] = {}
        self.sequences: dict[int, int] = {}
        self.resumed_at = 0
        self.last = 0
        self.complete = False

    def hear(self, messages: Iterable[SubscribeResponse]) -> None:
        for message in messages:
            if message.HasField("heartbeat"):
                self.complete = True
                self.last = message.heartbeat.sequence
            elif message.HasField("snapshot"):
                book = message.snapshot
                self.orders[book.instrument_id] = {}
                self.sequences[book.instrument_id] = book.sequence
                self._apply(book.instrument_id, book.orders)
                self.last = max(self.last, book.sequence)
            else:
                update = message.orders
                before = self.sequences.get(update.instrument_id)
                fits = update.previous_sequence == before or update.previous_sequence <= self.resumed_at
                assert fits, (update, before)
                assert update.sequence >= self.last, "messages come in the order of the market"
                self.sequences[update.instrument_id] = self.last = update.sequence
                self._apply(update.instrument_id, update.orders)

    def _apply(self, instrument_id: int, orders: Iterable[object]) -> None:
        book = self.orders.setdefault(instrument_id, {})
        for order in orders:
            known = book.get(order.order_id)  # type: ignore[attr-defined]
            if order.quantity_lots == 0:  # type: ignore[attr-defined]
                book.pop(order.order_id, None)  # type: ignore[attr-defined]
                continue
            if known is not None and known[1] != order.price_ticks:  # type: ignore[attr-defined]
                del book[order.order_id]  # type: ignore[attr-defined]
            book[order.order_id] = (order.side, order.price_ticks, order.quantity_lots)  # type: ignore[attr-defined]

    def in_priority(self, instrument_id: int) -> list[tuple[int, int, int, int]]:
        """Bids, then asks, best first: the order of arrival decides within a price."""
        book = self.orders.get(instrument_id, {})
        rows = [(order_id, *rest) for order_id, rest in book.items()]
        bids = sorted((row for row in rows if row[1] == 1), key=lambda row: -row[2])
        asks = sorted((row for row in rows if row[1] == 2), key=lambda row: row[2])
        return bids + asks


Levels = dict[int, tuple[int, int]]


class LevelReader:
    """Believes an L2 subscription."""

    def __init__(self) -> None:
        self.books: dict[int, tuple[Levels, Levels]] = {}
        self.sequences: dict[int, int] = {}

    def hear(self, message: SubscribeResponse) -> int:
        if message.HasField("snapshot"):
            update: Any = message.snapshot
            self.books[update.instrument_id] = ({}, {})
        else:
            update = message.levels
            assert update.previous_sequence == self.sequences[update.instrument_id]
        self.sequences[update.instrument_id] = update.sequence
        for side, levels in zip(self.books[update.instrument_id], (update.bids, update.asks), strict=True):
            for level in levels:
                if level.quantity_lots == 0:
                    del side[level.price_ticks]
                else:
                    side[level.price_ticks] = (level.quantity_lots, level.order_count)
        return int(update.instrument_id)

    def sides(self, instrument_id: int) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
        bids, asks = self.books[instrument_id]
        return (
            [(price, *bids[price]) for price in sorted(bids, reverse=True)],
            [(price, *asks[price]) for price in sorted(asks)],
        )
