"""Publishes the event log: one pod at a time, without a gap, at most with repeats.

Every pod keeps the events that it does not know to be published yet; it learns that from the event log itself.
The pod that holds the lease publishes them. One that takes over goes on from what the log says, so an earlier
holder that wakes up can only repeat what was said.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections import deque
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import structlog
from smartex_bus import Appender, Bus, BusError, Record, StoredRecord
from smartex_chassis import gauge, set_within, start_task, stop_tasks

from matching.frames import EVENTS_TOPIC, MOST_REPEATED, encode_events
from matching.lease import Lease

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]
Kept: TypeAlias = tuple[int, int, int, Rows]
"""Offset of a frame, sequence of its first event, time of the market, events."""

_log = structlog.get_logger("matching.publisher")
_unpublished_events = gauge(
    "matching_unpublished_events", "Events that this pod does not know to be published"
)
_KEY = struct.Struct(">qq")
_GROUP_RECORDS = 256
_GROUP_BYTES = 4 << 20
_THREAD_EVENTS = 1000
"""Events from which on they are encoded beside the event loop: fewer take less time than a thread to wake up."""
_LOOK_BACK = 64
_MOST_REPEATED_BYTES = 16 << 20
_IDLE_SECONDS = 0.2
_PACE_SECONDS = 0.02
"""Appends begin at most this often: each flushes the disk that orders wait for too."""
_ANSWER_SECONDS = 0.005
"""What is appended waits at most that long more for a good moment. Both together are a reader's greatest delay."""


async def published_sequence(bus: Bus, shard: int) -> int:
    """The sequence up to which the event log goes, from its last records."""
    earliest, end = await bus.offsets(EVENTS_TOPIC, shard)
    # The very last records may be a former publisher's repeat; some of those before them are not.
    begin, last, size = end, 0, 0
    while begin > earliest and end - begin <= MOST_REPEATED and size <= _MOST_REPEATED_BYTES:
        before, begin = begin, max(earliest, begin - _LOOK_BACK)
        for record in await _records(bus, shard, begin, before):
            last = max(last, last_sequence(record))
            size += len(record.value)
    return last


async def _records(bus: Bus, shard: int, offset: int, end: int) -> list[StoredRecord]:
    """The records of the event log from one offset up to another."""
    found: list[StoredRecord] = []
    while offset < end:
        records = await bus.read(EVENTS_TOPIC, shard, offset, max_records=end - offset)
        if not records:
            break
        found += records
        offset = records[-1].offset + 1
    return found


def last_sequence(record: StoredRecord) -> int:
    """Sequence of the last event of a record of the event log; 0 if no publisher wrote it, for then it says nothing."""
    if len(record.key) != _KEY.size:
        _log.error("event_record_of_nobody", offset=record.offset, bytes=len(record.value))
        return 0
    first, count = _KEY.unpack(record.key)
    return int(first + count - 1)


@dataclass(slots=True)
class _Group:
    """Records that are appended together. `full`: more events than these may be kept."""

    records: list[Record]
    last: int
    """Sequence of their last event."""
    full: bool


