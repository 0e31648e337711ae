"""Webhooks of readers' own programs, signed as Standard Webhooks says.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpcore
from pydantic import Field

from notifications.channels.delivery import Clock, utc_now
from notifications.channels.http import Answer, HttpCaller, HttpxCaller, readers_client
from notifications.channels.table import ProviderTable, read_table
from notifications.domain.sending import (
    Address,
    AddressGone,
    ChannelKind,
    Failed,
    Limits,
    Message,
    Outcome,
    Refused,
    Sent,
)

SECRET_PREFIX = "whsec_"
MAX_URL = 2048


class WebhookTable(ProviderTable):
    """`[webhook]` of the providers' file."""

    allow_private: bool = Field(
        default=False, description="let readers name http and private addresses; for tests and own networks"
    )


class WebhookChannel:
    """Posts to a URL of the reader's. `secret` signs, and so does every other secret that begins with that name.

    Two secrets at once let a receiver change from one to the other.
    """

    kind = ChannelKind.WEBHOOK
    limits = Limits(payload_bytes=20 * 1024)
    idempotent = False

    def __init__(self, http: HttpCaller, clock: Clock, *, allow_private: bool = False) -> None:
        self._http = http
        self._clock = clock
        self._schemes = ("https", "http") if allow_private else ("https",)

    async def send(self, address: Address, message: Message) -> Outcome:
        """Send once."""
        if not self._is_callable(address.value):
            return Refused("BAD_URL")
        secrets = signing_secrets(address)
        if not secrets:
            return Refused("BAD_SECRET")
        content = encode(message)
        if len(content) > self.limits.payload_bytes:
            return Refused("PAYLOAD_TOO_LARGE")
        headers = {
            "content-type": "application/json",
            "user-agent": "smartex-webhook/1",
            **sign(secrets, message.delivery_id, int(self._clock().timestamp()), content),
        }
        answer = await self._http.post(address.value, headers=headers, content=content)
        return outcome(answer) if isinstance(answer, Answer) else answer

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def _is_callable(self, text: str) -> bool:
        try:
            url = urlsplit(text)
            # Reading the port checks it.
            return (
                url.scheme in self._schemes and bool(url.hostname) and url.port != 0 and len(text) <= MAX_URL
            )
        except ValueError:
            return False


def build(
    table: Mapping[str, object],
    *,
    clock: Clock = utc_now,
    backend: httpcore.AsyncNetworkBackend | None = None,
) -> WebhookChannel:
    """Return the channel of a table; raises `SettingsInvalid`. `backend` makes its connections."""
    settings = read_table(WebhookTable, "webhook", table)
    client = readers_client(
        time_limit=settings.time_limit, allow_private=settings.allow_private, backend=backend
    )
    http = HttpxCaller(client, clock=clock, time_limit=settings.time_limit)
    return WebhookChannel(http, clock, allow_private=settings.allow_private)


def signing_secrets(address: Address) -> list[bytes]:
    """Return the keys in the address's secrets, in the order of their names; empty if one is no key."""
    keys = [
        decode_secret(address.secrets[name]) for name in sorted(address.secrets) if name.startswith("secret")
    ]
    return keys if all(keys) else []


def decode_secret(text: str) -> bytes:
    """Return the key of a `whsec_…` secret, padded or not; empty if it is none."""
    key = text.removeprefix(SECRET_PREFIX)
    try:
        return base64.b64decode(key + "=" * (-len(key) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def sign(secrets: list[bytes], message_id: str, timestamp: int, content: bytes) -> dict[str, str]:
    """Return the three headers of Standard Webhooks, with a signature by each secret.

    `timestamp` is that of the attempt, in seconds since 1970.
    """
    signed = b".".join((message_id.encode(), str(timestamp).encode(), content))
    made = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in made),
    }


def encode(message: Message) -> bytes:
    """Return the body: the same bytes at every attempt, for a receiver may compare them."""
    data = {
        "id": message.delivery_id,
        "urgency": message.urgency.name.lower(),
        "language": message.language,
        "title": message.title,
        "body": message.body,
        "link": message.link,
        "collapse_key": message.collapse_key,
        "expire_time": message.expire_time.isoformat() if message.expire_time else None,
        "data": dict(message.data),
    }
    body = {"type": message.kind, "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def outcome(answer: Answer) -> Outcome:
    """Return what an answer means: 2xx taken, 410 never again, anything else is tried again.

    A receiver that answers 404 or a redirect today may be mended tomorrow.
    """
    if answer.ok:
        return Sent()
    if answer.status == 410:
        return AddressGone("GONE 410")
    reason = "RATE_LIMITED" if answer.status == 429 else "RECEIVER_FAILED"
    maybe = answer.status in (502, 504)
    return Failed(f"{reason} {answer.status}", answer.retry_after(), maybe_sent=maybe)
