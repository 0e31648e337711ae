"""What market data and history need of each other and of the rest: instruments, the core to read, the past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from smartex.matching.v1.types_pb2 import Instrument

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]


class Instruments(Protocol):
    """The catalogue of instruments."""

    def all(self) -> Sequence[Instrument]:
        """Every instrument, ascending by number."""

    def get(self, instrument_id: int) -> Instrument | None:
        """One instrument, or None."""


class Market(Protocol):
    """The core of this pod, read between two frames on the event loop."""

    @property
    def sequence(self) -> int:
        """Sequence of the last event."""

    @property
    def now(self) -> int:
        """Time of the market in nanoseconds."""

    def book(self, instrument_id: int, depth: int) -> tuple[Rows, Rows]:
        """Bids and asks, best first: rows of price, quantity and count."""

    def orders(self, instrument_id: int) -> Rows:
        """Resting orders, bids first, each side best first in priority."""

    def instrument(self, instrument_id: int) -> Any:
        """The row of an instrument: trading state, last price."""


@dataclass(frozen=True, slots=True)
class PastTrade:
    """A trade as the history tells it."""

    trade_id: int
    time_ns: int
    price_ticks: int
    quantity_lots: int
    taker_side: int
    maker_order_id: int
    taker_order_id: int


@dataclass(slots=True)
class Bar:
    """What traded in a span of time. `value_ticks` is the sum of price × lots, yet to be scaled."""

    start_ns: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    volume_lots: int
    value_ticks: int
    trade_count: int
    sequence: int


class Past(Protocol):
    """Trades and candles that were projected, each with the sequence up to which they go."""

    async def trades(self, instrument_id: int, before: int | None, limit: int) -> tuple[int, list[PastTrade]]:
        """Newest first, numbers below `before`."""

    async def candles(
        self, instrument_id: int, seconds: int, start_ns: int | None, end_ns: int | None, limit: int
    ) -> tuple[int, list[Bar]]:
        """Newest first, `start_ns` ≤ start < `end_ns`."""


class NoPast:
    """For a pod without a database: nothing but what is in memory."""

    async def trades(self, instrument_id: int, before: int | None, limit: int) -> tuple[int, list[PastTrade]]:
        """Nothing."""
        return 0, []

    async def candles(
        self, instrument_id: int, seconds: int, start_ns: int | None, end_ns: int | None, limit: int
    ) -> tuple[int, list[Bar]]:
        """Nothing."""
        return 0, []