class Publisher:
    """Keeps what is unpublished, and publishes it while this pod holds the lease."""

    def __init__(self, bus: Bus, lease: Lease, shard: int) -> None:
        self.published = 0
        """Sequence up to which the event log is known to go; it may be in the middle of a frame."""
        self._bus = bus
        self._lease = lease
        self._shard = shard
        self._kept: deque[Kept] = deque()
        self._last = 0
        self._wake = asyncio.Event()
        self._appender: Appender | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def backlog(self) -> int:
        """Events that this pod keeps because they may not be published yet."""
        return max(0, self._last - self.published)

    @property
    def leading(self) -> bool:
        """Whether this pod publishes."""
        return self._lease.held

    def begin(self, published: int) -> None:
        """Before the first frame: the event log goes up to this sequence."""
        self.published = self._last = published

    def on_applied(self, offset: int, first_sequence: int, time_ns: int, events: Rows) -> None:
        """Keep what may have to be published."""
        frame = (offset, first_sequence, time_ns, events)
        if len(events) and _end_of(frame) > self.published:
            self._kept.append(frame)
            self._last = _end_of(frame)
            self._wake.set()

    async def start(self) -> None:
        """Begin."""
        self._appender = self._bus.appender(EVENTS_TOPIC, self._shard)
        self._tasks = [
            start_task(self._publish(), "matching-publish"),
            start_task(self._learn(), "matching-published"),
        ]

    def halt(self) -> None:
        """Publish nothing more, and let another pod do it: what this one would say may be wrong."""
        self._lease.resign()

    async def flush(self, within: float = 5.0) -> None:
        """Wait until what is left is published, by this pod or by the one that leads; a halted pod does not wait."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self._kept and not self._lease.resigned:
                    await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """End."""
        await stop_tasks(*self._tasks)
        if self._appender is not None:
            await self._appender.close()

    def _know(self, sequence: int) -> None:
        self.published = max(self.published, sequence)
        while self._kept and _end_of(self._kept[0]) <= self.published:
            self._kept.popleft()
        _unpublished_events.set(self.backlog)

    async def _learn(self) -> None:
        """Follow the event log while another pod publishes: the one that does knows without reading it all again."""
        while True:
            if self.leading:
                await asyncio.sleep(_IDLE_SECONDS)
                continue
            try:
                _, end = await self._bus.offsets(EVENTS_TOPIC, self._shard)
                self._know(await published_sequence(self._bus, self._shard))
                follow = self._bus.follow(EVENTS_TOPIC, self._shard, end)
                async with aclosing(follow) as batches:  # type: ignore[type-var]
                    async for records in batches:
                        self._know(max(map(last_sequence, records)))
                        if self.leading:
                            break
            except BusError as error:
                _log.warning("the event log cannot be followed", error=str(error))
                await asyncio.sleep(_IDLE_SECONDS)

    async def _publish(self) -> None:
        leading = False
        while True:
            if not self.leading:
                leading = False
                await asyncio.sleep(_IDLE_SECONDS)
                continue
            try:
                if not leading:
                    self._know(await published_sequence(self._bus, self._shard))
                    leading = True
                if not self._kept:
                    self._wake.clear()
                    await set_within(self._wake, _IDLE_SECONDS)
                    continue
                await self._publish_some()
            except BusError as error:
                if self._bus.fatal.is_set():
                    return
                _log.warning("events wait for the log", error=str(error))
                await asyncio.sleep(_IDLE_SECONDS)

    async def _publish_some(self) -> None:
        """Append the oldest kept events. What was appended stays kept until it is durable.

        While more is kept than goes together, the next group is encoded as this one is appended, and follows at once.
        """
        assert self._appender is not None
        began = time.monotonic()
        group = await self._encoded(self.published)
        while group is not None and self.leading:
            appending = asyncio.ensure_future(self._appender.append(*group.records))
            try:
                following = await self._encoded(group.last) if group.full else None
                await appending
            except BaseException:
                appending.cancel()
                raise
            self._know(group.last)
            group = following
        await asyncio.sleep(_PACE_SECONDS - (time.monotonic() - began))
        await self._order_answered()

    async def _encoded(self, after: int) -> _Group | None:
        """The oldest events with a sequence over `after`, encoded; None if there are no more."""
        # By sequence: what another pod publishes meanwhile leaves the kept frames at any time.
        kept = list(islice((frame for frame in self._kept if _end_of(frame) > after), _GROUP_RECORDS))
        if not kept:
            return None
        if sum(len(events) for *_, events in kept) < _THREAD_EVENTS:
            return self._encode(kept, after)
        return await asyncio.to_thread(self._encode, kept, after)

    async def _order_answered(self) -> None:
        """Wait a little for the next frame: just after its answer an append disturbs orders least."""
        self._wake.clear()
        await set_within(self._wake, _ANSWER_SECONDS)

    def _encode(self, kept: list[Kept], after: int) -> _Group:
        """The records of the events after a sequence, as many as go together: a frame may go in several groups."""
        records: list[Record] = []
        last = size = 0
        for frame in kept:
            for first, count, value in encode_events(self._shard, *frame, after):
                records.append(Record(value, key=_KEY.pack(first, count)))
                size += records[-1].size()
                last = first + count - 1
                if len(records) >= _GROUP_RECORDS or size > _GROUP_BYTES:
                    return _Group(records, last, full=True)
        return _Group(records, last, full=False)


def _end_of(frame: Kept) -> int:
    """Sequence of its last event."""
    _, first, _, events = frame
    return first + len(events) - 1
