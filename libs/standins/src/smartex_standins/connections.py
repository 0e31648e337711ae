"""Serve an ASGI application with Hypercorn's protocols, and let it cut the connection it is called on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Final, cast

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework
from starlette.types import ASGIApp

STOP_SECONDS: Final = 2.0
"""How long requests may take to finish after a stop."""

_connection: ContextVar[asyncio.StreamWriter] = ContextVar("connection")
"""The connection of the running request: every task of a connection inherits its context."""


def cut_connection() -> None:
    """Reset the connection of the running request, without an answer. ASGI itself knows no such thing."""
    _connection.get().transport.abort()


@contextlib.asynccontextmanager
async def serve_connections(app: ASGIApp, listening: socket.socket) -> AsyncIterator[None]:
    """Serve HTTP/1.1 and HTTP/2 (with prior knowledge) until the block ends."""
    config, context, loop = Config(), WorkerContext(None), asyncio.get_running_loop()
    # Starlette's types of messages are looser than Hypercorn's; they are the same messages.
    wrapped = ASGIWrapper(cast(ASGIFramework, app))
    connections: set[asyncio.Task[None]] = set()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        connections.add(task)
        task.add_done_callback(connections.discard)
        _connection.set(writer)
        await TCPServer(wrapped, loop, config, context, {}, reader, writer)

    server = await asyncio.start_server(serve_one, sock=listening)
    try:
        yield
    finally:
        server.close()
        await context.terminated.set()
        await _finish(connections)


async def _finish(connections: set[asyncio.Task[None]]) -> None:
    if not connections:
        return
    _, late = await asyncio.wait(connections, timeout=STOP_SECONDS)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
