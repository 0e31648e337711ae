"""Portfolios of the past: the log is folded anew up to a moment, from the newest checkpoint before it, beside the live
book."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from smartex_bus import Bus, OffsetTrimmed, StoredRecord
from smartex_chassis import OutOfRange, Overloaded
from smartex_wire import WireError

from positions.checkpoints import Checkpoints
from positions.domain.book import Book, Listing
from positions.domain.figures import PortfolioView
from positions.intake import EVENTS_TOPIC, Read, Unfoldable, log_freshness, read_record
from positions.market import Definitions

_AT_ONCE = 2
_WAITING = 8
_LAST = 2**63 - 1


@dataclass(frozen=True)
class Moment:
    """The last event not after both."""

    time_ns: int = _LAST
    sequence: int = _LAST


class Rewind:
    """Answers a few at a time; a caller who leaves ends the work. What it costs is bounded by `max_events`."""

    def __init__(
        self,
        bus: Bus,
        definitions: Definitions,
        checkpoints: Checkpoints,
        shard: int,
        listing: Listing,
        stale_ns: int,
        max_events: int,
    ) -> None:
        self._bus = bus
        self._definitions = definitions
        self._checkpoints = checkpoints
        self._shard = shard
        self._listing = listing
        self._stale_ns = stale_ns
        self._max_events = max_events
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._asked = 0

    async def portfolio(self, account_id: int, moment: Moment) -> PortfolioView | None:
        """An account as it was, at the marks of then; None if there was none. OutOfRange if the log does not reach back
        to a checkpoint or to the beginning, or there is too much of it to be read."""
        if self._asked >= _WAITING:
            raise Overloaded(
                "several portfolios of the past are being made: ask again", reason="TOO_MANY_REWINDS"
            )
        self._asked += 1
        try:
            async with self._free:
                book = await self.book(moment)
        finally:
            self._asked -= 1
        now = book.time_ns if moment.time_ns == _LAST else moment.time_ns
        return book.view(account_id, log_freshness(now, self._stale_ns))

    async def book(self, moment: Moment, *, from_beginning: bool = False) -> Book:
        """The whole book as it was; `from_beginning`: by the log alone, to hold something else against it."""
        book = Book(Listing([], self._listing.rates, self._listing.base))
        offset = 0 if from_beginning else await self._restore(book, moment)
        if 0 < book.sequence == moment.sequence:
            return book
        last = book.sequence + self._max_events
        earliest, end = await self._bus.offsets(EVENTS_TOPIC, self._shard)
        if offset < earliest:
            raise _trimmed()
        while offset < end:
            try:
                records = await self._bus.read(EVENTS_TOPIC, self._shard, offset)
            except OffsetTrimmed:
                raise _trimmed() from None
            if not await asyncio.to_thread(self._fold, book, records, moment, last):
                break
            offset = records[-1].offset + 1
        return book

    async def _restore(self, book: Book, moment: Moment) -> int:
        """Begin with the newest checkpoint that is not after a moment; where the log goes on after it."""
        kept = await self._checkpoints.before(moment.sequence, moment.time_ns)
        if kept is None:
            return 0
        rules = self._definitions.rules(kept.sequence, kept.rows.instrument_numbers.tolist())
        await asyncio.to_thread(book.restore, kept.rows, rules)
        return kept.next_offset

    def _fold(self, book: Book, records: Sequence[StoredRecord], moment: Moment, last: int) -> bool:
        """Fold records up to the moment, and not beyond the event `last`; whether the moment may come later."""
        for record in records:
            try:
                read = read_record(record, self._shard, book.sequence)
            except (WireError, Unfoldable):
                continue  # it was set aside when it came
            if not len(read.events):
                continue
            if read.time_ns > moment.time_ns or read.first_sequence > moment.sequence:
                return False
            if read.last_sequence > last:
                raise OutOfRange(
                    f"this needs more than {self._max_events} events to be read: ask for an earlier moment, or look at "
                    "the history",
                    reason="TOO_FAR",
                )
            self._fold_one(book, read, moment.sequence)
        return True

    def _fold_one(self, book: Book, read: Read, last: int) -> None:
        events: Any = (
            read.events[: last - read.first_sequence + 1] if last < read.last_sequence else read.events
        )
        named = np.unique(events["instrument_id"]).tolist()
        known = book.listing.rules
        rules = self._definitions.rules(read.last_sequence, named)
        book.learn(rule for rule in rules if known.get(rule.instrument_id) != rule)
        book.fold(events, read.first_sequence, read.time_ns)


def _trimmed() -> OutOfRange:
    return OutOfRange("the log does not reach back so far any more", reason="LOG_TRIMMED")
