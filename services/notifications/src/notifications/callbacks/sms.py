"""Receipts of the SMS gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

import structlog
from smartex_chassis import InvalidInput, Unauthenticated
from smartex_store import Database
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from notifications.channels.sms import RECEIPT_ANSWER, SmsChannel
from notifications.channels.sms_receipts import MAX_BODY_BYTES, Callback
from notifications.domain.sending import ChannelKind
from notifications.receipts import Receipt, Receipts

_log = structlog.get_logger("notifications.callbacks")


def sms_receipts(
    channel: SmsChannel, database: Database, receipts: Receipts, clock: Callable[[], datetime]
) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint. What is not proved to come from the gateway is refused with 403, garbage with 400."""

    async def take(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return JSONResponse({"error": "TOO_LARGE"}, 413)
        callback = Callback(dict(request.headers), dict(request.query_params), body, clock())
        try:
            told = channel.receipts(callback)
        except (Unauthenticated, InvalidInput) as error:
            _log.warning("receipt_refused", reason=error.reason)
            return JSONResponse({"error": error.reason}, 400 if isinstance(error, InvalidInput) else 403)
        async with database.transaction() as connection:
            for one in told:
                receipt = Receipt(ChannelKind.SMS, one.provider_id, one.delivered, one.reason, one.gone)
                await receipts.take(connection, receipt)
        return Response(RECEIPT_ANSWER, media_type="application/json")

    return take


async def _body(request: Request) -> bytes | None:
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY_BYTES:
                return None
    except ClientDisconnect:
        return None
    return bytes(body)
