"""The phones that an app is installed on, for stand-ins of push services: their tokens and what becomes of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from .control import read_json, text_of
from .people import PEOPLE, People

MAX_DEVICES: Final = 100_000


@dataclass
class Device:
    """An installation of the app."""

    person: str
    gone: datetime | None = None
    """When the app was removed."""
    error: str = ""
    """The provider's code that every push to it is answered with, for tests."""


class Devices:
    """Devices by token. The people of the demo market have one each, the same at every start."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._devices: OrderedDict[str, Device] = OrderedDict()
        self._made = 0

    def start(self, people: People, make_token: Callable[[str], str]) -> None:
        """Give the people their phones. `make_token` makes the same token of the same text."""
        self._people = people
        self._make_token = make_token
        for person in PEOPLE:
            self._keep(make_token(person), person)

    def find(self, token: str) -> Device | None:
        """The device of a token that was given once; None if it never was."""
        return self._devices.get(token)

    def register(self, person: str) -> str:
        """Install the app on another phone of a person's; return its token."""
        self._made += 1
        token = self._make_token(f"{person} {self._made}")
        self._keep(token, person)
        return token

    def routes(self) -> Sequence[BaseRoute]:
        """Controls: `GET /addresses`, `POST /devices`, `POST /devices/remove`, `POST /devices/fail`."""
        return [
            Route("/addresses", self._show, methods=["GET"]),
            Route("/devices", self._register, methods=["POST"]),
            Route("/devices/remove", self._remove, methods=["POST"]),
            Route("/devices/fail", self._fail, methods=["POST"]),
        ]

    def _keep(self, token: str, person: str) -> None:
        self._devices[token] = Device(person)
        self._people.assign(token, person)
        if len(self._devices) > MAX_DEVICES:
            self._devices.popitem(last=False)

    async def _show(self, _: Request) -> Response:
        first = {device.person: token for token, device in reversed(self._devices.items())}
        return JSONResponse({person: {"value": token, "secrets": {}} for person, token in first.items()})

    async def _register(self, request: Request) -> Response:
        person = text_of(await read_json(request), "person")
        return JSONResponse({"token": self.register(person)})

    async def _remove(self, request: Request) -> Response:
        self._asked(text_of(await read_json(request), "token")).gone = self._clock()
        return JSONResponse({})

    async def _fail(self, request: Request) -> Response:
        values = await read_json(request)
        self._asked(text_of(values, "token")).error = text_of(values, "error")
        return JSONResponse({})

    def _asked(self, token: str) -> Device:
        device = self._devices.get(token)
        if device is None:
            raise HTTPException(404, "no device has that token")
        return device
