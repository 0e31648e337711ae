"""What is old is deleted, a little at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog
from smartex_chassis import counter, start_task, stop_tasks
from smartex_store import Database, is_retryable

from notifications.store import retention

EVERY: Final = timedelta(hours=1)
BATCH: Final = 200
"""Notices that are deleted in one transaction: some hundredths of a second."""
PAUSE_SECONDS: Final = 0.2
"""Between two batches: the database has other things to do."""
MARGIN: Final = timedelta(days=1)
"""Notices are kept for longer than repeats of them are let in, so that the pods' clocks may differ."""

_forgotten = counter("notifications_forgotten_notices_total", "Notices that were deleted after their time")
_log = structlog.get_logger("notifications")


class Forgetter:
    """Deletes notices, with their inbox entries, deliveries and attempts, that are older than `kept`.

    Any number of pods run one: what one is deleting the others skip.
    """

    def __init__(self, database: Database, kept: timedelta, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._kept = kept + MARGIN
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._task = start_task(self._run(), "notifications-forgetter")

    async def stop(self) -> None:
        """Stop; what is half done is undone."""
        await stop_tasks(self._task)
        self._task = None

    async def forget(self) -> int:
        """Delete all that is old; returns how many notices."""
        now = self._clock()
        total = 0
        while gone := await retention.forget(self._database, now - self._kept, now, BATCH):
            total += gone
            _forgotten.inc(gone)
            await asyncio.sleep(PAUSE_SECONDS)
        return total

    async def _run(self) -> None:
        while True:
            try:
                gone = await self.forget()
                if gone:
                    _log.info("notices_forgotten", notices=gone, kept_days=self._kept.days)
            except Exception as error:
                if not (is_retryable(error) or isinstance(error, OSError | TimeoutError)):
                    _log.exception("forgetter_stopped_short")
            await asyncio.sleep(EVERY.total_seconds())
