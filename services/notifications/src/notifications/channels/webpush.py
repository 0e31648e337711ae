"""Web Push: browsers and installed web apps. RFC 8030 (delivery), RFC 8291 (encryption), RFC 8292 (VAPID)."""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

import http_ece
import httpcore
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import Field, SecretStr

from notifications.channels.delivery import Clock, replace_key, seconds_left, utc_now
from notifications.channels.http import Answer, HttpCaller, HttpxCaller, failure, readers_client
from notifications.channels.table import ProviderTable, read_table
from notifications.channels.webpush_vapid import VapidTokens, parse_key
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
    Urgency,
)

MAX_BODY_BYTES = 4096
"""Of the encrypted body; a push service need take no more (RFC 8030, section 7.2)."""
OVERHEAD_BYTES = 86 + 16 + 1
"""Header with our public key, authentication tag, padding delimiter (RFC 8291, section 4)."""
MAX_TTL = 4 * 7 * 86_400

_URGENCY = {
    Urgency.LOW: "low",
    Urgency.NORMAL: "normal",
    Urgency.HIGH: "high",
    Urgency.CRITICAL: "high",
}


class WebPushTable(ProviderTable):
    """`[webpush]` of the providers' file."""

    private_key: SecretStr = Field(
        description="VAPID key: 32 bytes in base64url, or PEM; or private_key_file"
    )
    contact: str = Field(
        pattern="^(mailto:|https://)", description="whom a push service may ask: a mailto: or https: URL"
    )
    allow_private: bool = Field(
        default=False, description="let subscriptions name http and private addresses; for tests"
    )


class WebPushChannel:
    """Pushes to a subscription: the address is its endpoint, with `p256dh` and `auth` as secrets."""

    kind = ChannelKind.WEBPUSH
    limits = Limits(title=64, body=240, payload_bytes=MAX_BODY_BYTES - OVERHEAD_BYTES)
    idempotent = False

    def __init__(
        self, vapid: VapidTokens, http: HttpCaller, clock: Clock, *, allow_private: bool = False
    ) -> None:
        self._vapid = vapid
        self.public_key = vapid.public_key
        """What browsers subscribe with (`applicationServerKey`)."""
        self._http = http
        self._clock = clock
        self._schemes = ("https", "http") if allow_private else ("https",)

    async def send(self, address: Address, message: Message) -> Outcome:
        """Send; a VAPID token that is not believed any more is renewed once."""
        url = urlsplit(address.value)
        keys = subscription_keys(address)
        if url.scheme not in self._schemes or not url.hostname or keys is None:
            return AddressGone("BAD_SUBSCRIPTION")
        payload = encode(message)
        if len(payload) > self.limits.payload_bytes:
            return Refused("PAYLOAD_TOO_LARGE")
        body = encrypt(payload, *keys)
        headers = headers_of(message, seconds_left(message, self._clock()))
        origin = f"{url.scheme}://{url.netloc}"
        token = self._vapid.get(origin)
        answer = await self._post(address, token, headers, body)
        if isinstance(answer, Answer) and answer.status in (401, 403):
            renewed = self._vapid.renew(origin, token)
            answer = answer if renewed is None else await self._post(address, renewed, headers, body)
        return outcome(answer) if isinstance(answer, Answer) else answer

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _post(
        self, address: Address, token: str, headers: Mapping[str, str], body: bytes
    ) -> Answer | Failed | Refused:
        authorization = f"vapid t={token}, k={self._vapid.public_key}"
        return await self._http.post(
            address.value, headers={**headers, "authorization": authorization}, content=body
        )


def build(
    table: Mapping[str, object],
    *,
    clock: Clock = utc_now,
    backend: httpcore.AsyncNetworkBackend | None = None,
) -> WebPushChannel:
    """Return the channel of a table; raises `SettingsInvalid`. `backend` makes its connections."""
    settings = read_table(WebPushTable, "webpush", table)
    vapid = VapidTokens(parse_key(settings.private_key.get_secret_value()), settings.contact, clock)
    client = readers_client(
        time_limit=settings.time_limit, allow_private=settings.allow_private, backend=backend
    )
    http = HttpxCaller(client, clock=clock, time_limit=settings.time_limit)
    return WebPushChannel(vapid, http, clock, allow_private=settings.allow_private)


def subscription_keys(address: Address) -> tuple[ec.EllipticCurvePublicKey, bytes] | None:
    """Return the browser's public key and authentication secret; None if they are none."""
    try:
        point, auth = (_decoded(address.secrets[name]) for name in ("p256dh", "auth"))
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except (KeyError, ValueError):
        return None
    return (key, auth) if len(auth) == 16 else None


def encrypt(
    payload: bytes,
    receiver: ec.EllipticCurvePublicKey,
    auth: bytes,
    *,
    salt: bytes | None = None,
    make_key: Callable[[], ec.EllipticCurvePrivateKey] = lambda: ec.generate_private_key(ec.SECP256R1()),
) -> bytes:
    """Return the payload in one record of `aes128gcm`, under a key and a salt for this message alone."""
    return bytes(
        http_ece.encrypt(
            payload,
            salt=salt or os.urandom(16),
            private_key=make_key(),
            dh=receiver,
            auth_secret=auth,
            version="aes128gcm",
        )
    )


def encode(message: Message) -> bytes:
    """Return what the service worker of the web app reads. It shows it under `tag`."""
    payload = {
        "title": message.title,
        "body": message.body,
        "link": message.link,
        "language": message.language,
        # A notification with the tag of one that is shown takes its place: so does a repeat.
        "tag": replace_key(message),
        "data": {**message.data, "delivery_id": message.delivery_id},
    }
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def headers_of(message: Message, ttl: int | None) -> dict[str, str]:
    """Return the headers for the push service. `Topic` lets a message replace one that still waits there."""
    return {
        "content-type": "application/octet-stream",
        "content-encoding": "aes128gcm",
        "ttl": str(MAX_TTL if ttl is None else min(ttl, MAX_TTL)),
        "urgency": _URGENCY[message.urgency],
        "topic": replace_key(message),
    }


def outcome(answer: Answer) -> Outcome:
    """Return what an answer of a push service means (RFC 8030, section 8)."""
    if answer.ok:
        return Sent(answer.headers.get("location", ""))
    if answer.status in (404, 410):
        return AddressGone(f"UNSUBSCRIBED {answer.status}")
    return failure(answer)


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
