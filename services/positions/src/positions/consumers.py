"""Follows the event log: folds it into the live book, and writes rows, position and what follows from them together.

    records → definitions known → fold (in a thread) → one transaction: position, rows, fills, points, alerts

Every pod folds, for queries; one writes, by a lease. The book in memory may be ahead of the rows: what was folded while
one transaction was under way goes into the next, so under load transactions grow and the figures do not wait. After a
failure, and whenever a pod becomes the writer, the book is read back as of the rows' position and the log from there
on, so a repeat has no effect.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

import structlog
from smartex_bus import Bus, BusError, OffsetTrimmed, Retryable, StoredRecord
from smartex_chassis import counter, gauge, histogram, set_within, start_task, stop_tasks
from smartex_store import Connection, Database, is_retryable

from positions.checkpoints import Keeper
from positions.domain.book import Book
from positions.intake import EVENTS_TOPIC, Batch, Intake, Read, Unfoldable
from positions.market import Definitions
from positions.store import BookStore, LeaseLost, merges_of

GROUP = "positions"
"""Name under which records that cannot be folded are set aside."""

_log = structlog.get_logger("positions.consumers")
_STEP_BYTES = 4 << 20
"""Events that are folded in one go: some sixty thousand, a tenth of a second."""
_folded = counter("positions_events_total", "Events folded into the book")
_lag = gauge("positions_lag_seconds", "Age of the newest event in the book, when it was folded")
_behind = gauge(
    "positions_behind_info", "1 while the book is behind the market, so that nobody is told anything"
)
_unwritten = gauge("positions_unwritten_events", "Events in the book that are not in its rows")
_written = histogram(
    "positions_batch_events", "Events written in one transaction", buckets=(1, 10, 100, 1e3, 1e4, 1e5, 1e6)
)
_writing = histogram("positions_write_seconds", "Time of one transaction")
_set_aside = counter(
    "positions_dead_letters_total", "Records of events that were set aside (python -m smartex_bus letters)"
)


class AfterFold(Protocol):
    """Who looks at what changed, in the transaction that writes it."""

    @property
    def lock(self) -> Any:
        """An asyncio lock, held from `look` to `committed`."""

    async def look(
        self,
        connection: Connection,
        pieces: Iterable[tuple[Any, int]],
        touched: Any,
        moved: Any,
        trace_id: str = "",
        *,
        behind: bool = False,
        closes: Mapping[int, Any],
    ) -> Any:
        """Judge and write: `pieces` are events to see with their times, `touched` places of accounts, `moved` numbers
        of instruments, `closes` last prices by day. `behind`: they are past, tell nobody. The answer is given to
        `committed`."""

    async def catch_up(self, connection: Connection) -> Any:
        """The book has come up to the market: tell what stands and was not told. The answer is given to `committed`."""

    def committed(self, seen: Any) -> None:
        """The transaction is through."""


class Follower:
    """Runs until stopped; waits while the log or the database is away."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        book: Book,
        intake: Intake,
        store: BookStore,
        definitions: Definitions,
        *,
        shard: int,
        lease_seconds: float,
        look_seconds: float,
        max_unwritten: int,
        max_age_ns: int,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._database = database
        self._bus = bus
        self._book = book
        self._intake = intake
        self._store = store
        self._definitions = definitions
        self._shard = shard
        self._lease_seconds = lease_seconds
        self._look_seconds = look_seconds
        self._max_unwritten = max_unwritten
        self._max_age_ns = max_age_ns
        self._clock = clock
        self._epoch: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._taken = asyncio.Event()
        self.ready = False
        """Whether the book has been read back."""
        self.caught_up = False
        """Whether the book has come up to the market since it was read back; from then on it may lag and stays so."""
        self.behind = False
        """Whether the book is behind the market, so that what is found in it is past; known by the pod that writes.
        Every start is taken to be until the log has been looked at."""
        self.after_fold: AfterFold | None = None
        self.keeper: Keeper | None = None
        """Keeps checkpoints of the book, on the pod that writes."""
        self.loaded: list[Callable[[], Awaitable[None]]] = []
        """Awaited whenever the book was read back, before anything is folded."""

    @property
    def working(self) -> bool:
        """Whether this pod writes."""
        return self._epoch is not None

    async def start(self) -> None:
        """Begin to follow."""
        self._task = start_task(self._run(), "positions-follower")

    async def stop(self) -> None:
        """Stop; what was not written is read from the log again."""
        await stop_tasks(self._task)
        self._task = None

    async def _run(self) -> None:
        while True:
            try:
                await self._round()
            except LeaseLost:
                _log.info("book_passed_on", shard=self._shard)
            except Exception as error:
                if _passes(error):
                    _log.warning("book_waits", why=str(error))
                else:
                    _log.exception("book_stopped_short", shard=self._shard)
            await asyncio.sleep(min(0.5, self._lease_seconds / 5))

    async def _round(self) -> None:
        """Read the book back, then follow the log until something ends it."""
        self._epoch = await self._store.take()
        self._set_behind(self.working)
        try:
            offset = await self._read_back()
            await _until_one_ends(
                self._follow(offset), self._write() if self.working else self._wait_for_lease()
            )
        finally:
            epoch, self._epoch = self._epoch, None
            if epoch is not None:
                # By its lease it would be free a little later all the same.
                with contextlib.suppress(Exception):
                    await asyncio.shield(self._store.release(epoch))

    async def _read_back(self) -> int:
        await self._definitions.load()
        saved = await self._store.load()
        rules = self._definitions.rules(int(saved.rows.header["sequence"]))
        await asyncio.to_thread(self._book.restore, saved.rows, rules)
        self._intake.begin(saved.next_offset, saved.judged)
        for hook in self.loaded:
            await hook()
        self.caught_up = not await self._is_behind(saved.next_offset)
        self.ready = True
        _log.info("book_read", shard=self._shard, sequence=self._book.sequence, writes=self.working)
        return saved.next_offset

    # -- folding

    async def _follow(self, offset: int) -> None:
        batches = self._bus.follow(EVENTS_TOPIC, self._shard, offset, max_records=1000)
        try:
            async for records in batches:
                await self._take_in(records)
                while self._intake.waiting > self._max_unwritten:
                    # What is to be written must fit into memory: the log keeps the rest.
                    self._taken.clear()
                    await self._taken.wait()
        finally:
            await cast("AsyncGenerator[list[StoredRecord], None]", batches).aclose()

    async def _take_in(self, records: Sequence[StoredRecord]) -> None:
        at = 0
        while at < len(records):
            before = self._book.sequence
            stop = await asyncio.to_thread(self._intake.fold, _some(records, at))
            at += stop.folded
            why = stop.why
            if stop.read is not None:
                why = await self._fold_defining(stop.read, records[at].offset + 1)
            if why:
                await self._put_aside(records[at], why)
            at += bool(why or stop.read)
            self._tell(self._book.sequence - before)
            await self._keep_checkpoint()

    async def _keep_checkpoint(self) -> None:
        if self.keeper is not None and self._epoch is not None and self.keeper.due(self._book.sequence):
            self.keeper.keep(self._epoch, await asyncio.to_thread(self._intake.snapshot))

    async def _fold_defining(self, read: Read, next_offset: int) -> str:
        """Fold a record for which definitions have to be learned first; why it cannot be, else nothing."""
        try:
            self._book.learn(await self._definitions.needed(self._book, read))
        except Unfoldable as error:
            return f"{type(error).__name__}: {error}"
        await asyncio.to_thread(self._intake.fold_one, read, next_offset)
        return ""

    def _tell(self, events: int) -> None:
        _folded.inc(events)
        _lag.set(max(0.0, (self._clock() - self._book.time_ns) / 1e9))
        _unwritten.set(self._intake.waiting)
        self._news.set()

    async def _put_aside(self, record: StoredRecord, reason: str) -> None:
        where = {
            "group": GROUP,
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
        }
        _log.error("record_set_aside", **where, reason=reason)
        if self.working:
            await self._bus.dead_letter(record, group=GROUP, reason=reason[:500])
            _set_aside.inc()
        self._intake.skip(record.offset + 1)

    # -- writing

    async def _write(self) -> None:
        """Write what was folded, again and again."""
        extended = time.monotonic()
        while True:
            await self._sleep_until_news(self._look_seconds)
            batch = await asyncio.to_thread(self._intake.take)
            self._taken.set()
            if batch.events and not self.behind:
                self._set_behind(await self._is_behind(batch.next_offset))
            idle = batch.empty
            if not idle:
                await self._write_batch(batch)
            if self.behind and not await self._is_behind(batch.next_offset):
                await self._catch_up()
            elif idle and time.monotonic() - extended <= self._lease_seconds / 3:
                continue
            elif idle:
                await self._store.extend(self._held)
            extended = time.monotonic()

    @property
    def _held(self) -> int:
        if self._epoch is None:
            raise LeaseLost
        return self._epoch

    async def _write_batch(self, batch: Batch) -> None:
        began = time.monotonic()
        merges = await asyncio.to_thread(merges_of, batch)
        async with contextlib.AsyncExitStack() as stack:
            if self.after_fold is not None:
                await stack.enter_async_context(self.after_fold.lock)
            seen = None
            async with self._database.transaction() as connection:
                await self._store.write(connection, self._held, batch, merges)
                if self.after_fold is not None:
                    seen = await self.after_fold.look(
                        connection,
                        batch.pieces,
                        batch.touched,
                        batch.moved,
                        batch.trace_id,
                        behind=self.behind,
                        closes=batch.closes,
                    )
            if self.after_fold is not None:
                self.after_fold.committed(seen)
        if batch.events:
            _written.observe(batch.events)
            _writing.observe(time.monotonic() - began)

    async def _is_behind(self, next_offset: int) -> bool:
        """Whether the market has gone on since: events are old, or repeated, and not the last of the log. That they
        are old alone says nothing, for a market may be silent."""
        if not self._intake.repeating and self._clock() - self._book.time_ns <= self._max_age_ns:
            return False
        _, end = await self._bus.offsets(EVENTS_TOPIC, self._shard)
        return next_offset < end

    async def _catch_up(self) -> None:
        """Tell what stands, and from now on at once."""
        self._intake.judge_all()
        if self.after_fold is not None:
            async with self.after_fold.lock:
                async with self._database.transaction() as connection:
                    await self._store.extend(self._held, connection)
                    seen = await self.after_fold.catch_up(connection)
                self.after_fold.committed(seen)
        self._set_behind(False)
        self.caught_up = True

    def _set_behind(self, behind: bool) -> None:
        if behind != self.behind:
            _log.info("book_behind" if behind else "book_caught_up", sequence=self._book.sequence)
        self.behind = behind
        _behind.set(int(behind))

    async def _wait_for_lease(self) -> None:
        """Follow without writing, until the one who writes falls silent; then the book is read back."""
        while await self._store.take() is None:
            await asyncio.sleep(self._lease_seconds / 3)
            batch = await asyncio.to_thread(self._intake.take)
            self._taken.set()
            self.caught_up = self.caught_up or not await self._is_behind(batch.next_offset)

    async def _sleep_until_news(self, seconds: float) -> None:
        await set_within(self._news, seconds)
        self._news.clear()


def _some(records: Sequence[StoredRecord], at: int) -> Sequence[StoredRecord]:
    """The next records that are folded in one go: a step that has begun cannot be stopped, so it must be short."""
    end, size = at, 0
    while end < len(records) and (end == at or size + len(records[end].value) <= _STEP_BYTES):
        size += len(records[end].value)
        end += 1
    return records[at:end]


async def _until_one_ends(*parts: Coroutine[Any, Any, None]) -> None:
    """Run both; when one ends, so does the other. Raises what ended it."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _passes(error: Exception) -> bool:
    """Whether it is a matter of waiting: the database or the bus is away."""
    if isinstance(error, OffsetTrimmed):
        return False
    return is_retryable(error) or isinstance(error, Retryable | BusError | OSError | TimeoutError)
