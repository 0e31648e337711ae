"""Portfolios of the past: the log is folded anew up to a moment, from the newest checkpoint before it, beside the live
book."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
from smartex_bus import Bus, OffsetTrimmed, StoredRecord
from smartex_chassis import OutOfRange, Overloaded
from smartex_wire import WireError, joined

from positions.checkpoints import Checkpoints
from positions.domain.book import Book, Listing, words
from positions.domain.figures import PortfolioView
from positions.intake import EVENTS_TOPIC, Read, Unfoldable, log_freshness, read_record
from positions.market import Definitions

_AT_ONCE = 2
_WAITING = 8
_WAIT_SECONDS = 2.0
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
        self._waiting = 0

    async def portfolio(self, account_id: int, moment: Moment) -> PortfolioView | None:
        """An account as it was, at the marks of then; None if there was none. OutOfRange if the log does not reach back
        to a checkpoint or to the beginning, or there is too much of it to be read."""
        await self._get_free()
        try:
            book = await self.book(moment)
        finally:
            self._free.release()
        now = book.time_ns if moment.time_ns == _LAST else moment.time_ns
        return book.view(account_id, log_freshness(now, self._stale_ns))

    async def _get_free(self) -> None:
        """Wait for a turn, but not so long that no time would be left for the answer."""
        if self._waiting < _WAITING:
            self._waiting += 1
            try:
                async with asyncio.timeout(_WAIT_SECONDS):
                    await self._free.acquire()
                    return
            except TimeoutError:
                pass
            finally:
                self._waiting -= 1
        raise Overloaded(
            "several portfolios of the past are being made: ask again in a moment",
            reason="TOO_MANY_REWINDS",
            retry_after=timedelta(seconds=_WAIT_SECONDS),
        )

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
        reads, more = self._until(moment, records, book.sequence)
        if reads and reads[-1].last_sequence > last:
            raise OutOfRange(
                f"this needs more than {self._max_events} events to be read: ask for an earlier moment, or look at "
                "the history",
                reason="TOO_FAR",
            )
        for group in _by_definitions(reads):
            self._fold_group(book, group)
        return more

    def _until(
        self, moment: Moment, records: Sequence[StoredRecord], sequence: int
    ) -> tuple[list[Read], bool]:
        """What of records comes after a sequence and not after the moment; whether there may be more."""
        reads: list[Read] = []
        for record in records:
            try:
                read = read_record(record, self._shard, sequence)
            except (WireError, Unfoldable):
                continue  # it was set aside when it came
            if not len(read.events):
                continue
            if read.time_ns > moment.time_ns or read.first_sequence > moment.sequence:
                return reads, False
            if read.last_sequence > moment.sequence:
                read = replace(read, events=read.events[: moment.sequence + 1 - read.first_sequence])
            reads.append(read)
            sequence = read.last_sequence
        return reads, True

    def _fold_group(self, book: Book, reads: Sequence[Read]) -> None:
        """Fold what no instrument is defined amid."""
        known = book.listing.rules
        events = joined([read.events for read in reads])
        named = np.unique(events["instrument_id"]).tolist()
        rules = self._definitions.rules(reads[-1].last_sequence, named)
        book.learn(rule for rule in rules if known.get(rule.instrument_id) != rule)
        ends = np.cumsum([len(read.events) for read in reads])
        first_sequences, times_ns = np.array([(read.first_sequence, read.time_ns) for read in reads]).T.copy()
        book.fold_batches(events, ends, first_sequences, times_ns)


def _by_definitions(reads: Sequence[Read]) -> Iterator[Sequence[Read]]:
    """Groups of reads, each but the first beginning with one in which an instrument is defined."""
    defining = [
        at for at, read in enumerate(reads) if (read.events["kind"] == words.INSTRUMENT_DEFINED).any()
    ]
    for begin, end in pairwise(sorted({0, *defining, len(reads)})):
        yield reads[begin:end]


def _trimmed() -> OutOfRange:
    return OutOfRange("the log does not reach back so far any more", reason="LOG_TRIMMED")
