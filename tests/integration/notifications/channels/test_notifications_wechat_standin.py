"""The official account's client and callback against the stand-in, over real connections, with every fault."""

from __future__ import annotations

import asyncio
import socket
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from notifications.channels.wechat.api import QrCode
from notifications.channels.wechat.callback import wechat_callback
from notifications.channels.wechat.channel import WechatAccount, build
from notifications.channels.wechat.events import (
    CallbackEvent,
    Followed,
    Receipt,
    ReceiptStatus,
    Scanned,
    SubscriptionChanged,
    TextReceived,
    Unfollowed,
)
from notifications.domain.sending import (
    Address,
    AddressGone,
    ChannelKind,
    Failed,
    Message,
    Outcome,
    Refused,
    Sent,
    Urgency,
)
from smartex_standins.connections import serve_connections
from smartex_standins.people import openid_of
from smartex_standins.serving import serve
from smartex_standins.wechat import WechatStandin
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ALICE = openid_of("alice")
FIELDS = {
    "thing1": "集中度超过上限",
    "character_string2": "AAPL 41.2%",
    "time3": "2026年3月2日 09:30",
    "thing4": "建议减持或对冲",
}


class World:
    """The stand-in, our account on it, and the application that takes its callbacks."""

    def __init__(self, url: str, table: dict[str, Any]) -> None:
        self.table = table
        self.account: WechatAccount = build(table)
        self.templates = self.account.templates
        self.events: asyncio.Queue[CallbackEvent] = asyncio.Queue()
        self.reply = ""
        self.refusals = 0
        self.endpoint: Callable[[Request], Awaitable[Response]] = wechat_callback(
            self.account.crypto, self.handle
        )
        self._control = httpx.AsyncClient(base_url=f"{url}/control/wechat", timeout=60)
        self._page = httpx.AsyncClient(base_url=url)

    async def close(self) -> None:
        await self.account.channel.close()
        await self._control.aclose()
        await self._page.aclose()

    async def handle(self, event: CallbackEvent) -> str:
        if self.refusals:
            self.refusals -= 1
            raise RuntimeError("not now")
        self.events.put_nowait(event)
        return self.reply

    async def do(self, name: str, **values: object) -> dict[str, Any]:
        answer = await self._control.post(f"/{name}", json=values)
        assert answer.status_code == 200, answer.text
        done: dict[str, Any] = answer.json()
        return done

    async def event(self) -> CallbackEvent:
        async with asyncio.timeout(60):
            return await self.events.get()

    async def requests(self, path: str) -> int:
        log = (await self._control.get("/log", params={"limit": 2000})).json()
        return sum(path in received["path"] for received in log)

    async def shown(self) -> list[dict[str, Any]]:
        state = (await self._page.get("/phone/state")).json()
        return [message for message in state["messages"] if message["person"] == "alice"]

    async def follow(self) -> None:
        await self.do("follow", person="alice")
        assert isinstance(await self.event(), Followed)

    def message(self, delivery_id: str = "d1", template: str = "alert", **fields: str) -> Message:
        return Message(
            delivery_id=delivery_id,
            kind="positions.concentration",
            urgency=Urgency.HIGH,
            title="",
            body="",
            language="zh-CN",
            link="https://exchange.test/advice/7",
            template=self.templates.get(template, template),
            fields=fields or FIELDS,
        )

    async def send(self, delivery_id: str = "d1", openid: str = ALICE) -> Outcome:
        address = Address(ChannelKind.WECHAT, openid)
        return await self.account.channel.send(address, self.message(delivery_id))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    made: list[World] = []

    async def take(request: Request) -> Response:
        return await made[0].endpoint(request)

    app = Starlette(routes=[Route("/callbacks/wechat", take, methods=["GET", "POST"])])
    callbacks = f"http://127.0.0.1:{listening.getsockname()[1]}/callbacks"
    async with (
        serve_connections(app, listening),
        serve(tmp_path, 0, callbacks, [WechatStandin()]) as serving,
    ):
        table = tomllib.loads(serving.providers_file.read_text("utf-8"))["wechat"]
        made.append(World(serving.url, table))
        yield made[0]
        await made[0].close()


