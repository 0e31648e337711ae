"""Firebase Cloud Messaging, HTTP v1: `POST /v1/projects/{project}/messages:send`, and Google's token endpoint."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from .devices import Devices
from .fcm_oauth import OAuth
from .keys import private_pem, rsa_key, utc_now, write_private
from .people import People
from .standin import Look, PhoneMessage, Place, Settings, Standin

PROJECT: Final = "smartex-standin"
MAX_BYTES: Final = 4096
RETRY_AFTER: Final = 30
"""Seconds to wait after QUOTA_EXCEEDED."""

STATUS_OF: Final = {
    "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT"),
    "UNREGISTERED": (404, "NOT_FOUND"),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED"),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED"),
    "UNAVAILABLE": (503, "UNAVAILABLE"),
    "INTERNAL": (500, "INTERNAL"),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED"),
}
"""HTTP status and `google.rpc` code of each `FcmError`."""

_TOKEN = re.compile(r"[A-Za-z0-9_:-]{20,300}")
_TTL = re.compile(r"\d{1,7}(\.\d{1,9})?s")
_RESERVED = re.compile(r"from|message_type|google.*|gcm.*")
_KNOWN: Final = {"token", "notification", "data", "android", "apns", "webpush", "fcm_options", "name"}


class FcmStandin(Standin):
    """Takes pushes for the devices it knows, with an access token it gave."""

    name = "fcm"
    title = "FCM"

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__()
        self._clock = clock
        self.devices = Devices(clock)
        self._sent = 0

    async def start(self, place: Place, people: People) -> None:
        """Make the service account and the phones of the demo."""
        await super().start(place, people)
        key = rsa_key(place, "fcm-account")
        self.oauth = OAuth(key.public_key(), f"{place.base_url}/token", self._clock)
        self.devices.start(
            people, lambda text: f"{place.secret(text)[:22]}:APA91b{place.secret(f'fcm {text}')}"
        )
        account = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": place.secret("fcm key id")[:40],
            "private_key": private_pem(key),
            "client_email": self.oauth.email,
            "token_uri": self.oauth.token_uri,
        }
        self._credentials = place.folder / "fcm-credentials.json"
        write_private(self._credentials, json.dumps(account, indent=2))

    def provider_settings(self) -> Mapping[str, Settings]:
        """The table `[fcm]`."""
        return {
            "fcm": {"credentials_file": str(self._credentials.resolve()), "base_url": self.place.base_url}
        }

    def routes(self) -> Sequence[BaseRoute]:
        """The token endpoint and the messages."""
        return [
            Route("/token", self._token, methods=["POST"]),
            Route("/v1/projects/{project}/messages:send", self._send, methods=["POST"]),
        ]

    def controls(self) -> Sequence[BaseRoute]:
        """The devices."""
        return self.devices.routes()

    async def _token(self, request: Request) -> Response:
        return self.oauth.answer(dict(parse_qsl((await request.body()).decode("utf-8", "replace"))))

    async def _send(self, request: Request) -> Response:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.faults.take("token_expired"):
            self.oauth.forget(bearer)
        if not self.oauth.is_good(bearer):
            return _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        if request.path_params["project"] != PROJECT:
            return _error(403, "PERMISSION_DENIED", "The caller does not have permission")
        if self.faults.take("rate_limited"):
            return fcm_error("QUOTA_EXCEEDED", "Quota exceeded for quota metric")
        try:
            body = json.loads(await request.body())
            message = body["message"]
        except (ValueError, KeyError, TypeError):
            return bad_request("message", "Invalid JSON payload received.")
        return check(message) or self._deliver(message)

    def _deliver(self, message: Mapping[str, Any]) -> Response:
        device = self.devices.find(message["token"])
        if device is None:
            return fcm_error(
                "INVALID_ARGUMENT", "The registration token is not a valid FCM registration token"
            )
        if device.gone is not None:
            return fcm_error("UNREGISTERED", "Requested entity was not found.")
        if device.error in STATUS_OF:
            return fcm_error(device.error, "As the console asked for.")
        self._sent += 1
        self.show(_phone_message(message))
        return JSONResponse({"name": f"projects/{PROJECT}/messages/0:{self._sent:016d}"})


def check(message: object) -> Response | None:
    """Return the error of a message that is wrong in itself; None if it is right."""
    if not isinstance(message, dict) or not isinstance(message.get("token"), str):
        return bad_request("message.token", "Recipient of the message is not set.")
    for name in ("notification", "data", "android"):
        if not isinstance(message.get(name, {}), dict):
            return bad_request(f"message.{name}", "Proto field is not an object")
    for name in message.keys() - _KNOWN:
        return bad_request("message", f"Invalid JSON payload received. Unknown name \"{name}\" at 'message'")
    if not _TOKEN.fullmatch(message["token"]):
        return fcm_error("INVALID_ARGUMENT", "The registration token is not a valid FCM registration token")
    for name, value in message.get("data", {}).items():
        if not isinstance(value, str):
            return bad_request(f"message.data[{name}]", "Invalid value (TYPE_STRING)")
        if _RESERVED.fullmatch(name):
            return bad_request("message.data", f"Invalid data payload key: {name}")
    return _check_android(message)


def _check_android(message: Mapping[str, Any]) -> Response | None:
    android = message.get("android", {})
    if str(android.get("priority", "NORMAL")).upper() not in ("NORMAL", "HIGH"):
        return bad_request("message.android.priority", "Invalid value")
    if not _TTL.fullmatch(str(android.get("ttl", "0s"))):
        return bad_request("message.android.ttl", "Illegal duration format; duration must end with 's'")
    counted = {"notification": message.get("notification", {}), "data": message.get("data", {})}
    if len(json.dumps(counted, ensure_ascii=False).encode()) > MAX_BYTES:
        return bad_request("message", "Android message is too big")
    return None


def bad_request(field: str, description: str) -> Response:
    """An INVALID_ARGUMENT that names the field."""
    violation = {"field": field, "description": description}
    details: list[dict[str, Any]] = [
        {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "INVALID_ARGUMENT"},
        {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]},
    ]
    return _error(400, "INVALID_ARGUMENT", description, details)


def fcm_error(code: str, message: str) -> Response:
    """An error with its `FcmError` detail, and `Retry-After` where FCM sends it."""
    status, rpc = STATUS_OF[code]
    detail = {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}
    answer = _error(status, rpc, message, [detail])
    if status in (429, 503):
        answer.headers["Retry-After"] = str(RETRY_AFTER)
    return answer


def _error(status: int, rpc: str, message: str, details: Sequence[Mapping[str, Any]] = ()) -> Response:
    error = {"code": status, "message": message, "status": rpc, "details": list(details)}
    return JSONResponse({"error": error}, status_code=status)


def _phone_message(message: Mapping[str, Any]) -> PhoneMessage:
    android = message.get("android", {})
    shown = message.get("notification", {})
    return PhoneMessage(
        address=message["token"],
        look=Look.PUSH,
        sender="App (Android)",
        title=str(shown.get("title", "")),
        body=str(shown.get("body", "")),
        link=str(message.get("data", {}).get("link", "")),
        urgent=str(android.get("priority", "")).upper() == "HIGH",
        replaces=_tag(android.get("notification")),
    )


def _tag(notification: object) -> str:
    return str(notification.get("tag", "")) if isinstance(notification, dict) else ""
