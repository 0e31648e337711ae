"""Firebase Cloud Messaging, HTTP v1: the Android phones, and whatever else the app has registered with it.

https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from pydantic import Field, SecretStr

from notifications.channels.delivery import Clock, app_data, replace_key, seconds_left, utc_now
from notifications.channels.fcm_account import ServiceAccount, fetch_token, parse_account
from notifications.channels.http import Answer, HttpCaller, failure, safe_code
from notifications.channels.http1 import Http1Caller
from notifications.channels.http_token import TokenCache
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

MAX_TTL = 4 * 7 * 86_400
"""Seconds that FCM keeps a message for a phone that is off: 4 weeks, also when nothing is said."""
QUOTA_WAIT = timedelta(minutes=1)
"""To wait after QUOTA_EXCEEDED without a `Retry-After`, as FCM asks."""


class FcmTable(ProviderTable):
    """`[fcm]` of the providers' file."""

    credentials: SecretStr = Field(description="JSON of the service account; or credentials_file")
    project: str = Field(default="", description="Firebase project; that of the credentials by default")
    base_url: str = Field(default="https://fcm.googleapis.com", pattern=HTTP_URL, description="where FCM is")
    proxy: str | None = Field(default=None, pattern=HTTP_URL, description="URL of a proxy to go through")


class FcmChannel:
    """Pushes through FCM. The address is a registration token."""

    kind = ChannelKind.FCM
    limits = Limits(title=64, body=240, payload_bytes=4096)
    idempotent = False

    def __init__(self, table: FcmTable, account: ServiceAccount, http: HttpCaller, clock: Clock) -> None:
        project = quote(table.project or account.project_id, safe="")
        self._url = f"{table.base_url.rstrip('/')}/v1/projects/{project}/messages:send"
        self._http = http
        self._clock = clock
        self._tokens = TokenCache(lambda: fetch_token(http, account, clock()), clock)

    async def send(self, address: Address, message: Message) -> Outcome:
        """Send; an access token that is not believed any more is renewed once."""
        content = encode(address, message, seconds_left(message, self._clock()))
        token = await self._tokens.get()
        if isinstance(token, Failed):
            return token
        answer = await self._post(token, content)
        if isinstance(answer, Answer) and answer.status == 401 and not _fcm_code(answer):
            token = await self._tokens.get(refused=token)
            answer = token if isinstance(token, Failed) else await self._post(token, content)
        return outcome(answer) if isinstance(answer, Answer) else answer

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _post(self, token: str, content: bytes) -> Answer | Failed | Refused:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        return await self._http.post(self._url, headers=headers, content=content)


def build(table: Mapping[str, object], *, clock: Clock = utc_now) -> FcmChannel:
    """Return the channel of a table; raises `SettingsInvalid`."""
    settings = read_table(FcmTable, "fcm", table)
    account = parse_account(settings.credentials.get_secret_value())
    http = Http1Caller(clock=clock, time_limit=settings.time_limit, proxy=settings.proxy)
    return FcmChannel(settings, account, http, clock)


def encode(address: Address, message: Message, ttl: int | None) -> bytes:
    """Return the body of `messages:send`. `ttl` 0 means: now or never."""
    android: dict[str, Any] = {
        "priority": "NORMAL" if message.urgency is Urgency.LOW else "HIGH",
        # A notification with the tag of one that is shown takes its place: so does a repeat.
        "notification": {"tag": replace_key(message)},
    }
    if ttl is not None:
        android["ttl"] = f"{min(ttl, MAX_TTL)}s"
    if message.collapse_key:
        android["collapse_key"] = replace_key(message)
    body = {
        "token": address.value,
        "notification": {"title": message.title, "body": message.body},
        "data": app_data(message),
        "android": android,
    }
    return json.dumps({"message": body}, ensure_ascii=False).encode("utf-8", "replace")


def outcome(answer: Answer) -> Outcome:
    """Return what an answer of FCM means.

    SENDER_ID_MISMATCH is refused, and keeps the address: it means as well that our credentials were changed.
    """
    if answer.ok:
        return Sent(str(answer.json().get("name", "")))
    code = _fcm_code(answer) or _status(answer)
    if code == "UNREGISTERED":
        return AddressGone(code)
    if code == "INVALID_ARGUMENT":
        return AddressGone("INVALID_TOKEN") if _token_is_bad(answer) else Refused(code)
    if code == "SENDER_ID_MISMATCH":
        return Refused(code)
    if code in ("QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED"):
        return Failed(f"RATE_LIMITED {code}", answer.retry_after() or QUOTA_WAIT)
    return failure(answer, code)


def _fcm_code(answer: Answer) -> str:
    """Return the code of the answer's `FcmError`, if it has one."""
    return next((safe_code(d.get("errorCode")) for d in _details(answer, "fcm.v1.FcmError")), "")


def _token_is_bad(answer: Answer) -> bool:
    """Return whether the token itself was the invalid argument; FCM says so in two ways."""
    violations = [v for d in _details(answer, "rpc.BadRequest") for v in d.get("fieldViolations", ())]
    if violations:
        return any(isinstance(v, dict) and v.get("field") == "message.token" for v in violations)
    return "registration token" in str(_error(answer).get("message", ""))


def _details(answer: Answer, kind: str) -> list[dict[str, Any]]:
    details = _error(answer).get("details")
    listed = details if isinstance(details, list) else []
    return [d for d in listed if isinstance(d, dict) and str(d.get("@type", "")).endswith(kind)]


def _status(answer: Answer) -> str:
    return safe_code(_error(answer).get("status"))


def _error(answer: Answer) -> dict[str, Any]:
    error = answer.json().get("error")
    return error if isinstance(error, dict) else {}
