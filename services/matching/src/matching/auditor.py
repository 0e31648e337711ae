"""Makes a snapshot beside the running pod, and checks the pod by the way.

`python -m matching.beside matching.auditor 15` starts from the last snapshot, replays the log with a core of its own up
to a checkpoint, and compares the hash with that of the pod. Only a state that two processes agree upon is saved. The
pod never pauses for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import structlog
from smartex_bus import open_bus
from smartex_chassis import gauge, start_task, stop_tasks
from smartex_chassis.logging import configure

from matching.checkpoints import Checkpoint, Checkpoints
from matching.domain import Core, CoreSettings
from matching.publisher import Publisher
from matching.recovery import frame_at, replay, restore, set_strangers_aside
from matching.replica import Replica
from matching.sequencer import Sequencer
from matching.snapshots import SnapshotFolder

_log = structlog.get_logger("matching.auditor")
_position = gauge(
    "matching_snapshot_position_events",
    "Sequence of this pod's newest snapshot: a start replays what is later; 0: it has none",
)

DISAGREES: Final = 3
_NICENESS: Final = "15"  # it may take its time
_LOOK_SECONDS = 2.0
_REST = 4.0
"""Rest after an audit, in times of what it took: to load and save a whole market costs processors, memory and the disk
the same whether much happened or little, and under load it takes from the orders."""
_REST_EVENTS = 40
"""A rest ends when so many times as many events as a snapshot is made after have come: a start replays them all."""
_ANY_SEQUENCE = 2**62


@dataclass(frozen=True)
class Audit:
    """What the auditor is told, on its standard input: the log's URL holds a password."""

    bus_url: str
    shard: int
    folder: str
    keep: int
    core: dict[str, int]
    offset: int
    state_hash: str


async def audit(task: Audit) -> int:
    """Replay, compare, save; the exit code."""
    folder = SnapshotFolder(Path(task.folder), task.shard, task.keep)
    settings = CoreSettings(**task.core)
    async with await open_bus(task.bus_url) as bus:
        await set_strangers_aside(bus, task.shard, folder)
        replica = await asyncio.to_thread(restore, folder, settings, _ANY_SEQUENCE)
        if replica.next_offset > task.offset + 1:
            replica = Replica(Core(settings))
        await replay(bus, task.shard, replica, up_to=task.offset)
        frame = await frame_at(bus, task.shard, task.offset)
    if replica.state_hash() != task.state_hash:
        return DISAGREES
    # If retention has removed the frame, the state came from a snapshot of this offset.
    if frame is not None:
        await asyncio.to_thread(folder.save, replica, frame)
    return 0


class Auditing:
    """Runs the auditor now and then."""

    def __init__(
        self,
        task: Audit,
        sequencer: Sequencer,
        publisher: Publisher,
        checkpoints: Checkpoints,
        every_events: int,
    ) -> None:
        self._template = task
        self._sequencer = sequencer
        self._publisher = publisher
        self._checkpoints = checkpoints
        self._every = every_events
        self._audited = 0
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        folder = SnapshotFolder(Path(self._template.folder), self._template.shard, self._template.keep)
        newest = await asyncio.to_thread(folder.newest_first)
        self._stands(newest[0].sequence if newest else 0)
        self._task = start_task(self._run(), "matching-auditing")

    async def stop(self) -> None:
        """End; an auditor under way is stopped, it has changed nothing yet."""
        await stop_tasks(self._task)
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _run(self) -> None:
        rested = 0.0
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            checkpoint = self._checkpoints.newest(self._publisher.published)
            if checkpoint is None or not self._due(checkpoint.sequence, time.monotonic() >= rested):
                continue
            began = time.monotonic()
            if await self._audit(checkpoint):
                self._stands(checkpoint.sequence)
            ended = time.monotonic()
            rested = ended + _REST * (ended - began)

    def _stands(self, sequence: int) -> None:
        self._audited = sequence
        _position.set(sequence)

    def _due(self, sequence: int, rested: bool) -> bool:
        events = sequence - self._audited
        return events >= self._every * (1 if rested else _REST_EVENTS)

    async def _audit(self, checkpoint: Checkpoint) -> bool:
        """Run the auditor up to a checkpoint; whether there is a snapshot of it."""
        try:
            code = await self._process_of(checkpoint)
        except OSError as error:
            _log.warning("no snapshot was made; the next checkpoint is tried", why=str(error))
            return False
        if code == DISAGREES:
            self._publisher.halt()
            self._sequencer.halt(
                f"the log replayed up to offset {checkpoint.offset} gives another state than this pod's: "
                "start the pod again"
            )
        elif code:
            _log.warning("no snapshot was made; the next checkpoint is tried", why=f"exit code {code}")
        return code == 0

    async def _process_of(self, checkpoint: Checkpoint) -> int | None:
        task = asdict(self._template) | {"offset": checkpoint.offset, "state_hash": checkpoint.own}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "matching.beside", "matching.auditor", _NICENESS),
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        await self._process.communicate(json.dumps(task).encode())
        return self._process.returncode


def main() -> int:
    """Do what standard input says."""
    configure(service="matching-auditor", level="info", form="auto")
    return asyncio.run(audit(Audit(**json.loads(sys.stdin.read()))))


if __name__ == "__main__":
    sys.exit(main())
