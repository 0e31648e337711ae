"""The HTTP server of the callbacks: it ends in order, and never unnoticed."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from notifications.callbacks import server
from smartex_chassis import PortInUse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

LOOPBACK = "127.0.0.1"


def heard() -> list[dict[str, Any]]:
    """What the loop's exception handler is told, by which the chassis learns that it has to leave."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
    return told


async def test_a_server_that_fails_is_told_at_once_and_can_still_be_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fails(*_args: object, **_options: object) -> None:
        raise RuntimeError("a bug")

    told = heard()
    monkeypatch.setattr(server, "serve", fails)
    callbacks = server.CallbackServer(Starlette(), LOOPBACK, 0)
    await callbacks.start()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [str(context["exception"]) for context in told] == ["a bug"]
    await callbacks.stop()


async def test_a_request_under_way_is_finished_before_it_stops_and_nothing_is_told() -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow(_request: Request) -> PlainTextResponse:
        asked.set()
        await answer.wait()
        return PlainTextResponse("done")

    told = heard()
    callbacks = server.CallbackServer(Starlette(routes=[Route("/", slow)]), LOOPBACK, 0)
    await callbacks.start()
    with pytest.raises(PortInUse):
        await server.CallbackServer(Starlette(), LOOPBACK, callbacks.port).start()
    async with httpx.AsyncClient(trust_env=False) as http:
        request = asyncio.create_task(http.get(f"http://{LOOPBACK}:{callbacks.port}/"))
        await asyncio.wait_for(asked.wait(), 60)
        stopping = asyncio.create_task(callbacks.stop())
        await asyncio.sleep(0)
        answer.set()
        assert (await request).text == "done"
        await stopping
    assert told == []
