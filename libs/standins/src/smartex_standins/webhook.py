"""Readers' own programs that take webhooks, and check their signatures as Standard Webhooks says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from .control import read_json, text_of
from .keys import utc_now
from .people import PEOPLE, People
from .standin import Look, PhoneMessage, Place, Settings, Standin

TOLERANCE_SECONDS: Final = 300
"""How far a webhook's timestamp may be from now."""
KEPT_IDS: Final = 10_000
RETRY_AFTER: Final = 5


@dataclass
class Hook:
    """One program. It answers 200 unless it was told otherwise."""

    person: str
    secret: str
    status: int = 200
    location: str = ""
    """Of a redirect."""


class WebhookStandin(Standin):
    """A program for each person, at `/hooks/{person}`. It shows a repeat of a `webhook-id` once."""

    name = "webhook"
    title = "Webhook"

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__()
        self._clock = clock
        self._hooks: dict[str, Hook] = {}
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def start(self, place: Place, people: People) -> None:
        """Make a program for each person of the demo."""
        await super().start(place, people)
        for person in PEOPLE:
            key = bytes.fromhex(place.secret(f"webhook {person}"))[:24]
            self._hooks[person] = Hook(person, f"whsec_{base64.b64encode(key).decode()}")
            people.assign(self._url(person), person)

    def provider_settings(self) -> Mapping[str, Settings]:
        """The table `[webhook]`: these programs are on this machine."""
        return {"webhook": {"allow_private": True}}

    def routes(self) -> Sequence[BaseRoute]:
        """The programs."""
        return [Route("/hooks/{person}", self._take, methods=["POST"])]

    def controls(self) -> Sequence[BaseRoute]:
        """`GET /addresses`, `POST /hooks` (person, status, location)."""
        return [
            Route("/addresses", self._show, methods=["GET"]),
            Route("/hooks", self._tell, methods=["POST"]),
        ]

    def _url(self, person: str) -> str:
        return f"{self.place.base_url}/hooks/{person}"

    async def _take(self, request: Request) -> Response:
        hook = self._hooks.get(request.path_params["person"])
        if hook is None:
            return _answer(404, "no such program")
        if self.faults.take("rate_limited"):
            return _answer(429, "too many requests", {"Retry-After": str(RETRY_AFTER)})
        body = await request.body()
        why = refusal(hook.secret, request.headers, body, self._clock())
        if why:
            return _answer(401, why)
        if hook.status != 200:
            return _answer(
                hook.status, "as it was told", {"Location": hook.location} if hook.location else {}
            )
        return self._accept(hook, request.headers["webhook-id"], body)

    def _accept(self, hook: Hook, message_id: str, body: bytes) -> Response:
        try:
            message = _phone_message(self._url(hook.person), json.loads(body))
        except (ValueError, KeyError, TypeError):
            return _answer(400, "not a message")
        if message_id not in self._seen:
            self._seen[message_id] = None
            self.show(message)
        while len(self._seen) > KEPT_IDS:
            self._seen.popitem(last=False)
        return _answer(200, "taken")

    async def _show(self, _: Request) -> Response:
        return JSONResponse(
            {
                person: {"value": self._url(person), "secrets": {"secret": hook.secret}}
                for person, hook in self._hooks.items()
            }
        )

    async def _tell(self, request: Request) -> Response:
        values = await read_json(request)
        hook = self._hooks.get(text_of(values, "person"))
        status = values.get("status")
        if hook is None or not isinstance(status, int) or not 200 <= status <= 599:
            raise HTTPException(400, "person: one of the demo's; status: 200 to 599")
        hook.status, hook.location = status, text_of(values, "location", default="")
        return JSONResponse({})


def refusal(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> str:
    """Return the reason against a webhook; empty if it is signed and fresh."""
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not message_id or not timestamp.isascii() or not timestamp.isdigit():
        return "webhook-id or webhook-timestamp is missing"
    if abs(now.timestamp() - int(timestamp[:12])) > TOLERANCE_SECONDS:
        return "webhook-timestamp is too far from now"
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    given = headers.get("webhook-signature", "").split()
    believed = any(hmac.compare_digest(one.encode(), expected.encode()) for one in given)
    return "" if believed else "webhook-signature is not ours"


def _answer(status: int, why: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"message": why}, status_code=status, headers=headers)


def _phone_message(address: str, body: Mapping[str, Any]) -> PhoneMessage:
    data = body["data"]
    return PhoneMessage(
        address=address,
        look=Look.ROBOT,
        sender=f"Webhook {body['type']}",
        title=str(data["title"]),
        body=str(data["body"]),
        link=str(data.get("link", "")),
        urgent=data.get("urgency") == "critical",
    )
