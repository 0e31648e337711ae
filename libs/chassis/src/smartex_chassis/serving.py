"""From the first signal to the exit code."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from smartex_chassis.garbage import settle_garbage
from smartex_chassis.server import ChassisServer, ServiceModule
from smartex_chassis.settings import ChassisSettings


async def serve(
    modules: Sequence[ServiceModule],
    settings: ChassisSettings,
    *,
    on_ready: Callable[[ChassisServer], None] | None = None,
) -> int:
    """Host the modules until SIGTERM or SIGINT, drain, and return the exit code (0 when all ended well).

    A second signal ends what is in flight at once; a third leaves the process on the spot.
    """
    server = ChassisServer(modules, settings)
    signals = _Signals()
    signals.install()
    try:
        if not await signals.first_before(server.start()):
            return 0
        settle_garbage()
        if on_ready is not None:
            on_ready(server)
        await _any(signals.first, server.failed)
        return await _drain_until(signals.second, server)
    finally:
        signals.remove()


async def _drain_until(hurry: asyncio.Event, server: ChassisServer) -> int:
    draining = asyncio.create_task(server.drain(), name="serve-drain")
    hurrying = asyncio.create_task(hurry.wait(), name="serve-hurry")
    await asyncio.wait({draining, hurrying}, return_when=asyncio.FIRST_COMPLETED)
    hurried = hurry.is_set()
    hurrying.cancel()
    if hurried:
        await server.hurry()
    await draining
    return 1 if hurried or server.failed.is_set() else 0


async def _any(*events: asyncio.Event) -> None:
    waiting = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()


class _Signals:
    """Counts SIGTERM and SIGINT: drain, hurry, leave."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()

    def install(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._arrived)

    def remove(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    async def first_before(self, starting: Awaitable[None]) -> bool:
        """Wait for the start and return True; on a signal before its end, undo it and return False."""
        start = asyncio.ensure_future(starting)
        asked = asyncio.create_task(self.first.wait(), name="stop-asked")
        await asyncio.wait({start, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if start.done():
            await start
            return True
        start.cancel()
        with suppress(asyncio.CancelledError):
            await start
        return False

    def _arrived(self) -> None:
        if self.second.is_set():
            os._exit(130)
        (self.second if self.first.is_set() else self.first).set()
