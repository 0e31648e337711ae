"""The address to which WeChat and WeCom send what happens.

Anybody can call it. What is not signed with the account's token, is not for this account, is not of these
minutes or came before is refused before the handler hears of it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final, TypeAlias

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from notifications.channels.delivery import Clock, utc_now

from .crypto import RANDOM_BYTES, CallbackCrypto, CallbackRefused, Sealed
from .events import CallbackEvent, read_event
from .replays import ReplayGuard, check_time
from .xml import MAX_XML_BYTES, Node, XmlRefused, parse_xml, write_xml

HANDLER_SECONDS: Final = 4.5
"""WeChat waits 5 seconds for an answer, then sends again, three times in all."""

EventHandler: TypeAlias = Callable[[CallbackEvent], Awaitable[str]]
"""Takes an event; returns the text to answer the user with, or the empty text. Keep it short: write it down
and return. It drops events whose `key` came before. If it raises, the provider sends the event again.
"""

_log = structlog.get_logger("notifications.wechat")


def wechat_callback(
    crypto: CallbackCrypto, handler: EventHandler, *, clock: Clock = utc_now
) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint for GET and POST: `Route(path, wechat_callback(…), methods=["GET", "POST"])`.

    Refusals answer `{"error": REASON}`: 400 what cannot be read, 403 what is not believed, 413 what is too
    long, 503 what should be tried again.
    """
    callback = _Callback(crypto, handler, clock)

    async def answer(request: Request) -> Response:
        try:
            return await (callback.verify(request) if request.method == "GET" else callback.take(request))
        except CallbackRefused as refused:
            _log.warning("callback refused", reason=refused.reason, path=request.url.path)
            return JSONResponse({"error": refused.reason}, refused.status)

    return answer


class _Callback:
    def __init__(self, crypto: CallbackCrypto, handler: EventHandler, clock: Clock) -> None:
        self._crypto, self._handler, self._clock = crypto, handler, clock
        self._replays = ReplayGuard()

    async def verify(self, request: Request) -> Response:
        """Prove that the address is ours: WeChat sends a plain text to echo, WeCom an encrypted one."""
        query = request.query_params
        timestamp, nonce, echo = (_given(request, name) for name in ("timestamp", "nonce", "echostr"))
        if "msg_signature" in query:
            self._crypto.check(query["msg_signature"], timestamp, nonce, echo)
            echo = self._crypto.decrypt(echo).decode("utf-8", "replace")
        else:
            self._crypto.check(_given(request, "signature"), timestamp, nonce)
        check_time(timestamp, self._clock())
        return PlainTextResponse(echo)

    async def take(self, request: Request) -> Response:
        """Take one event."""
        signature, timestamp, nonce = (
            _given(request, name) for name in ("msg_signature", "timestamp", "nonce")
        )
        encrypted = _parse(await _read(request)).get("Encrypt")
        if not encrypted:
            raise CallbackRefused("NOT_ENCRYPTED", 400)
        self._crypto.check(signature, timestamp, nonce, encrypted)
        event = read_event(_parse(self._crypto.decrypt(encrypted)))
        seen = self._replays.admit(timestamp, nonce, self._clock())
        try:
            async with asyncio.timeout(HANDLER_SECONDS):
                reply = await self._handler(event)
        except BaseException as error:
            self._replays.forget(seen)
            if not isinstance(error, Exception):
                raise
            _log.exception("callback not handled", kind=type(event).__name__)
            raise CallbackRefused("NOT_HANDLED", 503) from error
        return self._answer(event, reply) if reply else PlainTextResponse("success")

    def _answer(self, event: CallbackEvent, text: str) -> Response:
        now = self._clock()
        sealed = self._crypto.seal(
            _reply(event, text, now).encode(),
            timestamp=str(int(now.timestamp())),
            nonce=secrets.token_hex(8),
            random=secrets.token_bytes(RANDOM_BYTES),
        )
        return Response(_envelope(sealed), media_type="application/xml")


def _reply(event: CallbackEvent, text: str, now: datetime) -> str:
    return write_xml(
        "xml",
        {
            "ToUserName": event.user,
            "FromUserName": event.account,
            "CreateTime": str(int(now.timestamp())),
            "MsgType": "text",
            "Content": text,
        },
    )


def _envelope(sealed: Sealed) -> str:
    return write_xml(
        "xml",
        {
            "Encrypt": sealed.encrypted,
            "MsgSignature": sealed.signature,
            "TimeStamp": sealed.timestamp,
            "Nonce": sealed.nonce,
        },
    )


def _given(request: Request, name: str) -> str:
    value = request.query_params.get(name, "")
    if not value or len(value) > 1024:
        raise CallbackRefused("PARAMETER_MISSING", 400)
    return value


async def _read(request: Request) -> bytes:
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > MAX_XML_BYTES:
                raise CallbackRefused("TOO_LARGE", 413)
    except ClientDisconnect as error:
        raise CallbackRefused("DISCONNECTED", 400) from error
    return bytes(body)


def _parse(data: bytes) -> Node:
    try:
        return parse_xml(data)
    except XmlRefused as error:
        raise CallbackRefused("XML_REFUSED", 400) from error
