"""Filling a new feed with the last published events, so that readers can resume over a restart."""

from __future__ import annotations

from collections.abc import Iterator

import smartex_wire
import structlog
from smartex_bus import Bus, BusError, StoredRecord
from smartex_wire import WireError

from matching.event_rows import EVENTS
from matching.marketdata.feed import Feed
from matching.sources import Rows

_TOPIC = "matching.events.v1"
_RECORDS = 4000
"""Records read back; as many frames, or fewer if some were large."""
_BYTES = 32 << 20
"""Bytes of records from which on no more are read: some 650,000 events, 100 MB."""
_STEP = 64

_log = structlog.get_logger("matching.marketdata")


async def recall(feed: Feed, bus: Bus, shard: int, sequence: int) -> None:
    """Let the feed take in the newest published frames up to `sequence`, and stand there.

    `sequence` ends a frame and is published, as that of a snapshot is. What cannot be read is left out: then
    readers who resume from before get snapshots.
    """
    feed.attach(sequence)
    if sequence == 0:
        return
    try:
        records = await _newest(bus, shard)
        frames = list(_frames(records, sequence))
    except (BusError, WireError) as error:
        _log.warning("market data begins without a past", why=str(error))
        return
    if not frames or frames[-1][0] + len(frames[-1][2]) - 1 != sequence:
        return
    for number, (first, time_ns, events) in enumerate(frames):
        feed.on_applied(number, first, time_ns, events)


async def _newest(bus: Bus, shard: int) -> list[StoredRecord]:
    """The newest records, read from the end: of large ones few, for all of their events are in memory at once."""
    earliest, end = await bus.offsets(_TOPIC, shard)
    begin, size = end, 0
    parts: list[list[StoredRecord]] = []
    while begin > earliest and end - begin < _RECORDS and size < _BYTES:
        start = max(earliest, begin - _STEP)
        part = await _between(bus, shard, start, begin)
        parts.append(part)
        size += sum(len(record.value) for record in part)
        begin = start
    return [record for part in reversed(parts) for record in part]


async def _between(bus: Bus, shard: int, offset: int, end: int) -> list[StoredRecord]:
    records: list[StoredRecord] = []
    while offset < end:
        part = await bus.read(_TOPIC, shard, offset, max_records=end - offset)
        if not part:
            break
        records += part
        offset = part[-1].offset + 1
    return records


def _frames(records: list[StoredRecord], sequence: int) -> Iterator[tuple[int, int, Rows]]:
    """Whole frames up to `sequence`, without repeats and gaps; records of one frame are joined again."""
    parts: list[Rows] = []
    first, next_sequence, offset, time_ns = 0, 0, -1, 0
    whole = False
    for record in records:
        header, events = EVENTS.decode(record.value)
        begin = int(header["first_sequence"])
        if begin + len(events) - 1 > sequence:
            break
        if next_sequence and begin != next_sequence:
            continue  # a second publisher repeats
        if int(header["offset"]) != offset:
            if whole and parts:
                yield first, time_ns, smartex_wire.joined(parts)
            # The first frame in sight may have begun before it.
            whole = offset >= 0 or begin == 1
            parts, first, offset, time_ns = [], begin, int(header["offset"]), int(header["time_ns"])
        parts.append(events)
        next_sequence = begin + len(events)
    if whole and parts:
        yield first, time_ns, smartex_wire.joined(parts)
