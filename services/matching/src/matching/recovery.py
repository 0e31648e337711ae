"""From a start to the present: the newest good snapshot, then the log."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import structlog
from smartex_bus import Bus, OffsetTrimmed, StoredRecord
from smartex_chassis import StartupError

from matching.domain import COMMAND, Core, CoreSettings
from matching.frames import COMMANDS_TOPIC, MAX_COMMANDS, Frame, FrameError, decode_frame
from matching.replica import Applied, Replica
from matching.snapshots import FrameId, SnapshotFolder, SnapshotInfo, SnapshotInvalid

_log = structlog.get_logger("matching.recovery")
_READ_RECORDS = 4000
_READ_BYTES = 4 << 20
_BUFFER_COMMANDS = 200_000
_QUEUED = 2
"""Batches of frames that are being applied or wait for it."""
_PROGRESS_SECONDS = 2.0

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]
OnApplied = Callable[[Applied], None]
"""Told of each replayed frame, in a thread; the events are overwritten afterwards."""


async def set_strangers_aside(bus: Bus, shard: int, folder: SnapshotFolder) -> None:
    """Set aside every snapshot that was not made from this log; to be done before `restore`.

    The log may have been restored from a backup: what was applied after that was taken is a lost time line.
    """
    for info in await asyncio.to_thread(folder.newest_first):
        why = await _strangeness(bus, shard, info)
        if why:
            await asyncio.to_thread(folder.set_aside, info, why)


async def _strangeness(bus: Bus, shard: int, info: SnapshotInfo) -> str:
    """Why a snapshot cannot be of this log, or nothing."""
    _, end = await bus.offsets(COMMANDS_TOPIC, shard)
    if info.offset >= end:
        return f"the log ends before it: {end} is its next offset"
    found = await frame_at(bus, shard, info.offset)
    if found is None or info.frame is None or found == info.frame:
        return ""
    return "the log has another frame at its offset"


async def frame_at(bus: Bus, shard: int, offset: int) -> FrameId | None:
    """The frame that the log has at an offset, or None if it has none there (any more)."""
    try:
        records = await _read(bus, shard, offset, offset + 1)
    except OffsetTrimmed:
        return None
    if not records:
        return None
    frame = decode_frame(records[0].value)
    return FrameId(frame.producer_id, frame.frame_id)


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

    Three steps go on at a time: the log is read, one thread decodes what was read before that, another applies
    what was decoded before (the core lets others run meanwhile). The next frames are decoded and queued before
    those before them are applied, so that the thread that applies never waits for the event loop.
    """
    loop = asyncio.get_running_loop()
    end = up_to + 1 if up_to is not None else (await bus.offsets(COMMANDS_TOPIC, shard))[1]
    offset = replica.next_offset
    if offset > end:
        raise StartupError(
            f"this state goes up to offset {offset - 1}, but the log has only those before {end}: it is another log's",
            reason="STATE_OF_ANOTHER_LOG",
        )
    progress = _Progress(end)
    reading = asyncio.ensure_future(_read(bus, shard, offset, end))
    with (
        ThreadPoolExecutor(1, "matching-decode") as decoder,
        ThreadPoolExecutor(1, "matching-apply") as applier,
    ):
        buffers = deque(_Buffer() for _ in range(_QUEUED + 1))
        applying: deque[asyncio.Future[int]] = deque()
        try:
            while records := await reading:
                offset = records[-1].offset + 1
                reading = asyncio.ensure_future(_read(bus, shard, offset, end))
                decoded = await loop.run_in_executor(decoder, buffers[0].decode, records)
                rows = buffers[0].rows
                buffers.rotate()
                applying.append(loop.run_in_executor(applier, _apply, replica, decoded, rows, on_applied))
                if len(applying) == _QUEUED:  # now the buffer that comes next is free
                    progress.count(await applying.popleft(), replica)
            for applied in applying:
                progress.count(await applied, replica)
        finally:
            reading.cancel()
            for applied in applying:
                applied.cancel()
            await asyncio.gather(*applying, return_exceptions=True)
    return progress.done(replica)


class _Progress:
    """How far a replay has come, and its lines in the log."""

    def __init__(self, end: int) -> None:
        self._end = end
        self._began = self._told = time.monotonic()
        self._commands = 0

    def count(self, commands: int, replica: Replica) -> None:
        """Some more commands are applied."""
        self._commands += commands
        if time.monotonic() - self._told > _PROGRESS_SECONDS:
            self._told = time.monotonic()
            _log.info("recovering", offset=replica.next_offset, end=self._end, commands=self._commands)

    def done(self, replica: Replica) -> int:
        """All are applied: how many there were."""
        seconds = round(time.monotonic() - self._began, 3)
        _log.info("recovered", offset=replica.next_offset - 1, commands=self._commands, seconds=seconds)
        return self._commands


async def _read(bus: Bus, shard: int, offset: int, end: int) -> list[StoredRecord]:
    if offset >= end:
        return []
    return await bus.read(
        COMMANDS_TOPIC, shard, offset, max_records=min(_READ_RECORDS, end - offset), max_bytes=_READ_BYTES
    )


class _Decoded(NamedTuple):
    """A frame of the log. `start`: where its commands begin in the buffer, -1 if they are elsewhere."""

    offset: int
    frame: Frame
    start: int


class _Buffer:
    """Memory for the commands of many frames, used again: new memory would cost as much as decoding."""

    def __init__(self) -> None:
        self.rows: Rows = np.empty(_BUFFER_COMMANDS, COMMAND)

    def decode(self, records: list[StoredRecord]) -> list[_Decoded]:
        """The frames of the records; they last until the next call."""
        found: list[_Decoded] = []
        used = 0
        for record in records:
            decoded = self._into(record, used)
            found.append(decoded)
            if decoded.start >= 0:
                used += len(decoded.frame.commands)
        return found

    def _into(self, record: StoredRecord, used: int) -> _Decoded:
        if used + MAX_COMMANDS <= len(self.rows):
            # A frame that is larger than ours ever are gets memory of its own.
            with contextlib.suppress(FrameError):
                return _Decoded(record.offset, decode_frame(record.value, self.rows[used:]), used)
        return _Decoded(record.offset, decode_frame(record.value), -1)


def _apply(replica: Replica, decoded: list[_Decoded], rows: Rows, on_applied: OnApplied | None) -> int:
    """Apply the frames; how many commands they had. If nobody is told of them, as many at once as can be."""
    run: list[_Decoded] = []
    for each in decoded:
        next_offset = replica.next_offset + len(run)
        if each.offset != next_offset:
            _apply_run(replica, run, rows)
            raise FrameError(f"the log goes from offset {next_offset - 1} to {each.offset}: a gap")
        if on_applied is None and each.start >= 0 and not each.frame.definitions:
            run.append(each)
            continue
        _apply_run(replica, run, rows)
        run = []
        applied = replica.apply(each.offset, each.frame, keep=False)
        if on_applied is not None:
            on_applied(applied)
    _apply_run(replica, run, rows)
    return sum(len(each.frame.commands) for each in decoded)


def _apply_run(replica: Replica, run: list[_Decoded], rows: Rows) -> None:
    """Apply frames whose commands lie one behind the other in the buffer."""
    if not run:
        return
    start, last = run[0].start, run[-1]
    cuts = [(each.start + len(each.frame.commands) - start, each.frame.time_ns) for each in run]
    end = last.start + len(last.frame.commands)
    replica.apply_unread(run[0].offset, rows[start:end], np.array(cuts, np.int64))
