"""SIGINT and SIGTERM: the first stops in order, the second in haste, the third leaves on the spot."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """Counts the signals that ask to stop."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()

    def install(self) -> None:
        """Take the signals over; needs a running loop."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._arrived)

    def remove(self) -> None:
        """Give the signals back."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

    async def unless_asked(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Do the work and return what it gives; on the first signal cancel it and return None."""
        task = asyncio.create_task(work)
        asked = asyncio.create_task(self.first.wait())
        try:
            await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return await task
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            return None
        finally:
            asked.cancel()
            task.cancel()

    def _arrived(self) -> None:
        if self.second.is_set():
            # The database's guardian and the agents see our end and follow.
            os._exit(130)
        (self.second if self.first.is_set() else self.first).set()
