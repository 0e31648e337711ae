"""Books as subscribers saw them last, and what changed since.

A state of a book is immutable and shared by all who were sent it. What leads from one state to the newest is
made once and sent to everybody who stands at that state, so readers of the same speed share bytes, and a slow
one gets the sum of what it missed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from smartex.matching.v1.market_data_pb2 import BookSnapshot, Quote

from matching.marketdata import messages
from matching.marketdata.messages import LevelTuple
from matching.sources import Market

_KEPT_DIFFERENCES = 64
"""States of which the way to the newest is kept, for each book."""


@dataclass(frozen=True, slots=True)
class BookState:
    """The best levels of a book as of a sequence."""

    sequence: int
    bids: tuple[LevelTuple, ...]
    asks: tuple[LevelTuple, ...]
    last_price_ticks: int
    trading_state: int
    time_ns: int


def read_state(market: Market, instrument_id: int, depth: int) -> BookState:
    """The book now."""
    bids, asks = market.book(instrument_id, depth)
    row = market.instrument(instrument_id)
    return BookState(
        market.sequence,
        messages.levels(bids),
        messages.levels(asks),
        int(row["last_price_ticks"]),
        int(row["trading_state"]),
        market.now,
    )


def to_snapshot(instrument_id: int, state: BookState, sequence: int | None = None) -> BookSnapshot:
    """A state as a message; `sequence` if it is to be another than the state's."""
    return BookSnapshot(
        instrument_id=instrument_id,
        sequence=state.sequence if sequence is None else sequence,
        bids=messages.level_messages(state.bids),
        asks=messages.level_messages(state.asks),
        last_price_ticks=state.last_price_ticks,
        trading_state=state.trading_state,  # type: ignore[arg-type]
        market_time_ns=state.time_ns,
    )


def changed_levels(old: tuple[LevelTuple, ...], new: tuple[LevelTuple, ...]) -> list[LevelTuple]:
    """Levels that are new or other than they were, then those that are gone (quantity 0)."""
    if old == new:
        return []
    before = set(old)
    prices = {level[0] for level in new}
    changed = [level for level in new if level not in before]
    return changed + [(price, 0, 0) for price, _, _ in old if price not in prices]


class View(ABC):
    """One book at one depth, for all who subscribe to it."""

    def __init__(self, market: Callable[[], Market], instrument_id: int, depth: int) -> None:
        self._market = market
        self._instrument_id = instrument_id
        self._depth = depth
        self._stale = True
        self._state: BookState | None = None
        self._snapshot: bytes | None = None
        self._from: dict[int, bytes | None] = {}
        self.users = 0

    def touch(self) -> None:
        """The book may have changed."""
        self._stale = True

    def newest(self) -> BookState:
        """The state now; the same object as long as nothing to see has changed."""
        if self._stale or self._state is None:
            self._stale = False
            state = read_state(self._market(), self._instrument_id, self._depth)
            if self._state is None or not _same(self._state, state):
                self._state = state
                self._snapshot = None
                self._from.clear()
        return self._state

    def snapshot(self) -> bytes:
        """The newest state as a first message."""
        state = self.newest()
        if self._snapshot is None:
            self._snapshot = messages.snapshot(to_snapshot(self._instrument_id, state))
        return self._snapshot

    def update(self, seen: BookState) -> bytes | None:
        """What leads from `seen` to the newest state; None if there is nothing to tell."""
        newest = self.newest()
        if newest is seen:
            return None
        key = id(seen)  # the subscriber holds `seen`, so no other state has its id
        if key not in self._from:
            if len(self._from) >= _KEPT_DIFFERENCES:
                self._from.clear()
            self._from[key] = self._difference(seen, newest)
        return self._from[key]

    @abstractmethod
    def _difference(self, seen: BookState, newest: BookState) -> bytes | None: ...


class LevelView(View):
    """Levels (L2)."""

    def _difference(self, seen: BookState, newest: BookState) -> bytes | None:
        if newest.trading_state != seen.trading_state:
            # An update cannot say it: the reader starts again from a snapshot.
            return self.snapshot()
        return messages.level_update(
            self._instrument_id,
            newest.sequence,
            seen.sequence,
            changed_levels(seen.bids, newest.bids),
            changed_levels(seen.asks, newest.asks),
            newest.time_ns,
            newest.last_price_ticks,
        )


class QuoteView(View):
    """Best prices (L1)."""

    def __init__(self, market: Callable[[], Market], instrument_id: int) -> None:
        super().__init__(market, instrument_id, 1)

    def _difference(self, seen: BookState, newest: BookState) -> bytes | None:
        bid, ask = newest.bids[:1], newest.asks[:1]
        return messages.quote(
            Quote(
                instrument_id=self._instrument_id,
                sequence=newest.sequence,
                bid_price_ticks=bid[0][0] if bid else 0,
                bid_quantity_lots=bid[0][1] if bid else 0,
                ask_price_ticks=ask[0][0] if ask else 0,
                ask_quantity_lots=ask[0][1] if ask else 0,
                last_price_ticks=newest.last_price_ticks,
                trading_state=newest.trading_state,  # type: ignore[arg-type]
                market_time_ns=newest.time_ns,
            )
        )


def _same(old: BookState, new: BookState) -> bool:
    return (
        old.bids == new.bids
        and old.asks == new.asks
        and old.last_price_ticks == new.last_price_ticks
        and old.trading_state == new.trading_state
    )
