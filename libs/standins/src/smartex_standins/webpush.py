"""A push service for browsers (RFC 8030), and the browsers: it decrypts what they would show."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from .control import read_json, text_of
from .keys import base64url, from_base64url, p256_key, private_pem, public_point, utc_now
from .people import PEOPLE, People
from .standin import Look, PhoneMessage, Place, Settings, Standin
from .webpush_browser import Browser, CannotRead
from .webpush_vapid import refusal

MAX_BYTES: Final = 4096
MAX_BROWSERS: Final = 100_000
RETRY_AFTER: Final = 30

_URGENCIES: Final = ("very-low", "low", "normal", "high")
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")


class WebPushStandin(Standin):
    """Takes encrypted pushes for the subscriptions it knows."""

    name = "webpush"
    title = "Web Push"

    def __init__(self, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__()
        self._clock = clock
        self._browsers: dict[str, Browser] = {}
        self._refused: set[str] = set()
        self._made = 0

    async def start(self, place: Place, people: People) -> None:
        """Make the application server's key and a subscription for each phone of the demo."""
        await super().start(place, people)
        self._vapid = p256_key(place, "vapid key")
        for person in PEOPLE:
            self._subscribe(person, person, public_point(self._vapid))

    def provider_settings(self) -> Mapping[str, Settings]:
        """The table `[webpush]`."""
        settings: Settings = {
            "private_key": private_pem(self._vapid),
            "contact": "mailto:operator@example.com",
            "allow_private": True,
        }
        return {"webpush": settings}

    def routes(self) -> Sequence[BaseRoute]:
        """The push resource of every subscription."""
        return [Route("/push/{id}", self._push, methods=["POST"])]

    def controls(self) -> Sequence[BaseRoute]:
        """`GET /addresses`, `POST /subscriptions` (person, key), `POST /subscriptions/remove` (endpoint)."""
        return [
            Route("/addresses", self._show, methods=["GET"]),
            Route("/subscriptions", self._make, methods=["POST"]),
            Route("/subscriptions/remove", self._remove, methods=["POST"]),
        ]

    def _subscribe(self, name: str, person: str, application_key: bytes) -> Browser:
        place = self.place
        browser = Browser(
            endpoint=f"{place.base_url}/push/{place.secret(f'endpoint {name}')[:43]}",
            person=person,
            key=p256_key(place, f"browser {name}"),
            auth=bytes.fromhex(place.secret(f"auth {name}"))[:16],
            application_key=application_key,
        )
        self._browsers[browser.endpoint] = browser
        self.people.assign(browser.endpoint, person)
        while len(self._browsers) > MAX_BROWSERS:
            del self._browsers[next(iter(self._browsers))]
        return browser

    async def _push(self, request: Request) -> Response:
        browser = self._browsers.get(f"{self.place.base_url}/push/{request.path_params['id']}")
        if browser is None:
            return _problem(404, "no such subscription")
        if browser.gone:
            return _problem(410, "unsubscribed")
        wrong = self._authorization_problem(request, browser) or check_headers(request.headers)
        if wrong is not None:
            return wrong
        body = await request.body()
        if len(body) > MAX_BYTES:
            return _problem(413, "payload too large")
        if self.faults.take("rate_limited"):
            return _problem(429, "too many requests", {"Retry-After": str(RETRY_AFTER)})
        self.show(_phone_message(browser, request.headers.get("urgency", ""), body))
        self._made += 1
        location = f"{self.place.base_url}/message/{self._made}"
        return Response(status_code=201, headers={"Location": location, "TTL": request.headers["ttl"]})

    def _authorization_problem(self, request: Request, browser: Browser) -> Response | None:
        told = request.headers.get("authorization", "")
        if self.faults.take("token_expired"):
            self._refused.add(told)
        url = urlsplit(self.place.base_url)
        why = refusal(told, f"{url.scheme}://{url.netloc}", browser.application_key, self._clock())
        if told in self._refused:
            why = why or "the token has expired"
        return _problem(401 if "expired" in why else 403, why) if why else None

    async def _show(self, _: Request) -> Response:
        first = {browser.person: browser for browser in reversed(self._browsers.values())}
        return JSONResponse(
            {
                person: {"value": browser.endpoint, "secrets": browser.secrets}
                for person, browser in first.items()
            }
        )

    async def _make(self, request: Request) -> Response:
        values = await read_json(request)
        self._made += 1
        person = text_of(values, "person")
        application_key = text_of(values, "key", default=base64url(public_point(self._vapid)))
        browser = self._subscribe(f"{person} {self._made}", person, from_base64url(application_key))
        return JSONResponse({"endpoint": browser.endpoint, "keys": browser.secrets})

    async def _remove(self, request: Request) -> Response:
        browser = self._browsers.get(text_of(await read_json(request), "endpoint"))
        if browser is None:
            return _problem(404, "no such subscription")
        browser.gone = True
        return JSONResponse({})


def check_headers(headers: Mapping[str, str]) -> Response | None:
    """Return the answer to headers that are wrong; None if they are right."""
    ttl = headers.get("ttl", "")
    if not ttl.isascii() or not ttl.isdigit():
        return _problem(400, "TTL is missing or no number of seconds")
    if headers.get("urgency", "normal") not in _URGENCIES:
        return _problem(400, "Urgency is none of " + ", ".join(_URGENCIES))
    if "topic" in headers and not _TOPIC.fullmatch(headers["topic"]):
        return _problem(400, "Topic is not 1 to 32 characters of base64url")
    if headers.get("content-encoding") != "aes128gcm":
        return _problem(400, "Content-Encoding is not aes128gcm")
    return None


def _problem(status: int, why: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"code": status, "message": why}, status_code=status, headers=headers)


def _phone_message(browser: Browser, urgency: str, body: bytes) -> PhoneMessage:
    try:
        shown: Mapping[str, Any] = json.loads(browser.decrypt(body))
    except (CannotRead, ValueError) as error:
        # The push service takes what it cannot read; the browser drops it, and so the page says.
        shown = {"title": "(dropped by the browser)", "body": str(error)}
    return PhoneMessage(
        address=browser.endpoint,
        look=Look.PUSH,
        sender="Web app",
        title=str(shown.get("title", "")),
        body=str(shown.get("body", "")),
        link=str(shown.get("link", "")),
        urgent=urgency == "high",
        replaces=str(shown.get("tag", "")),
    )
