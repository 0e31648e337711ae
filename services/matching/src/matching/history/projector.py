"""Follows the event log and writes the history. Any number of pods run one; a single one works at a time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

import structlog
from smartex_bus import Bus, BusError, OffsetTrimmed, Retryable, StoredRecord
from smartex_chassis import start_task, stop_tasks
from smartex_store import Database, is_retryable
from smartex_wire import WireError

from matching.event_rows import EVENTS
from matching.history import meters, rows
from matching.history.rows import Piece
from matching.history.settings import HistorySettings
from matching.history.store import LeaseLost, Position, ProjectionStore

_log = structlog.get_logger("matching.history")
_LOOKS = 8
_LOOK_SECONDS = 0.5
"""A broker that has just taken over may know less for a moment."""
_NOWHERE: Final = 2**62
"""An offset that no log has: the log may grow past where the history of another one ended."""
SET_ASIDE: Final = "history_record_set_aside"


class Unprojectable(Exception):  # noqa: N818 - a verdict on a record
    """A record that can never be projected; the message says why."""


class AnotherLog(Exception):  # noqa: N818 - a verdict
    """The history was written from a log that went further than this one: what comes would pass for repeats."""


@dataclass(frozen=True)
class Read:
    """A record and the events in it that are new."""

    record: StoredRecord
    piece: Piece | None
    last_sequence: int


class Projector:
    """Runs until stopped; waits while another pod holds the projection or the database is away."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        shard: int,
        holder: str,
        settings: HistorySettings,
    ) -> None:
        self._bus = bus
        self._shard = shard
        self._settings = settings
        self._store = ProjectionStore(database, shard, holder, settings.lease_seconds)
        self._task: asyncio.Task[None] | None = None
        self._at: Position | None = None
        self._log_end = 0
        self.sequence = 0
        """Up to which event this projector has written the history."""

    async def start(self) -> None:
        """Begin to follow the log."""
        self._task = start_task(self._run(), "history-projector")

    async def stop(self) -> None:
        """Stop after the transaction under way and let another pod take over."""
        if self._task is None:
            return
        await stop_tasks(self._task)
        self._task = None

    @property
    def working(self) -> bool:
        """Whether this pod holds the projection."""
        return self._at is not None

    async def _run(self) -> None:
        pause = self._settings.lease_seconds / 5
        while True:
            try:
                position = await self._store.take()
                if position is None:
                    await asyncio.sleep(pause)
                    continue
                await self._check_log(position)
                _log.info("history_taken_over", shard=self._shard, sequence=position.sequence)
                await self._project(position)
            except LeaseLost:
                _log.info("history_passed_on", shard=self._shard)
            except AnotherLog as error:
                _log.error("history_of_another_log", shard=self._shard, why=str(error))
                await asyncio.sleep(self._settings.lease_seconds)
            except Exception as error:
                if not _passes(error):
                    _log.exception("history_stopped_short", shard=self._shard)
                else:
                    _log.warning("history_waits", why=str(error))
                await asyncio.sleep(pause)

    async def _check_log(self, position: Position) -> None:
        """AnotherLog if the log ends before the history does, and for ever after, for any pod, until a rebuild."""
        for _ in range(_LOOKS):
            if await self._reaches(position):
                return
            await asyncio.sleep(_LOOK_SECONDS)
        await self._store.write(None, position, replace(position, next_offset=_NOWHERE))
        raise AnotherLog(
            f"the history goes to sequence {position.sequence}, which is not in the event log: was the log alone "
            "restored from an older backup? `python -m matching rebuild --write` makes the history anew from it"
        )

    async def _reaches(self, position: Position) -> bool:
        _, end = await self._bus.offsets(self._settings.topic, self._shard)
        return position.next_offset <= end

    async def _project(self, position: Position) -> None:
        self._stand(position)
        batches = self._bus.follow(self._settings.topic, self._shard, position.next_offset, max_records=1000)
        try:
            await self._follow(batches)
        finally:
            held, self._at = self._held, None
            await cast("AsyncGenerator[list[StoredRecord], None]", batches).aclose()
            with contextlib.suppress(Exception):
                # By its lease it would be free a little later all the same.
                await asyncio.shield(self._store.release(held))

    async def _follow(self, batches: AsyncIterator[list[StoredRecord]]) -> None:
        patience = self._settings.lease_seconds / 3
        coming = asyncio.ensure_future(_next(batches))
        try:
            while True:
                done, _ = await asyncio.wait((coming,), timeout=patience)
                if not done:
                    await self._store.extend(self._held)
                    continue
                records = coming.result()
                coming = asyncio.ensure_future(_next(batches))  # read ahead while this one is written
                began = time.monotonic()
                await self._take_in(records)
                await asyncio.sleep(self._settings.pace_seconds - (time.monotonic() - began))
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)

    @property
    def _held(self) -> Position:
        if self._at is None:
            raise LeaseLost
        return self._at

    async def _take_in(self, records: Sequence[StoredRecord]) -> None:
        """Write records in transactions of a bounded size; what cannot be written is set aside."""
        reads: list[Read] = []
        begin, size = 0, 0
        sequence = self._held.sequence
        for at, record in enumerate(records):
            try:
                read = self._read(record, sequence)
            except (WireError, Unprojectable) as error:
                await self._write(reads)
                await self._set_aside(record, f"{type(error).__name__}: {error}")
                begin, size, reads = at + 1, 0, []
                sequence = self._held.sequence
                continue
            reads.append(read)
            sequence = read.last_sequence
            size += len(read.piece.events) if read.piece else 0
            if size >= self._settings.batch_events:
                await self._write(reads)
                begin, size, reads = at + 1, 0, []
        if begin < len(records):
            await self._write(reads)

    def _read(self, record: StoredRecord, sequence: int) -> Read:
        header, events = EVENTS.decode(record.value)
        first = int(header["first_sequence"])
        if int(header["version"]) != 1:
            raise Unprojectable(f"version {int(header['version'])} of the layout: this program knows 1")
        if first < 1:
            raise Unprojectable(f"first_sequence is {first}")
        if int(header["shard"]) != self._shard:
            raise Unprojectable(f"shard {int(header['shard'])} in the log of shard {self._shard}")
        last = first + len(events) - 1
        if last <= sequence:
            return Read(record, None, sequence)  # a repeat
        if first > sequence + 1:
            _log.error("history_gap", shard=self._shard, after=sequence, before=first, offset=record.offset)
        skip = max(0, sequence + 1 - first)
        return Read(record, Piece(first + skip, int(header["time_ns"]), events[skip:]), last)

    async def _write(self, reads: Sequence[Read]) -> None:
        if not reads:
            return
        try:
            await self._write_together(reads)
        except LeaseLost:
            raise
        except Exception as error:
            if _passes(error):
                raise
            await self._write_singly(reads)

    async def _write_together(self, reads: Sequence[Read]) -> None:
        held = self._held
        began = time.monotonic()
        pieces = [read.piece for read in reads if read.piece is not None]
        # In a thread: measured, orders are interrupted for less long than by one that reads and then makes the arrays.
        batch = await asyncio.to_thread(rows.build, pieces, self._shard) if pieces else None
        new = replace(held, sequence=reads[-1].last_sequence, next_offset=reads[-1].record.offset + 1)
        await self._store.write(batch, held, new)
        self._stand(new)
        events = sum(len(piece.events) for piece in pieces)
        meters.projected.inc(events)
        if events >= self._settings.batch_events and await self._grows():
            await self._yield_to_orders(time.monotonic() - began)

    def _stand(self, position: Position) -> None:
        self._at = position
        self.sequence = position.sequence
        meters.position.set(position.sequence)

    async def _grows(self) -> bool:
        """Whether the log has grown since this was asked last: orders keep coming."""
        before = self._log_end
        _, self._log_end = await self._bus.offsets(self._settings.topic, self._shard)
        return self._log_end > before

    async def _yield_to_orders(self, worked: float) -> None:
        """Rest after a full batch: rows cost far more than orders, and both share the processors and the database."""
        rest = worked * (1 / self._settings.share_when_busy - 1)
        patience = self._settings.lease_seconds / 3
        while rest > 0:
            await asyncio.sleep(min(rest, patience))
            await self._store.extend(self._held)
            rest -= patience

    async def _write_singly(self, reads: Sequence[Read]) -> None:
        """Find the record that cannot be written, and set only that aside."""
        for read in reads:
            try:
                await self._write_together((read,))
            except LeaseLost:
                raise
            except Exception as error:
                if _passes(error):
                    raise
                await self._set_aside(
                    read.record, f"{type(error).__name__}: {error}", sequence=read.last_sequence
                )

    async def _set_aside(self, record: StoredRecord, reason: str, sequence: int | None = None) -> None:
        """Move a record to the dead letters and go on after it."""
        _log.error(
            SET_ASIDE,
            group=self._settings.group,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason,
        )
        await self._bus.dead_letter(record, group=self._settings.group, reason=reason[:500])
        meters.set_aside.inc()
        held = self._held
        new = replace(held, next_offset=record.offset + 1, sequence=sequence or held.sequence)
        await self._store.write(None, held, new)
        self._stand(new)


async def _next(batches: AsyncIterator[list[StoredRecord]]) -> list[StoredRecord]:
    return await anext(batches)


def _passes(error: Exception) -> bool:
    """Whether it is a matter of waiting: the database or the bus is away."""
    if isinstance(error, OffsetTrimmed):
        return False
    return is_retryable(error) or isinstance(error, Retryable | BusError | OSError | TimeoutError)
