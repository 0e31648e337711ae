"""Running stand-ins, and the small words the tests of the channels share."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from notifications.domain.sending import Address, ChannelKind, Message, Urgency
from smartex_standins.serving import serve
from smartex_standins.standin import Standin

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


class HandClock:
    """A clock that is moved by hand; the same for channel and stand-in."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, delta: timedelta) -> None:
        self.now += delta


class Desk:
    """Where the running stand-ins are told what to do and asked what they show."""

    def __init__(self, url: str, providers: Path) -> None:
        self.http = httpx.AsyncClient(base_url=url, timeout=60, trust_env=False, verify=False)
        self.tables: dict[str, dict[str, Any]] = tomllib.loads(providers.read_text("utf-8"))

    async def tell(self, path: str, **values: object) -> dict[str, Any]:
        answer = await self.http.post(f"/control/{path}", json=values)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def faults(self, standin: str, **switches: object) -> None:
        await self.tell(f"{standin}/faults", **switches)

    async def shown(self, standin: str) -> list[dict[str, Any]]:
        state = (await self.http.get("/phone/state")).json()
        return [message for message in state["messages"] if message["standin"] == standin]

    async def log(self, standin: str) -> list[dict[str, Any]]:
        """What the provider was asked, newest first."""
        told: list[dict[str, Any]] = (await self.http.get(f"/control/{standin}/log")).json()
        return told

    async def address(self, kind: ChannelKind, standin: str, person: str = "alice") -> Address:
        told = (await self.http.get(f"/control/{standin}/addresses")).json()[person]
        return Address(kind, told["value"], told["secrets"])


def a_message(**changes: Any) -> Message:
    values: dict[str, Any] = {
        "delivery_id": "d-0001",
        "kind": "positions.concentration",
        "urgency": Urgency.HIGH,
        "title": "集中度提醒",
        "body": "609018.SH 占您持仓的 62 %。",
        "language": "zh-CN",
        "link": "https://exchange.example/advice/17",
        "data": {"notice": "n-1"},
    }
    return Message(**(values | changes))


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(scope="session")
def standins_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kept over the session: an RSA key takes a while to make."""
    return tmp_path_factory.mktemp("standins")


Running = Callable[[Sequence[Standin]], AbstractAsyncContextManager[Desk]]


@pytest.fixture
def running(standins_folder: Path) -> Running:
    @asynccontextmanager
    async def run(
        standins: Sequence[Standin], callbacks: str = "http://127.0.0.1:9/callbacks"
    ) -> AsyncIterator[Desk]:
        async with serve(standins_folder, 0, callbacks, standins) as serving:
            desk = Desk(serving.url, serving.providers_file)
            try:
                yield desk
            finally:
                await desk.http.aclose()

    return run


@pytest.fixture
def message() -> Callable[..., Message]:
    return a_message
