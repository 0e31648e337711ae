"""Keeps the projector up in a process of its own; `following` is what runs in it.

Writing the history costs several times what taking the orders costs. In the pod's process it would take the event loop
from them; here it has a processor of its own where there is one, and gives way where there is none. It ends with its
standard input, so it never outlives the pod. What it logs, and where it stands, it writes to its standard output, and
the pod puts that into its own log and metrics.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from dataclasses import asdict, dataclass
from typing import Any, Final

import structlog
from smartex_bus import KafkaCompression
from smartex_chassis import start_task, stop_tasks

from matching.history.meters import position as position_gauge
from matching.history.meters import projected, set_aside
from matching.history.projector import SET_ASIDE

_log = structlog.get_logger("matching.history")

_FIRST_PAUSE = 0.5  # seconds
_LAST_PAUSE = 30.0
_STOP_WITHIN = 5.0
STANDS: Final = "history_stands"
LINE_BYTES = 1 << 20


@dataclass(frozen=True)
class Task:
    """What the process is told, on its standard input: the URLs hold passwords."""

    database_url: str
    bus_url: str
    shard: int
    holder: str
    settings: dict[str, Any]
    kafka_replication: int = 1
    kafka_compression: KafkaCompression = "none"

    @property
    def pod(self) -> str:
        """Who it projects for."""
        return self.holder

    def bus(self) -> str:
        """The log's URL."""
        return self.bus_url


class ProjectorProcess:
    """Keeps the process up: started again with growing pauses when it ends, and gone when the pod is."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._keeper: asyncio.Task[None] | None = None
        self._sequence = 0
        self.pid: int | None = None
        """The process, None while it is down."""

    async def start(self) -> None:
        """Start it, and keep it up from now on."""
        self._keeper = start_task(self._keep(), "history-process")

    async def stop(self) -> None:
        """Let it end its transaction and let another pod take over."""
        if self._keeper is None:
            return
        await stop_tasks(self._keeper)
        self._keeper = None

    async def _keep(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            reached = self._sequence
            status: int | str
            try:
                status = await self._run()
            except (
                OSError,
                ValueError,
            ) as error:  # there is no process to be had, or it said a line without an end
                status = str(error)
            if self._sequence > reached:
                pause = _FIRST_PAUSE
            _log.warning("history_process_ended", status=status, again_in_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE)

    async def _run(self) -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "matching.history.following"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=LINE_BYTES,
            # A session of its own: Ctrl-C is for the pod to handle, and it tells us.
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self.pid = process.pid
        try:
            process.stdin.write(json.dumps(asdict(self._task)).encode() + b"\n")
            async for line in process.stdout:
                self._hear(line)
            return await process.wait()
        finally:
            self.pid = None
            await asyncio.shield(_end(process))

    def _hear(self, line: bytes) -> None:
        try:
            said = json.loads(line)
            event, level = said.pop("event"), logging.getLevelNamesMapping()[said.pop("level").upper()]
        except (ValueError, KeyError, AttributeError):
            _log.warning("history_process_says", line=line.decode("utf-8", "backslashreplace")[:500])
            return
        if event == STANDS:
            self._stands(int(said["sequence"]))
            return
        if event == SET_ASIDE:
            set_aside.inc()
        for name in ("timestamp", "service", "logger"):
            said.pop(name, None)
        _log.log(level, event, **said)

    def _stands(self, sequence: int) -> None:
        if self._sequence:
            projected.inc(max(0, sequence - self._sequence))
        self._sequence = sequence
        position_gauge.set(sequence)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), _STOP_WITHIN)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