async def test_a_card_arrives_and_its_receipt_comes_back(world: World) -> None:
    await world.follow()
    sent = await world.send()
    assert isinstance(sent, Sent)
    receipt = await world.event()
    assert isinstance(receipt, Receipt)
    assert (receipt.user, receipt.provider_id, receipt.status) == (
        ALICE,
        sent.provider_id,
        ReceiptStatus.DELIVERED,
    )
    (card,) = await world.shown()
    assert (card["look"], card["title"], card["link"]) == (
        "card",
        "账户风险提醒",
        "https://exchange.test/advice/7",
    )
    assert card["fields"] == {
        "提醒事项": "集中度超过上限",
        "当前数值": "AAPL 41.2%",
        "提醒时间": "2026年3月2日 09:30",
        "温馨提示": "建议减持或对冲",
    }


async def test_a_delivery_that_is_sent_twice_is_shown_once(world: World) -> None:
    await world.follow()
    assert await world.send("d1") == await world.send("d1")
    assert isinstance(await world.send("d2"), Sent)
    assert len(await world.shown()) == 2


async def test_an_account_is_linked_by_scanning_a_code(world: World) -> None:
    code = await world.account.api.create_qr("link-42", timedelta(minutes=10))
    assert isinstance(code, QrCode)
    await world.do("scan", person="alice", code=code.url)
    followed = await world.event()
    assert isinstance(followed, Followed)
    assert (followed.user, followed.scene) == (ALICE, "link-42")
    await world.do("scan", person="alice", code="link-42")
    scanned = await world.event()
    assert isinstance(scanned, Scanned)
    assert (scanned.user, scanned.scene) == (ALICE, "link-42")


async def test_a_conversation_both_ways(world: World) -> None:
    await world.follow()
    world.reply = "已收到：接受"
    assert (await world.do("text", person="alice", text="接受 <1>"))["reply"] == "已收到：接受"
    text = await world.event()
    assert isinstance(text, TextReceived)
    assert (text.user, text.text) == (ALICE, "接受 <1>")
    assert [message["body"] for message in await world.shown()] == ["接受 <1>", "已收到：接受"]


async def test_unfollowing_ends_the_address(world: World) -> None:
    await world.follow()
    await world.do("unfollow", person="alice")
    assert isinstance(await world.event(), Unfollowed)
    assert await world.send() == AddressGone("NOT_FOLLOWING 43004")


async def test_an_unknown_openid_is_gone(world: World) -> None:
    assert await world.send(openid="o" * 28) == AddressGone("ADDRESS_UNKNOWN 40003")


async def test_a_user_who_blocks_messages_is_known_by_the_receipt(world: World) -> None:
    await world.follow()
    await world.do("block", person="alice")
    assert isinstance(await world.send(), Sent)
    receipt = await world.event()
    assert isinstance(receipt, Receipt)
    assert receipt.status is ReceiptStatus.BLOCKED
    assert not await world.shown()


async def test_templates_and_fields_are_checked(world: World) -> None:
    await world.follow()
    api = world.account.api
    unknown = world.message(template="NONE")
    assert await api.send_template(ALICE, unknown) == Refused("TEMPLATE_UNKNOWN 40037")
    long = world.message(**{**FIELDS, "thing1": "长" * 21})
    assert await api.send_template(ALICE, long) == Refused("FIELD_INVALID 47003")
    missing = world.message(thing1="x")
    assert await api.send_template(ALICE, missing) == Refused("FIELD_INVALID 47003")


async def test_a_template_that_the_user_switched_off(world: World) -> None:
    await world.follow()
    await world.do("refuse", person="alice", template="alert")
    changed = await world.event()
    assert isinstance(changed, SubscriptionChanged)
    assert changed.rejected == (world.templates["alert"],)
    assert await world.send() == Refused("NOT_SUBSCRIBED 43101")


async def test_a_subscription_message_once_for_each_consent(world: World) -> None:
    await world.follow()
    subscribing = build({**world.table, "subscription": True})
    address, message = Address(ChannelKind.WECHAT, ALICE), world.message()
    assert await subscribing.channel.send(address, message) == Refused("NOT_SUBSCRIBED 43101")
    await world.do("allow", person="alice", template="alert")
    changed = await world.event()
    assert isinstance(changed, SubscriptionChanged)
    assert changed.accepted == (world.templates["alert"],)
    sent = await subscribing.channel.send(address, message)
    assert isinstance(sent, Sent)
    receipt = await world.event()
    assert isinstance(receipt, Receipt)
    assert (receipt.provider_id, receipt.status) == (sent.provider_id, ReceiptStatus.DELIVERED)
    assert await subscribing.channel.send(address, message) == Refused("NOT_SUBSCRIBED 43101")
    await subscribing.channel.close()


