"""Connections that die without a word, as when the other machine loses its power or its network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Line:
    """Leads to a server."""

    def __init__(self) -> None:
        self.port = 0
        self._living: list[asyncio.Event] = []

    def die(self) -> None:
        """Nothing comes through the connections that there are any more, and no end is told."""
        for alive in self._living:
            alive.clear()

    def connected(self) -> asyncio.Event:
        """A new connection: set until it dies."""
        alive = asyncio.Event()
        alive.set()
        self._living.append(alive)
        return alive


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter, alive: asyncio.Event) -> None:
    while data := await source.read(1 << 16):
        if alive.is_set():
            target.write(data)
            await target.drain()


@asynccontextmanager
async def line_to(port: int) -> AsyncIterator[Line]:
    """A line to the server on this port of loopback."""
    line = Line()
    ways: set[asyncio.Task[None]] = set()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        alive = line.connected()
        there, back = await asyncio.open_connection("127.0.0.1", port)
        for source, target in ((reader, back), (there, writer)):
            ways.add(asyncio.create_task(_carry(source, target, alive)))

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        server.close()
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
