"""What became of text messages, as gateways call back; only what is proved to come from them is read."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import SecretStr
from smartex_chassis import InvalidInput, Unauthenticated

from notifications.channels.webhook import decode_secret, sign

MAX_BODY_BYTES = 256 * 1024
MAX_AGE = timedelta(minutes=5)
"""How far the time of a signed callback may be from ours, so that it cannot be repeated later."""


@dataclass(frozen=True)
class Callback:
    """A request of a gateway's, and when it came."""

    headers: Mapping[str, str] = field(repr=False)
    """Names in small letters."""
    query: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    receive_time: datetime


@dataclass(frozen=True)
class SmsReceipt:
    """What became of one message."""

    delivery_id: str
    provider_id: str
    """As in `Sent`."""
    delivered: bool
    reason: str
    """The gateway's code."""
    gone: bool
    """The number is of no use any more: remove it."""


def check_key(callback: Callback, secret: SecretStr | None) -> None:
    """Raise `Unauthenticated` unless the URL was called with the `key` that only the gateway was given."""
    told = callback.query.get("key", "")
    if secret is None or not hmac.compare_digest(told.encode(), secret.get_secret_value().encode()):
        raise _not_believed()


def check_signature(callback: Callback, secret: SecretStr | None) -> None:
    """Raise `Unauthenticated` unless the callback is signed (Standard Webhooks) and fresh."""
    key = decode_secret(secret.get_secret_value()) if secret is not None else b""
    told = callback.headers.get("webhook-timestamp", "")
    if not key or not told.isascii() or not told.isdigit() or len(told) > 12:
        raise _not_believed()
    if abs(callback.receive_time.timestamp() - int(told)) > MAX_AGE.total_seconds():
        raise _not_believed()
    message_id = callback.headers.get("webhook-id", "")
    expected = sign([key], message_id, int(told), callback.body)["webhook-signature"]
    given = callback.headers.get("webhook-signature", "").split(" ")
    if not any(hmac.compare_digest(one.encode(), expected.encode()) for one in given):
        raise _not_believed()


def read_list(callback: Callback) -> list[dict[str, Any]]:
    """Return the objects of a JSON list, or a lone object; raises `InvalidInput`."""
    try:
        value = json.loads(callback.body) if len(callback.body) <= MAX_BODY_BYTES else None
    except (ValueError, RecursionError):
        value = None
    listed = [value] if isinstance(value, dict) else value
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise InvalidInput("send a JSON list of receipts", reason="RECEIPT_UNREADABLE", field="body")
    return listed


def _not_believed() -> Unauthenticated:
    return Unauthenticated("the receipt is not from the gateway", reason="RECEIPT_NOT_BELIEVED")
