"""Programs beside the exchange, so that they do not steal its event loop: the demo's participants, the stand-ins."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog

from .logs import MAX_BYTES, roll

_log = structlog.get_logger("smartex.launcher")

_FIRST_PAUSE = 0.5  # seconds
_LAST_PAUSE = 30.0
_SOUND_AFTER = 60.0  # a run of this many seconds starts the pauses anew


class Child:
    """A program that is kept running: started again with growing pauses when it ends, and gone when we are.

    It holds a pipe to us as its standard input and must leave when that ends: so it does not outlive us even
    if we are killed. Its output is appended to `log`.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        name: str = "demo-agents",
        first_pause: float = _FIRST_PAUSE,
        stop_within: float = 5.0,
    ) -> None:
        self._command = list(command)
        self._log = log
        self._name = name
        self._first_pause = first_pause
        self._stop_within = stop_within
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self.starts = 0
        """How often it was started."""

    @property
    def pid(self) -> int | None:
        """Its process, or None while it is down."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Start it, and keep it up from now on."""
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name=self._name)

    async def stop(self) -> None:
        """End it: by the end of its input first, by force if it takes too long."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        _close_input(process)
        try:
            async with asyncio.timeout(self._stop_within):
                await process.wait()
        except TimeoutError:
            self._kill(process)
            await process.wait()

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._kill(self._process)

    async def _keep(self) -> None:
        pause, clock = self._first_pause, asyncio.get_running_loop().time
        while True:
            assert self._process is not None
            began = clock()
            status = await self._process.wait()
            _close_input(self._process)
            if clock() - began > _SOUND_AFTER:
                pause = self._first_pause
            _log.warning(
                "child ended", child=self._name, status=status, again_in_seconds=pause, log=str(self._log)
            )
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LAST_PAUSE)
            while not await self._spawned():
                await asyncio.sleep(pause)

    async def _spawned(self) -> bool:
        try:
            await self._spawn()
        except OSError as error:
            _log.warning("child not started", child=self._name, why=str(error))
            return False
        return True

    async def _spawn(self) -> None:
        if self._log.exists() and self._log.stat().st_size > MAX_BYTES:
            roll(self._log)
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C is for us to handle, and we tell it.
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self.starts += 1

    @staticmethod
    def _kill(process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


def agents_command(profiles: Path, rate: float, seed: int) -> list[str]:
    """The command that runs the demo's participants until its standard input ends."""
    words = ["--profiles", str(profiles), "--rate", f"{rate:g}", "--seed", str(seed), "--with-parent"]
    return [sys.executable, "-m", "smartex_agents", *words]


def _close_input(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
