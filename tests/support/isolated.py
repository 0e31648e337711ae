"""Ports and databases that no other test has."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count

from smartex_store import Database, EmbeddedPostgres

_FIRST_PORT, _PORTS = 10_000, 22_000
"""Below those that the system gives to outgoing connections: one of these may take a free port a moment later."""
_numbers = count(997 * os.getpid())


def free_port() -> int:
    """A loopback port that nobody uses now, and that no other test of this process was given."""
    while True:
        port = _FIRST_PORT + next(_numbers) % _PORTS
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@asynccontextmanager
async def fresh_database(server: EmbeddedPostgres) -> AsyncIterator[str]:
    """The URL of a new database with nothing in it; it stays until its server goes."""
    name = f"d{uuid.uuid4().hex[:12]}"
    async with Database.connect(server.url) as admin:
        await admin.execute(f"create database {name}")
    base, _, query = server.url.partition("?")
    yield base.rpartition("/")[0] + f"/{name}" + (f"?{query}" if query else "")
