"""Group commit: everything that arrives while one append is under way shares the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from smartex_bus.api import Appender, Told
from smartex_bus.errors import (
    AppenderPoisoned,
    AppendUnknown,
    BusClosed,
    BusError,
    Overloaded,
    RecordTooLarge,
    UnknownTopic,
)
from smartex_bus.records import Record

Write = Callable[[list[Record]], Awaitable[tuple[int, int]]]
"""Makes a group durable and returns its first offset and its time in nanoseconds; retries by itself what can be
retried.

``UnknownTopic``: nothing was appended. Any other error: the outcome is unknown.
"""

Appended = Callable[[int, list[Record], int], None]
"""Told of every group after its callers: first offset, records, time in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of an appender, in records and in bytes of payload."""

    pending_records: int
    pending_bytes: int
    group_records: int = 10_000
    group_bytes: int = 16 << 20
    append_bytes: int = 16 << 20


@dataclass(slots=True)
class _Entry:
    records: tuple[Record, ...]
    size: int
    told: Told


class GroupCommitAppender(Appender):
    """An appender over a ``write`` that is called with one group at a time, in the order of acceptance."""

    def __init__(
        self,
        name: str,
        write: Write,
        limits: Limits,
        *,
        appended: Appended,
        on_fatal: Callable[[BusError], None],
        on_close: Callable[[], Awaitable[None]],
    ) -> None:
        self._name = name
        self._write = write
        self._limits = limits
        self._appended = appended
        self._on_fatal = on_fatal
        self._on_close = on_close
        self._queue: deque[_Entry] = deque()
        self._in_flight: list[_Entry] = []
        self._pending_records = 0
        self._pending_bytes = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._poison: BusError | None = None
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"append {name}")

    @property
    def pending(self) -> int:
        """Records accepted and not durable yet."""
        return self._pending_records

    def append_telling(self, told: Told, *records: Record) -> None:
        """See ``Appender.append_telling``."""
        if not records:
            raise ValueError("append at least one record")
        self._check_open()
        size = sum(record.size() for record in records)
        self._check_room(len(records), size)
        self._queue.append(_Entry(records, size, told))
        self._pending_records += len(records)
        self._pending_bytes += size
        self._wake.set()

    def _check_open(self) -> None:
        if self._poison is not None:
            raise AppenderPoisoned(f"{self._name}: an append failed, leave the process: {self._poison}")
        if self._closing:
            raise BusClosed(f"{self._name}: the appender is closed")

    def _check_room(self, count: int, size: int) -> None:
        limits = self._limits
        most = min(limits.append_bytes, limits.pending_bytes)
        if size > most:
            raise RecordTooLarge(f"{self._name}: one append takes at most {most} bytes, got {size}: split it")
        if count > limits.pending_records:
            raise RecordTooLarge(
                f"{self._name}: at most {limits.pending_records} records at once, got {count}: split them"
            )
        full = (
            self._pending_records + count > limits.pending_records
            or self._pending_bytes + size > limits.pending_bytes
        )
        if full:
            raise Overloaded(
                f"{self._name}: {self._pending_records} records, {self._pending_bytes} bytes wait: retry"
            )

    async def _run(self) -> None:
        while True:
            while not self._queue:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
            self._in_flight = self._take()
            records = [record for entry in self._in_flight for record in entry.records]
            try:
                first, time_ns = await self._write(records)
            except UnknownTopic as error:
                # Known not to be in the log, so nothing is at stake: the caller may make the topic and retry.
                self._fail_in_flight(error)
                continue
            except Exception as error:
                self._fail_for_good(error)
                return
            self._settle(first)
            # Followers wait for this turn's end; whose records these are goes first.
            self._appended(first, records, time_ns)

    def _take(self) -> list[_Entry]:
        group = [self._queue.popleft()]
        records, size = len(group[0].records), group[0].size
        while self._queue:
            entry = self._queue[0]
            records += len(entry.records)
            size += entry.size
            if records > self._limits.group_records or size > self._limits.group_bytes:
                break
            group.append(self._queue.popleft())
        return group

    def _settle(self, first: int) -> None:
        entries, self._in_flight = self._in_flight, []
        for entry in entries:
            self._forget(entry)
        for entry in entries:
            entry.told(first, None)
            first += len(entry.records)

    def _forget(self, entry: _Entry) -> None:
        self._pending_records -= len(entry.records)
        self._pending_bytes -= entry.size

    def _fail_for_good(self, error: Exception) -> None:
        """Every pending outcome becomes unknown: what waited behind the failed group must not pass it."""
        cause = error if isinstance(error, BusError) else AppendUnknown(f"{self._name}: {error!r}")
        self._poison = cause
        self._fail_in_flight(cause)
        self._fail_queued(cause)
        self._on_fatal(cause)

    def _fail_in_flight(self, error: BusError) -> None:
        entries, self._in_flight = self._in_flight, []
        for entry in entries:
            self._fail(entry, error)

    def _fail_queued(self, error: BusError) -> None:
        while self._queue:
            self._fail(self._queue.popleft(), error)

    def _fail(self, entry: _Entry, error: BusError) -> None:
        self._forget(entry)
        entry.told(-1, error)

    async def close(self, drain: bool = True, *, within: float = 10.0) -> None:
        """See ``Appender.close``."""
        self._closing = True
        self._wake.set()
        if drain:
            await asyncio.wait([self._task], timeout=within)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._fail_in_flight(AppendUnknown(f"{self._name}: closed while the append was under way"))
        self._fail_queued(BusClosed(f"{self._name}: closed before the append"))
        await self._on_close()
