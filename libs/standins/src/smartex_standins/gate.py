"""What stands before every provider's routes: faults and the log."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .connections import cut_connection
from .request_log import KEPT_BODY_BYTES, Received, RequestLog
from .standin import Standin

MAX_BODY_BYTES: Final = 8 << 20


class Gate:
    """ASGI middleware of one stand-in."""

    def __init__(self, app: ASGIApp, standin: Standin, log: RequestLog) -> None:
        self._app, self._standin, self._log = app, standin, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request as the provider, or as a provider in trouble."""
        body = await _read(receive)
        if body is None:
            await _answer(send, 413)
            return
        status, answer = await self._meet(scope, body, send)
        self._log.add(_received(self._standin.name, scope, body, status, answer))

    async def _meet(self, scope: Scope, body: bytes, send: Send) -> tuple[int, bytes]:
        faults = self._standin.faults
        if faults.slow_seconds:
            await asyncio.sleep(faults.slow_seconds)
        if faults.take("down"):
            cut_connection()
            return 0, b""
        if faults.take("server_error"):
            await _answer(send, 503)
            return 503, b""
        recorder = _Recorder(send, swallow=faults.take("cut_after_send"))
        await self._app(scope, _replay(body), recorder)
        if recorder.swallow:
            cut_connection()
            return 0, bytes(recorder.answer)
        return recorder.status, bytes(recorder.answer)


class _Recorder:
    """Passes an answer on and remembers it, or only remembers it."""

    def __init__(self, send: Send, *, swallow: bool) -> None:
        self._send, self.swallow = send, swallow
        self.status, self.answer = 0, bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif len(self.answer) < KEPT_BODY_BYTES:
            self.answer += message.get("body", b"")
        if not self.swallow:
            await self._send(message)


async def _read(receive: Receive) -> bytes | None:
    """Return the whole body, or None if it is too long or the client has left."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _answer(send: Send, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def _received(name: str, scope: Scope, body: bytes, status: int, answer: bytes) -> Received:
    query = scope["query_string"].decode("latin-1")
    path = unquote(scope["path"]) + (f"?{query}" if query else "")
    headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
    return Received(
        standin=name,
        method=scope["method"],
        path=path,
        headers=headers,
        body=_text(body),
        status=status,
        answer=_text(answer),
    )


def _text(data: bytes) -> str:
    return data[:KEPT_BODY_BYTES].decode("utf-8", "backslashreplace")
