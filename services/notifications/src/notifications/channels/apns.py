"""Apple Push Notification service, over HTTP/2 with provider tokens: iPhone, iPad, Watch and Mac.

https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import Field, SecretStr

from notifications.channels.apns_token import ProviderTokens, parse_key
from notifications.channels.delivery import Clock, app_data, delivery_uuid, replace_key, utc_now
from notifications.channels.http import Answer, HttpCaller, HttpxCaller, failure, http2_client, safe_code
from notifications.channels.table import HTTP_URL, ProviderTable, read_table
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

MAX_PAYLOAD_BYTES = 4096
TOKEN_UPDATE_WAIT = timedelta(minutes=20)

_DEVICE_TOKEN = re.compile(r"(?:[0-9a-fA-F]{2}){8,100}")
_LEVELS = {
    Urgency.LOW: "passive",
    Urgency.NORMAL: "active",
    Urgency.HIGH: "active",
    Urgency.CRITICAL: "time-sensitive",
}
_GONE = frozenset({"BadDeviceToken", "ExpiredToken", "Unregistered"})
_LATER = frozenset(
    {"IdleTimeout", "InternalServerError", "ServiceUnavailable", "Shutdown", "TooManyRequests"}
)
_NEVER = frozenset(
    {
        "BadCollapseId",
        "BadExpirationDate",
        "BadMessageId",
        "BadPath",
        "BadPriority",
        "BadTopic",
        "DeviceTokenNotForTopic",
        "DuplicateHeaders",
        "InvalidPushType",
        "MethodNotAllowed",
        "MissingDeviceToken",
        "MissingTopic",
        "PayloadEmpty",
        "PayloadTooLarge",
        "TopicDisallowed",
    }
)


class ApnsTable(ProviderTable):
    """`[apns]` of the providers' file."""

    key: SecretStr = Field(description="PEM of the signing key (.p8); or key_file")
    key_id: str = Field(min_length=1, max_length=64, description="id of the key")
    team_id: str = Field(min_length=1, max_length=64, description="id of the developer team")
    topic: str = Field(min_length=1, description="bundle id of the app")
    base_url: str = Field(
        default="https://api.push.apple.com",
        pattern=HTTP_URL,
        description="where APNs is; https://api.sandbox.push.apple.com for development builds",
    )
    critical_alerts: bool = Field(
        default=False, description="sound through silence when CRITICAL; takes an entitlement of Apple's"
    )


class ApnsChannel:
    """Pushes through APNs. The address is a device token in hexadecimal."""

    kind = ChannelKind.APNS
    limits = Limits(title=64, body=178, payload_bytes=MAX_PAYLOAD_BYTES)
    idempotent = False

    def __init__(self, table: ApnsTable, tokens: ProviderTokens, http: HttpCaller) -> None:
        self._table = table
        self._tokens = tokens
        self._http = http

    async def send(self, address: Address, message: Message) -> Outcome:
        """Send; a provider token that APNs calls expired is renewed once."""
        if not _DEVICE_TOKEN.fullmatch(address.value):
            return AddressGone("BAD_DEVICE_TOKEN")
        content = encode(message, critical_alerts=self._table.critical_alerts)
        if len(content) > MAX_PAYLOAD_BYTES:
            return Refused("PAYLOAD_TOO_LARGE")
        token = self._tokens.get()
        answer = await self._post(address, message, token, content)
        if isinstance(answer, Answer) and reason_of(answer) == "ExpiredProviderToken":
            renewed = self._tokens.renew(token)
            answer = answer if renewed is None else await self._post(address, message, renewed, content)
        return outcome(answer) if isinstance(answer, Answer) else answer

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _post(
        self, address: Address, message: Message, token: str, content: bytes
    ) -> Answer | Failed | Refused:
        url = f"{self._table.base_url.rstrip('/')}/3/device/{address.value}"
        headers = {"authorization": f"bearer {token}", **headers_of(message, self._table.topic)}
        return await self._http.post(url, headers=headers, content=content)


def build(table: Mapping[str, object], *, clock: Clock = utc_now) -> ApnsChannel:
    """Return the channel of a table; raises `SettingsInvalid`."""
    settings = read_table(ApnsTable, "apns", table)
    key = parse_key(settings.key.get_secret_value())
    tokens = ProviderTokens(key, key_id=settings.key_id, team_id=settings.team_id, clock=clock)
    client = http2_client(time_limit=settings.time_limit)
    return ApnsChannel(settings, tokens, HttpxCaller(client, clock=clock, time_limit=settings.time_limit))


def headers_of(message: Message, topic: str) -> dict[str, str]:
    """Return the headers that say what kind of notification it is.

    `apns-id` is the same at every attempt, but APNs does not drop a repeat by it. `apns-collapse-id` is what
    makes a repeat replace the notification on the device.
    """
    headers = {
        "apns-id": delivery_uuid(message.delivery_id),
        "apns-topic": topic,
        "apns-push-type": "alert",
        "apns-priority": "5" if message.urgency is Urgency.LOW else "10",
        "apns-collapse-id": replace_key(message),
    }
    if message.expire_time is not None:
        headers["apns-expiration"] = str(int(message.expire_time.timestamp()))
    return headers


def encode(message: Message, *, critical_alerts: bool = False) -> bytes:
    """Return the payload: `aps` for the system, the rest for the app."""
    critical = critical_alerts and message.urgency is Urgency.CRITICAL
    aps: dict[str, Any] = {
        "alert": {"title": message.title, "body": message.body},
        "interruption-level": "critical" if critical else _LEVELS[message.urgency],
        "thread-id": message.kind,
    }
    if critical:
        aps["sound"] = {"critical": 1, "name": "default", "volume": 1.0}
    elif message.urgency is not Urgency.LOW:
        aps["sound"] = "default"
    payload = {**app_data(message), "aps": aps}
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def outcome(answer: Answer) -> Outcome:
    """Return what an answer of APNs means.

    DeviceTokenNotForTopic is refused, and keeps the address: it means as well that our topic was changed.
    """
    if answer.ok:
        return Sent(answer.headers.get("apns-id", ""))
    reason = reason_of(answer)
    if answer.status == 410 or reason in _GONE:
        return AddressGone(" ".join(filter(None, (reason or "Unregistered", _since(answer)))))
    if reason == "TooManyProviderTokenUpdates":
        return Failed(f"RATE_LIMITED {reason}", answer.retry_after() or TOKEN_UPDATE_WAIT)
    if reason in _NEVER:
        return Refused(reason)
    if reason in _LATER:
        return Failed(reason, answer.retry_after())
    return failure(answer, reason)


def reason_of(answer: Answer) -> str:
    """Return the reason in the answer's body, e.g. `BadDeviceToken`; empty if there is none."""
    return safe_code(answer.json().get("reason"))


def _since(answer: Answer) -> str:
    """Return the milliseconds since 1970 at which the device was seen to be gone, if APNs says."""
    moment = answer.json().get("timestamp")
    return str(moment) if isinstance(moment, int) else ""
