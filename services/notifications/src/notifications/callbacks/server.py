"""Serves the callbacks over HTTP, beside gRPC."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Final, cast

import structlog
from hypercorn.asyncio import serve
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework
from smartex_chassis import BindFailed, PortInUse, start_task, stop_tasks
from starlette.types import ASGIApp

_VARIABLE: Final = "SMARTEX_CALLBACK_PORT"
_STOP_SECONDS: Final = 5.0
_READ_SECONDS: Final = 30

_log = structlog.get_logger("notifications.callbacks")


class CallbackServer:
    """HTTP/1.1 and HTTP/2 with prior knowledge; TLS is for what stands in front of it."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._app = app
        self._host = host
        self.port = port
        """The port, once it listens."""
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; raises `PortInUse` or `BindFailed`."""
        listening = _listen(self._host, self.port)
        self.port = listening.getsockname()[1]
        config = Config()
        # Hypercorn takes the descriptor over, and closes it.
        config.bind = [f"fd://{listening.detach()}"]
        config.graceful_timeout = _STOP_SECONDS
        # Who opens a connection and says nothing does not keep it.
        config.read_timeout = _READ_SECONDS
        config.accesslog = None
        config.errorlog = None
        # Starlette's types of messages are looser than Hypercorn's; they are the same messages.
        app = cast(ASGIFramework, self._app)
        self._task = start_task(
            serve(app, config, shutdown_trigger=self._stop.wait), "notifications-callbacks"
        )
        _log.info("callbacks_served", host=self._host, port=self.port)

    async def stop(self) -> None:
        """Finish the requests under way, and stop."""
        self._stop.set()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=2 * _STOP_SECONDS)
            await stop_tasks(self._task)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on, and every answer waits 40 ms for an acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(100)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(port, _VARIABLE) from error
        raise BindFailed(f"{host}:{port}", str(error.strerror), _VARIABLE) from error
    return listening
