"""From a start to the present: the newest good snapshot, then the log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog
from smartex_bus import Bus, StoredRecord

from matching.domain import Core, CoreSettings
from matching.frames import COMMANDS_TOPIC, FrameError, decode_frame
from matching.replica import Applied, Replica
from matching.snapshots import SnapshotFolder, SnapshotInvalid

_log = structlog.get_logger("matching.recovery")
_READ_RECORDS = 4000
_PROGRESS_SECONDS = 2.0

OnApplied = Callable[[Applied], None]
"""Told of each replayed frame, in a thread; the events are overwritten afterwards."""


def restore(
    folder: SnapshotFolder, settings: CoreSettings, published: int, *, check_conservation: bool = False
) -> Replica:
    """The newest good snapshot from which every unpublished event will be seen again, or an empty market."""
    for info in folder.newest_first():
        if info.sequence > published:
            # What came after `published` has to be published still, and only applying it again brings it back.
            continue
        try:
            replica = folder.load(info, settings, check_conservation=check_conservation)
        except (SnapshotInvalid, OSError) as error:
            _log.warning("a snapshot is passed over", file=info.path.name, why=str(error))
            continue
        _log.info("snapshot loaded", file=info.path.name, offset=info.offset, sequence=info.sequence)
        return replica
    return Replica(Core(settings, check_conservation=check_conservation))


async def replay(
    bus: Bus, shard: int, replica: Replica, *, up_to: int | None = None, on_applied: OnApplied | None = None
) -> int:
    """Apply the log from the replica's next offset on, up to its end or to offset `up_to`; returns the commands.

    The next records are read while a thread applies those before them.
    """
    end = up_to + 1 if up_to is not None else (await bus.offsets(COMMANDS_TOPIC, shard))[1]
    began = told = time.monotonic()
    commands, offset = 0, replica.next_offset
    reading = asyncio.ensure_future(_read(bus, shard, offset, end))
    try:
        while records := await reading:
            offset = records[-1].offset + 1
            reading = asyncio.ensure_future(_read(bus, shard, offset, end))
            commands += await asyncio.to_thread(_apply, replica, records, on_applied)
            if time.monotonic() - told > _PROGRESS_SECONDS:
                told = time.monotonic()
                _log.info("recovering", offset=offset, end=end, commands=commands)
    finally:
        reading.cancel()
    seconds = time.monotonic() - began
    _log.info("recovered", offset=replica.next_offset - 1, commands=commands, seconds=round(seconds, 3))
    return commands


async def _read(bus: Bus, shard: int, offset: int, end: int) -> list[StoredRecord]:
    if offset >= end:
        return []
    return await bus.read(COMMANDS_TOPIC, shard, offset, max_records=min(_READ_RECORDS, end - offset))


def _apply(replica: Replica, records: list[StoredRecord], on_applied: OnApplied | None) -> int:
    commands = 0
    for record in records:
        if record.offset != replica.next_offset:
            raise FrameError(f"the log goes from offset {replica.next_offset - 1} to {record.offset}: a gap")
        frame = decode_frame(record.value)
        commands += len(frame.commands)
        applied = replica.apply(record.offset, frame, keep=False)
        if on_applied is not None:
            on_applied(applied)
    return commands
