"""Apple Push Notification service: `POST /3/device/{token}` over HTTP/2, with provider tokens."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from .apns_token import ProviderTokens
from .devices import Devices
from .keys import p256_key, private_pem, utc_now
from .people import People
from .standin import Look, PhoneMessage, Place, Settings, Standin

TOPIC: Final = "exchange.smart.app"
MAX_BYTES: Final = 4096

STATUS_OF: Final = {
    "BadCollapseId": 400,
    "BadDeviceToken": 400,
    "BadExpirationDate": 400,
    "BadMessageId": 400,
    "BadPriority": 400,
    "BadTopic": 400,
    "DeviceTokenNotForTopic": 400,
    "InvalidPushType": 400,
    "MissingTopic": 400,
    "PayloadEmpty": 400,
    "TopicDisallowed": 400,
    "ExpiredProviderToken": 403,
    "InvalidProviderToken": 403,
    "MissingProviderToken": 403,
    "MethodNotAllowed": 405,
    "ExpiredToken": 410,
    "Unregistered": 410,
    "PayloadTooLarge": 413,
    "TooManyProviderTokenUpdates": 429,
    "TooManyRequests": 429,
    "InternalServerError": 500,
    "ServiceUnavailable": 503,
    "Shutdown": 503,
}
"""HTTP status of each reason."""

_PUSH_TYPES: Final = {"alert", "background", "location", "voip", "complication", "fileprovider", "mdm"}
_LEVELS: Final = {"time-sensitive", "critical"}
_TOKEN = re.compile(r"[0-9a-fA-F]{64,200}")


class ApnsStandin(Standin):
    """Takes pushes for the devices it knows, from the provider whose key it knows."""

    name = "apns"
    title = "APNs"

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__()
        self._clock = clock
        self.devices = Devices(clock)

    async def start(self, place: Place, people: People) -> None:
        """Make the signing key and the phones of the demo."""
        await super().start(place, people)
        self._key = p256_key(place, "apns key")
        self.tokens = ProviderTokens(self._key.public_key(), self._clock)
        self.devices.start(people, lambda text: place.secret(f"apns {text}"))

    def provider_settings(self) -> Mapping[str, Settings]:
        """The table `[apns]`."""
        settings: Settings = {
            "key": private_pem(self._key),
            "key_id": self.tokens.key_id,
            "team_id": self.tokens.team_id,
            "topic": TOPIC,
            "base_url": self.place.base_url,
        }
        return {"apns": settings}

    def routes(self) -> Sequence[BaseRoute]:
        """The one route of APNs."""
        return [Route("/3/device/{token}", self._send, methods=["GET", "POST", "PUT", "DELETE"])]

    def controls(self) -> Sequence[BaseRoute]:
        """The devices."""
        return self.devices.routes()

    async def _send(self, request: Request) -> Response:
        message_id = request.headers.get("apns-id") or str(uuid.uuid4())
        if request.scope["http_version"] != "2":
            return Response(status_code=505)
        body = await request.body()
        reason = self._refusal(request, body)
        if reason:
            return refuse(reason, message_id, self._gone_since(request.path_params["token"], reason))
        self.show(_phone_message(request.path_params["token"], request.headers, json.loads(body)))
        return Response(status_code=200, headers={"apns-id": message_id})

    def _refusal(self, request: Request, body: bytes) -> str:
        """Return the reason against a push; empty if it is taken."""
        if request.method != "POST":
            return "MethodNotAllowed"
        bearer = request.headers.get("authorization", "").removeprefix("bearer ")
        if self.faults.take("token_expired"):
            self.tokens.expire(bearer)
        return (
            self.tokens.refusal(bearer)
            or ("TooManyRequests" if self.faults.take("rate_limited") else "")
            or check_headers(request.headers)
            or check_payload(body)
            or self._device_refusal(request.path_params["token"])
        )

    def _device_refusal(self, token: str) -> str:
        device = self.devices.find(token.lower()) if _TOKEN.fullmatch(token) else None
        if device is None:
            return "BadDeviceToken"
        if device.gone is not None:
            return "Unregistered"
        return device.error if device.error in STATUS_OF else ""

    def _gone_since(self, token: str, reason: str) -> datetime | None:
        device = self.devices.find(token.lower())
        return device.gone if device is not None and reason == "Unregistered" else None


def check_headers(headers: Headers) -> str:
    """Return the reason against the headers of a push; empty if they are right."""
    topic = headers.get("apns-topic", "")
    if topic != TOPIC:
        return "DeviceTokenNotForTopic" if topic else "MissingTopic"
    try:
        uuid.UUID(headers.get("apns-id", str(uuid.UUID(int=0))))
    except ValueError:
        return "BadMessageId"
    if headers.get("apns-priority", "10") not in ("1", "5", "10"):
        return "BadPriority"
    expiration = headers.get("apns-expiration", "0")
    if not expiration.isascii() or not expiration.isdigit():
        return "BadExpirationDate"
    if len(headers.get("apns-collapse-id", "").encode()) > 64:
        return "BadCollapseId"
    return "" if headers.get("apns-push-type", "alert") in _PUSH_TYPES else "InvalidPushType"


def check_payload(body: bytes) -> str:
    """Return the reason against the payload of a push; empty if it is right."""
    if len(body) > MAX_BYTES:
        return "PayloadTooLarge"
    try:
        payload = json.loads(body)
    except ValueError:
        payload = None
    return "" if isinstance(payload, dict) and isinstance(payload.get("aps"), dict) else "PayloadEmpty"


def refuse(reason: str, message_id: str, gone: datetime | None = None) -> Response:
    """Answer with a reason, and since when the device is gone."""
    body: dict[str, Any] = {"reason": reason}
    if gone is not None:
        body["timestamp"] = int(gone.timestamp() * 1000)
    return JSONResponse(body, status_code=STATUS_OF[reason], headers={"apns-id": message_id})


def _phone_message(token: str, headers: Headers, payload: Mapping[str, Any]) -> PhoneMessage:
    alert = payload["aps"].get("alert", {})
    texts = alert if isinstance(alert, dict) else {"body": alert}
    return PhoneMessage(
        address=token.lower(),
        look=Look.PUSH,
        sender="App (iPhone)",
        title=str(texts.get("title", "")),
        body=str(texts.get("body", "")),
        link=str(payload.get("link", "")),
        urgent=payload["aps"].get("interruption-level") in _LEVELS,
        replaces=headers.get("apns-collapse-id", ""),
    )
