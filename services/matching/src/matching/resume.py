"""The events that a stream missed: from memory, and from the event log where memory does not go back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any, Protocol, TypeAlias

import numpy as np
from smartex_bus import Bus, OffsetTrimmed, StoredRecord
from smartex_chassis import OutOfRange, Unavailable

from matching.frames import EVENT_CODEC, EVENTS_TOPIC, MOST_REPEATED
from matching.hub import Kept

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]

_READ_RECORDS = 256
_SEARCHES = 4
_PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.05
_RETRY = timedelta(seconds=1)


class Memory(Protocol):
    """The newest events, without a gap up to the last one."""

    def kept_since(self) -> int | None:
        """The first sequence in memory; None if there is none."""

    def kept_after(self, sequence: int) -> Sequence[Kept]:
        """Some frames that follow `sequence`; none if the next event is not in memory."""


class Past:
    """Reads recent events again."""

    def __init__(self, bus: Bus, shard: int, memory: Memory) -> None:
        self._bus = bus
        self._shard = shard
        self._memory = memory

    async def events(self, after: int, up_to: int) -> AsyncIterator[tuple[int, int, Rows]]:
        """Events with `after` < sequence ≤ `up_to`, in order and each once: (first sequence, time, events).

        It looks into memory part by part: what a slow reader has not come to yet may leave it, and then comes from the
        log. OutOfRange if that does not go back far enough.
        """
        while after < up_to:
            kept = self._memory.kept_after(after)
            if not kept:
                since = self._memory.kept_since() or up_to + 1
                end = min(up_to, since - 1)
                async for part in self._logged(after, end):
                    yield part
                after = end
            for first, time_ns, events in kept:
                missed = _between(first, events, after, up_to)
                if missed is not None:
                    after = missed[0] + len(missed[1]) - 1
                    yield missed[0], time_ns, missed[1]

    async def _logged(self, after: int, up_to: int) -> AsyncIterator[tuple[int, int, Rows]]:
        earliest, end = await self._bus.offsets(EVENTS_TOPIC, self._shard)
        for search in range(_SEARCHES):
            offset = await self._offset_of(after + 1, earliest, end)
            async for first, time_ns, events in self._unbroken(offset, after, up_to, patient=search > 0):
                after = first + len(events) - 1
                yield first, time_ns, events
            if after >= up_to:
                return
            # A former publisher's repeat may have led here: what comes after it in sequence is before it in the log.
            end = max(earliest, offset - MOST_REPEATED)
        raise _gone()

    async def _unbroken(
        self, offset: int, after: int, up_to: int, *, patient: bool
    ) -> AsyncIterator[tuple[int, int, Rows]]:
        """Events from an offset on, as far as none is missing. `patient`: wait for those to come."""
        patience = time.monotonic() + _PATIENCE_SECONDS
        while after < up_to:
            records = await self._read(offset, _READ_RECORDS)
            if not records:
                if not patient:
                    return
                # Just after a start, the publisher may not have written yet what this pod has applied.
                if time.monotonic() > patience:
                    raise Unavailable(
                        "the event log is behind; open the stream again a little later",
                        reason="HISTORY_BEHIND",
                        retry_after=_RETRY,
                    )
                await asyncio.sleep(_POLL_SECONDS)
                continue
            for record in records:
                header, events = EVENT_CODEC.decode(record.value)
                first = int(header["first_sequence"])
                if after >= up_to or first > after + 1:
                    return
                part = _between(first, events, after, up_to)
                if part is not None:
                    after = part[0] + len(part[1]) - 1
                    yield part[0], int(header["time_ns"]), part[1]
            offset = records[-1].offset + 1

    async def _offset_of(self, sequence: int, earliest: int, end: int) -> int:
        """The offset from which on the log holds everything from `sequence` on, if sequences only grow."""
        low, high = earliest, end
        while low < high:
            middle = (low + high) // 2
            if await self._first_of(middle) <= sequence:
                low = middle + 1
            else:
                high = middle
        return max(earliest, low - 1)

    async def _first_of(self, offset: int) -> int:
        records = await self._read(offset, 1)
        if not records:
            raise _gone()
        header, _ = EVENT_CODEC.decode(records[0].value)
        return int(header["first_sequence"])

    async def _read(self, offset: int, most: int) -> list[StoredRecord]:
        try:
            return await self._bus.read(EVENTS_TOPIC, self._shard, offset, max_records=most)
        except OffsetTrimmed as error:
            raise _gone() from error


def _between(first: int, events: Rows, after: int, up_to: int) -> tuple[int, Rows] | None:
    start = max(0, after + 1 - first)
    end = min(len(events), up_to + 1 - first)
    return (first + start, events[start:end]) if start < end else None


def _gone() -> OutOfRange:
    return OutOfRange(
        "the reports after resume_sequence are no longer kept; ask OrderQueryService for the orders, then open "
        "the stream with resume_sequence 0",
        reason="RESUME_TOO_OLD",
    )
