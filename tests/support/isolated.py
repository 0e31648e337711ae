"""Ports and databases that no other test has."""

from __future__ import annotations

import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from smartex_store import Database, EmbeddedPostgres


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def fresh_database(server: EmbeddedPostgres) -> AsyncIterator[str]:
    """The URL of a new database with nothing in it; it stays until its server goes."""
    name = f"d{uuid.uuid4().hex[:12]}"
    async with Database.connect(server.url) as admin:
        await admin.execute(f"create database {name}")
    base, _, query = server.url.partition("?")
    yield base.rpartition("/")[0] + f"/{name}" + (f"?{query}" if query else "")
