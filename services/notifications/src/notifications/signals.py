"""Wakes the parts of every pod when rows have changed, through PostgreSQL's LISTEN and NOTIFY."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import structlog
from smartex_chassis import set_within, start_task, stop_tasks
from smartex_store import Connection, Database, is_retryable

Listener: TypeAlias = Callable[[str], None]
"""Takes a signal's payload; `EVERYTHING` if signals may have been missed. Returns at once."""
EVERYTHING: Final = "*"
_STOP_SECONDS: Final = 5.0

_log = structlog.get_logger("notifications.signals")


class Signals:
    """Listens. Whoever is called looks for itself what there is to do, so that a lost signal does no harm:
    every listener is also called every `poll_seconds`, and after every new connection.
    """

    def __init__(self, database: Database, poll_seconds: float = 1.0) -> None:
        self._database = database
        self._poll = poll_seconds
        self._listeners: dict[str, list[Listener]] = {}
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def on(self, channel: str, listener: Listener) -> None:
        """Call `listener` at every signal of a channel of NOTIFY; to be said before `start`."""
        self._listeners.setdefault(channel, []).append(listener)

    async def start(self) -> None:
        """Begin to listen."""
        self._task = start_task(self._run(), "notifications-signals")

    async def stop(self) -> None:
        """Stop listening. A statement under way ends first: its connection goes back to the pool whole."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=_STOP_SECONDS)
            await stop_tasks(self._task)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._listen()
            except Exception as error:
                if is_retryable(error):
                    _log.warning("signals_wait", why=str(error))
                else:
                    _log.exception("signals_interrupted")
                await asyncio.sleep(self._poll)

    async def _listen(self) -> None:
        async with self._database.acquire() as connection:
            for channel in self._listeners:
                await connection.add_listener(channel, self._heard)
            try:
                await self._watch(connection)
            finally:
                with contextlib.suppress(Exception):
                    # The connection may be broken, and goes back to the pool either way.
                    for channel in self._listeners:
                        await connection.remove_listener(channel, self._heard)

    async def _watch(self, connection: Connection) -> None:
        while not self._stopping.is_set():
            for channel in self._listeners:
                self._wake(channel, EVERYTHING)
            await set_within(self._stopping, self._poll)
            # A connection that died says nothing; this finds out.
            await connection.execute("SELECT 1")

    def _heard(self, connection: object, pid: int, channel: str, payload: object) -> None:
        self._wake(channel, str(payload))

    def _wake(self, channel: str, payload: str) -> None:
        for listener in self._listeners[channel]:
            listener(payload)


class Refreshing:
    """Refreshes something after signals, in the background and one at a time."""

    def __init__(self, name: str, refresh: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._refresh = refresh
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def wake(self, payload: str) -> None:
        """Refresh soon; a `Listener`."""
        self._asked.set()

    async def start(self) -> None:
        """Refresh once, then whenever asked. What fails now fails the start."""
        await self._refresh()
        self._task = start_task(self._run(), self._name)

    async def stop(self) -> None:
        """Refresh no more."""
        await stop_tasks(self._task)

    async def _run(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await self._refresh()
            except Exception as error:
                if not is_retryable(error):
                    _log.exception("not_refreshed", what=self._name)
                # The next signal, a moment later at most, tries again.
