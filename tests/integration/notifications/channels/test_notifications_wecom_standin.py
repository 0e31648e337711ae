"""WeCom's application and robot against the stand-in, over real connections."""

from __future__ import annotations

import asyncio
import socket
import tomllib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from notifications.channels import wecom_app, wecom_robot
from notifications.channels.wechat.callback import wechat_callback
from notifications.channels.wechat.events import CallbackEvent, TextReceived
from notifications.domain.sending import (
    Address,
    AddressGone,
    ChannelKind,
    Failed,
    Message,
    Outcome,
    Sent,
    Urgency,
)
from smartex_standins.connections import serve_connections
from smartex_standins.serving import serve
from smartex_standins.wecom import WecomStandin
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def message(number: int = 1, link: str = "https://exchange.test/advice/7") -> Message:
    return Message(
        delivery_id=f"d{number}",
        kind="positions.drawdown",
        urgency=Urgency.HIGH,
        title=f"回撤提醒 {number}",
        body="今日回撤 5.2% <上限 5%>",
        language="zh-CN",
        link=link,
    )


class World:
    def __init__(self, url: str, tables: dict[str, Any]) -> None:
        self.app = wecom_app.build(tables["wecom_app"])
        self.robot = wecom_robot.build(tables["wecom_robot"])
        self.events: list[CallbackEvent] = []
        self._url = url
        self._client = httpx.AsyncClient(timeout=60)

    async def close(self) -> None:
        await self.app.close()
        await self.robot.close()
        await self._client.aclose()

    async def handle(self, event: CallbackEvent) -> str:
        self.events.append(event)
        return "收到"

    async def do(self, name: str, **values: object) -> Any:
        answer = await self._client.post(f"{self._url}/control/wecom/{name}", json=values)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def get(self, path: str) -> Any:
        return (await self._client.get(self._url + path)).json()

    async def shown(self) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = (await self.get("/phone/state"))["messages"]
        return shown

    async def send(self, number: int = 1, user: str = "alice") -> Outcome:
        return await self.app.send(Address(ChannelKind.WECOM_APP, user), message(number))

    async def robot_key(self) -> str:
        robots: dict[str, str] = (await self.get("/control/wecom/state"))["robots"]
        return robots["风控群"]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    made: list[World] = []

    async def take(request: Request) -> Response:
        crypto = made[0].app.crypto
        assert crypto is not None
        return await wechat_callback(crypto, made[0].handle)(request)

    app = Starlette(routes=[Route("/callbacks/wecom", take, methods=["GET", "POST"])])
    callbacks = f"http://127.0.0.1:{listening.getsockname()[1]}/callbacks"
    async with (
        serve_connections(app, listening),
        serve(tmp_path, 0, callbacks, [WecomStandin()]) as serving,
    ):
        made.append(World(serving.url, tomllib.loads(serving.providers_file.read_text("utf-8"))))
        yield made[0]
        await made[0].close()


async def test_a_card_arrives_with_its_text_as_written(world: World) -> None:
    assert isinstance(await world.send(), Sent)
    (card,) = await world.shown()
    assert (card["person"], card["look"], card["title"], card["body"], card["link"]) == (
        "alice",
        "card",
        "回撤提醒 1",
        "今日回撤 5.2% <上限 5%>",
        "https://exchange.test/advice/7",
    )


async def test_without_a_link_it_is_a_text(world: World) -> None:
    address = Address(ChannelKind.WECOM_APP, "bob")
    assert isinstance(await world.app.send(address, message(link="")), Sent)
    (text,) = await world.shown()
    assert (text["look"], text["body"]) == ("chat", "回撤提醒 1\n今日回撤 5.2% <上限 5%>")


async def test_a_repeat_is_shown_once(world: World) -> None:
    assert await world.send(1) == await world.send(1)
    assert isinstance(await world.send(2), Sent)
    assert len(await world.shown()) == 2


async def test_who_is_no_member_is_gone(world: World) -> None:
    assert await world.send(user="mallory") == AddressGone("ADDRESS_UNKNOWN 81013")
    await world.do("members", person="alice", member=False)
    assert await world.send() == AddressGone("ADDRESS_UNKNOWN 81013")


async def test_a_token_that_expires_midway_is_renewed(world: World) -> None:
    await world.send(1)
    await world.do("faults", token_expired=1)
    assert isinstance(await world.send(2), Sent)
    assert len(await world.shown()) == 2


@pytest.mark.parametrize("fault", ["down", "cut_after_send"])
async def test_a_retry_after_a_cut_is_shown_once(world: World, fault: str) -> None:
    await world.send(1)
    await world.do("faults", **{fault: 1})
    outcome = await world.send(2)
    assert isinstance(outcome, Failed)
    assert outcome.maybe_sent
    assert isinstance(await world.send(2), Sent)
    assert len(await world.shown()) == 2


async def test_too_many_requests(world: World) -> None:
    await world.send(1)
    await world.do("faults", rate_limited=1)
    assert await world.send(2) == Failed("RATE_LIMITED 45009", timedelta(minutes=1))


async def test_a_member_is_sent_thirty_messages_a_minute_and_the_rest_is_dropped(world: World) -> None:
    outcomes = await asyncio.gather(*(world.send(number) for number in range(35)))
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert len(await world.shown()) == 30


async def test_a_robot_writes_to_its_group_twenty_times_a_minute(world: World) -> None:
    address = Address(ChannelKind.WECOM_ROBOT, await world.robot_key())
    outcomes = [await world.robot.send(address, message(number)) for number in range(21)]
    assert outcomes == [Sent()] * 20 + [Failed("RATE_LIMITED 45009", timedelta(minutes=1))]
    first = (await world.shown())[0]
    assert (first["person"], first["look"]) == ("风控群", "robot")
    assert first["body"].startswith("**回撤提醒 0**\n> 今日回撤 5.2% ＜上限 5%>")


async def test_a_robot_that_is_not_there_is_gone(world: World) -> None:
    address = Address(ChannelKind.WECOM_ROBOT, "00000000-0000-0000-0000-000000000000")
    assert await world.robot.send(address, message()) == AddressGone("ROBOT_GONE 93000")


async def test_a_member_writes_and_is_answered(world: World) -> None:
    assert await world.do("text", person="alice", text="接受") == {"taken": True, "reply": "收到"}
    (event,) = world.events
    assert isinstance(event, TextReceived)
    assert (event.user, event.text) == ("alice", "接受")
    assert [shown["body"] for shown in await world.shown()] == ["接受", "收到"]


async def test_the_address_for_callbacks_proves_to_be_ours(world: World) -> None:
    url = (await world.get("/control/wecom/state"))["callback"]
    assert (await world.do("callback", url=url))["verified"]
