"""Finishes what was left of accepted proposals."""

from __future__ import annotations

import asyncio

import structlog
from smartex_chassis import start_task, stop_tasks

from notifications.conversations.talking import Talking

_log = structlog.get_logger("notifications.conversations")


class Settler:
    """Finishes, at a start and now and then, what a crash or an absent market left unsettled."""

    def __init__(self, talking: Talking, every_seconds: float = 5.0) -> None:
        self._talking = talking
        self._every = every_seconds
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._task = start_task(self._run(), "notifications-settler")

    async def stop(self) -> None:
        """Stop."""
        await stop_tasks(self._task)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            try:
                await self._talking.settle_left()
            except Exception as error:
                _log.warning("proposals_wait", why=str(error))
