"""Connections to one mail server that are used again: greeting, TLS and login cost more than the mail itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import aiosmtplib

MESSAGES_PER_CONNECTION = 100
"""After which it is left: servers set such a limit, and what balances them wants to choose anew."""
PROBE_SECONDS = 5.0
"""For how long an idle connection may take to show that it is alive."""
QUIT_SECONDS = 1.0


@dataclass
class SmtpConnection:
    """An open connection: greeted, protected and logged in."""

    client: aiosmtplib.SMTP
    messages: int = 0
    """How many were handed to it."""
    timer: asyncio.TimerHandle | None = None
    """Ends its idleness."""


class SmtpPool:
    """Keeps idle connections. Who takes one gives it back or closes it, so there are never more than users at once."""

    def __init__(self, new_client: Callable[[], aiosmtplib.SMTP], idle_seconds: float) -> None:
        self._new_client = new_client
        self._idle_seconds = idle_seconds
        self._idle: list[SmtpConnection] = []
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False

    async def kept(self) -> SmtpConnection | None:
        """Return the connection that was used last, if the server still answers on it; None if there is none."""
        while self._idle:
            connection = self._idle.pop()
            if connection.timer is not None:
                connection.timer.cancel()
            if await _reset(connection.client):
                return connection
        return None

    async def fresh(self) -> SmtpConnection:
        """Return a new connection; raises what aiosmtplib raises."""
        client = self._new_client()
        try:
            await client.connect()
        except BaseException:
            client.close()
            raise
        return SmtpConnection(client)

    def give_back(self, connection: SmtpConnection) -> None:
        """Keep a connection for the next message, or take leave of the server."""
        used_up = connection.messages >= MESSAGES_PER_CONNECTION
        if self._closed or used_up or not self._idle_seconds:
            self._leave(connection)
            return
        loop = asyncio.get_running_loop()
        connection.timer = loop.call_later(self._idle_seconds, self._expire, connection)
        self._idle.append(connection)

    async def close(self) -> None:
        """Take leave of the server on every idle connection; those in use follow when they are given back."""
        self._closed = True
        for connection in tuple(self._idle):
            self._expire(connection)
        await asyncio.gather(*self._leaving)

    def _expire(self, connection: SmtpConnection) -> None:
        if connection.timer is not None:
            connection.timer.cancel()
        self._idle.remove(connection)
        self._leave(connection)

    def _leave(self, connection: SmtpConnection) -> None:
        task = asyncio.create_task(_quit(connection.client), name="smtp-quit")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


async def _reset(client: aiosmtplib.SMTP) -> bool:
    """Return whether the server answers; what a refused message left in it is cleared."""
    alive = False
    with suppress(aiosmtplib.SMTPException, OSError):
        try:
            await client.rset(timeout=PROBE_SECONDS)
            alive = True
        finally:
            if not alive:
                client.close()
    return alive


async def _quit(client: aiosmtplib.SMTP) -> None:
    try:
        with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
            await client.quit(timeout=QUIT_SECONDS)
    finally:
        client.close()
