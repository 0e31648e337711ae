"""The phone page and what it reads."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from .faults import SWITCHES
from .people import PEOPLE, People
from .standin import PhoneMessage, Standin


def phone_routes(standins: Sequence[Standin], people: People) -> list[BaseRoute]:
    """`/` is the page, `/phone/state` what it shows."""
    page = files("smartex_standins").joinpath("page.html").read_text("utf-8")

    async def show_page(_: Request) -> Response:
        policy = (
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
        )
        return HTMLResponse(page, headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"})

    async def show_state(_: Request) -> Response:
        return JSONResponse(phone_state(standins, people))

    return [Route("/", show_page), Route("/phone/state", show_state)]


def phone_state(standins: Sequence[Standin], people: People) -> dict[str, Any]:
    """All messages by person, oldest first, and the faults of each stand-in."""
    shown = [_shown(standin, message, people) for standin in standins for message in standin.messages()]
    shown.sort(key=lambda message: message["time"])
    named = dict.fromkeys([*PEOPLE, *(message["person"] for message in shown)])
    return {
        "people": list(named),
        "messages": shown,
        "standins": [
            {"name": standin.name, "title": standin.title, "faults": standin.faults.state()}
            for standin in standins
        ],
        "switches": list(SWITCHES),
    }


def _shown(standin: Standin, message: PhoneMessage, people: People) -> dict[str, Any]:
    return {
        "standin": standin.name,
        "person": people.owner(message.address),
        "address": message.address,
        "look": message.look,
        "sender": message.sender,
        "title": message.title,
        "body": message.body,
        "fields": dict(message.fields),
        "link": message.link,
        "urgent": message.urgent,
        "outgoing": message.outgoing,
        "time": message.time.isoformat(),
    }