async def test_many_senders_fetch_one_token(world: World) -> None:
    await world.follow()
    outcomes = await asyncio.gather(*(world.send(f"d{number}") for number in range(50)))
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert await world.requests("stable_token") == 1
    assert len(await world.shown()) == 50


async def test_a_token_that_expires_midway_is_renewed(world: World) -> None:
    await world.follow()
    await world.send("d1")
    await world.do("faults", token_expired=1)
    assert isinstance(await world.send("d2"), Sent)
    assert await world.requests("stable_token") == 2
    assert len(await world.shown()) == 2


async def test_tokens_of_a_short_life_are_renewed_in_time(world: World) -> None:
    await world.follow()
    await world.do("account", token_seconds=3)
    for number in range(3):
        assert isinstance(await world.send(f"d{number}"), Sent)
        await asyncio.sleep(1.6)
    assert await world.requests("stable_token") == 3
    assert await world.requests("template/send") == 3


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        ({"server_error": 1}, Failed("PROVIDER_FAILED 503")),
        ({"rate_limited": 1}, Failed("RATE_LIMITED 45009", timedelta(hours=1))),
    ],
)
async def test_a_provider_in_trouble_takes_nothing(
    world: World, faults: dict[str, int], outcome: Outcome
) -> None:
    await world.follow()
    await world.send("d1")
    await world.do("faults", **faults)
    assert await world.send("d2") == outcome
    assert len(await world.shown()) == 1
    assert isinstance(await world.send("d2"), Sent)
    assert len(await world.shown()) == 2


@pytest.mark.parametrize(("fault", "shown"), [("down", 1), ("cut_after_send", 2)])
async def test_a_cut_connection_may_have_sent_and_a_retry_shows_it_once(
    world: World, fault: str, shown: int
) -> None:
    await world.follow()
    await world.send("d1")
    await world.do("faults", **{fault: 1})
    outcome = await world.send("d2")
    assert isinstance(outcome, Failed)
    assert outcome.maybe_sent
    assert len(await world.shown()) == shown
    assert isinstance(await world.send("d2"), Sent)
    assert len(await world.shown()) == 2


async def test_a_slow_provider_is_given_up(world: World) -> None:
    await world.follow()
    hasty = build({**world.table, "time_limit": 2.0})
    address, message = Address(ChannelKind.WECHAT, ALICE), world.message()
    assert isinstance(await hasty.channel.send(address, message), Sent)
    await world.do("faults", slow_seconds=5)
    assert await hasty.channel.send(address, message) == Failed("TIMEOUT", maybe_sent=True)
    await hasty.channel.close()


async def test_a_token_that_cannot_be_had_sends_nothing(world: World) -> None:
    await world.follow()
    await world.do("faults", down=1)
    outcome = await world.send()
    assert isinstance(outcome, Failed)
    assert not outcome.maybe_sent
    wrong = build({**world.table, "app_secret": "wrong"})
    address = Address(ChannelKind.WECHAT, ALICE)
    assert await wrong.channel.send(address, world.message()) == Failed("NOT_ALLOWED 40125")
    await wrong.channel.close()


async def test_a_lost_receipt(world: World) -> None:
    await world.follow()
    await world.do("faults", lose_receipts=1)
    await world.send("d1")
    second = await world.send("d2")
    receipt = await world.event()
    assert isinstance(receipt, Receipt)
    assert isinstance(second, Sent)
    assert receipt.provider_id == second.provider_id
    await asyncio.sleep(0.2)
    assert world.events.empty()


async def test_a_used_up_quota(world: World) -> None:
    await world.follow()
    await world.do("account", daily_quota=1)
    assert isinstance(await world.send("d1"), Sent)
    assert await world.send("d2") == Failed("RATE_LIMITED 45009", timedelta(hours=1))


async def test_what_could_not_be_handled_is_told_again(world: World) -> None:
    world.refusals = 1
    await world.do("follow", person="alice")
    assert isinstance(await world.event(), Followed)
    assert world.events.empty()


async def test_the_address_for_callbacks_proves_to_be_ours(world: World) -> None:
    url = (await world._control.get("/state")).json()["callback"]
    assert (await world.do("callback", url=url))["verified"]
    assert not (await world.do("callback", url="http://127.0.0.1:1/"))["verified"]
