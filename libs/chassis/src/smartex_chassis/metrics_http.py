"""A very small HTTP server: `/metrics` for Prometheus, `/livez` and `/readyz` for probes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from smartex_chassis.ports import refusal

_MAX_HEAD = 8192
_TIMEOUT_SECONDS = 5.0
_PLAIN = "text/plain; charset=utf-8"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}


class MetricsServer:
    """Serves on its own port until closed; knows GET and HEAD, one request for each connection."""

    def __init__(self, ready: Callable[[], bool]) -> None:
        self._ready = ready
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen; raises `PortInUse` or `BindFailed`."""
        try:
            self._server = await asyncio.start_server(self._serve, host, port, limit=_MAX_HEAD)
        except OSError as error:
            raise refusal(host, port, error, port_variable="SMARTEX_METRICS_PORT") from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                writer.write(await self._answer(await _head(reader)))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client is slow, gone, or talks something else: nothing to tell it
        finally:
            writer.close()

    async def _answer(self, head: bytes) -> bytes:
        parts = head.split(b"\r\n", 1)[0].split(b" ")
        if len(parts) != 3:
            return _response(400, "this is not HTTP\n")
        method, target = parts[0], parts[1].split(b"?", 1)[0]
        if method not in (b"GET", b"HEAD"):
            return _response(405, "GET or HEAD only\n")
        answer = await self._page(target)
        return answer.split(b"\r\n\r\n", 1)[0] + b"\r\n\r\n" if method == b"HEAD" else answer

    async def _page(self, target: bytes) -> bytes:
        if target == b"/metrics":
            # In a thread: a large registry takes long enough to be felt by the loop.
            return _response(200, await asyncio.to_thread(generate_latest), CONTENT_TYPE_LATEST)
        if target == b"/livez":
            return _response(200, "alive\n")
        if target == b"/readyz":
            return _response(200, "ready\n") if self._ready() else _response(503, "not ready\n")
        return _response(404, "try /metrics, /livez or /readyz\n")


async def _head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


def _response(status: int, body: str | bytes, kind: str = _PLAIN) -> bytes:
    content = body.encode() if isinstance(body, str) else body
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + content
