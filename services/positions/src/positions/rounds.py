"""Work that is done again and again: each round by itself, and none that fails stops the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import grpc.aio
import structlog
from smartex_chassis import counter, start_task, stop_tasks
from smartex_store import StoreError

_log = structlog.get_logger("positions.rounds")
_failed = counter("positions_rounds_failed_total", "Rounds of timed work that failed", ["round"])


@dataclass(frozen=True)
class Round:
    """A piece of work and the seconds between two of it."""

    name: str
    every_seconds: float
    work: Callable[[], Awaitable[object]]


class Rounds:
    """Runs rounds while `working` says that this pod is the one that writes."""

    def __init__(self, rounds: Sequence[Round], working: Callable[[], bool]) -> None:
        self._rounds = rounds
        self._working = working
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin; the first of each comes after its time."""
        self._tasks = [start_task(self._run(one), f"positions-{one.name}") for one in self._rounds]

    async def stop(self) -> None:
        """Stop all."""
        await stop_tasks(*self._tasks)
        self._tasks = []

    async def _run(self, one: Round) -> None:
        while True:
            await asyncio.sleep(one.every_seconds)
            if not self._working():
                continue
            try:
                await one.work()
            except (StoreError, OSError, grpc.aio.AioRpcError) as error:
                _log.warning("round_waits", round=one.name, why=str(error))
            except Exception:
                # A bug in one account's figures must not end the supervision of all others.
                _failed.labels(one.name).inc()
                _log.exception("round_failed", round=one.name)
