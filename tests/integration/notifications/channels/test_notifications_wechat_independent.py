"""Checked by code that is not ours: wechatpy seals, opens, parses, and calls the stand-in."""

from __future__ import annotations

import asyncio
import socket
import tomllib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from notifications.channels.wechat.callback import wechat_callback
from notifications.channels.wechat.crypto import CallbackCrypto
from notifications.channels.wechat.events import CallbackEvent, TextReceived
from smartex_standins.connections import serve_connections
from smartex_standins.people import openid_of
from smartex_standins.serving import serve
from smartex_standins.wechat import WechatStandin
from smartex_standins.wechat_crypto import CallbackSealer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from wechatpy import WeChatClient, parse_message
from wechatpy.crypto import WeChatCrypto
from wechatpy.enterprise.crypto import WeChatCrypto as WecomCrypto
from wechatpy.exceptions import (
    APILimitedException,
    InvalidAppIdException,
    InvalidSignatureException,
    WeChatClientException,
)
from wechatpy.messages import TextMessage
from wechatpy.replies import TextReply

TOKEN, KEY, APP_ID = "token", "C" * 43, "wx1234567890abcdef"
OURS = CallbackCrypto(token=TOKEN, encoding_aes_key=KEY, receiver=APP_ID)
THEIRS = WeChatCrypto(TOKEN, KEY, APP_ID)
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
ALICE = openid_of("alice")
TEXTS = ("", "hello", "接受建议 <7> & 买入", "x" * 31, "长" * 700)


@pytest.mark.parametrize("text", TEXTS)
def test_wechatpy_opens_what_we_seal(text: str) -> None:
    sealed = OURS.seal(text.encode(), timestamp=STAMP, nonce="n", random=bytes(range(16)))
    got = THEIRS.decrypt_message({"Encrypt": sealed.encrypted}, sealed.signature, STAMP, "n")
    assert got == text


@pytest.mark.parametrize("text", TEXTS)
def test_we_open_what_wechatpy_seals(text: str) -> None:
    sealed = THEIRS.encrypt_message(text, "n", STAMP)
    encrypted = sealed.split("<Encrypt><![CDATA[")[1].split("]]>")[0]
    signature = sealed.split("<MsgSignature><![CDATA[")[1].split("]]>")[0]
    OURS.check(signature, STAMP, "n", encrypted)
    assert OURS.decrypt(encrypted).decode() == text


@pytest.mark.parametrize("text", TEXTS)
def test_wechatpy_and_the_stand_in_open_each_other(text: str) -> None:
    sealer = CallbackSealer(TOKEN, KEY, APP_ID)
    encrypted = sealer.encrypt(text)
    assert (
        THEIRS.decrypt_message({"Encrypt": encrypted}, sealer.signature(STAMP, "n", encrypted), STAMP, "n")
        == text
    )
    assert sealer.decrypt(OURS.encrypt(text.encode(), bytes(16))) == text


def test_wechatpy_refuses_what_we_refuse() -> None:
    sealed = OURS.seal(b"x", timestamp=STAMP, nonce="n", random=bytes(16))
    with pytest.raises(InvalidSignatureException):
        THEIRS.decrypt_message({"Encrypt": sealed.encrypted}, "0" * 40, STAMP, "n")
    other = CallbackCrypto(token=TOKEN, encoding_aes_key=KEY, receiver="wx0000000000000000")
    foreign = other.seal(b"x", timestamp=STAMP, nonce="n", random=bytes(16))
    with pytest.raises(InvalidAppIdException):
        THEIRS.decrypt_message({"Encrypt": foreign.encrypted}, foreign.signature, STAMP, "n")


async def test_our_callback_takes_what_wechatpy_sends_and_wechatpy_reads_the_answer() -> None:
    events: list[CallbackEvent] = []

    async def handle(event: CallbackEvent) -> str:
        events.append(event)
        return "收到：" + (event.text if isinstance(event, TextReceived) else "")

    endpoint = wechat_callback(OURS, handle, clock=lambda: NOW)
    app = Starlette(routes=[Route("/cb", endpoint, methods=["GET", "POST"])])
    # A reply of wechatpy has the shape of a message: from the user to the account, with an id.
    text = TextReply(source="o1", target="gh_1", content="接受 <1>").render()
    message = text.replace("</xml>", "<MsgId>9</MsgId></xml>")
    body = THEIRS.encrypt_message(message, "n", STAMP)
    signature = body.split("<MsgSignature><![CDATA[")[1].split("]]>")[0]
    query = {"msg_signature": signature, "timestamp": STAMP, "nonce": "n"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
        answer = await client.post("/cb", params=query, content=body.encode())
    (event,) = events
    assert isinstance(event, TextReceived)
    assert (event.user, event.text, event.key) == ("o1", "接受 <1>", "msg:9")
    envelope = answer.text
    part = {
        name: envelope.split(f"<{name}>")[1].split("<")[0] for name in ("MsgSignature", "TimeStamp", "Nonce")
    }
    opened = THEIRS.decrypt_message(envelope, part["MsgSignature"], part["TimeStamp"], part["Nonce"])
    reply = parse_message(opened)
    assert isinstance(reply, TextMessage)
    assert (reply.target, reply.source, reply.content) == ("o1", "gh_1", "收到：接受 <1>")


async def test_our_address_check_is_what_wecom_expects() -> None:
    async def handle(_: CallbackEvent) -> str:
        return ""

    endpoint = wechat_callback(OURS, handle, clock=lambda: NOW)
    app = Starlette(routes=[Route("/cb", endpoint, methods=["GET"])])
    echo = OURS.encrypt(b"4711", bytes(16))
    signature = OURS.sign(STAMP, "n", echo)
    query = {"msg_signature": signature, "timestamp": STAMP, "nonce": "n", "echostr": echo}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
        answer = await client.get("/cb", params=query)
    assert (
        answer.text == WecomCrypto(TOKEN, KEY, APP_ID).check_signature(signature, STAMP, "n", echo) == "4711"
    )


class Client(WeChatClient):  # type: ignore[misc]
    """wechatpy's client at the stand-in."""

    def __init__(self, table: dict[str, Any]) -> None:
        super().__init__(table["app_id"], table["app_secret"])
        self.API_BASE_URL = f"{table['base_url']}/cgi-bin/"

    def fetch_access_token(self) -> Any:
        params = {"grant_type": "client_credential", "appid": self.appid, "secret": self.secret}
        return self._fetch_access_token(url=f"{self.API_BASE_URL}token", params=params)


class World:
    def __init__(self, url: str, table: dict[str, Any]) -> None:
        self.table = table
        self.client = Client(table)
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        self.crypto = WeChatCrypto(table["callback_token"], table["encoding_aes_key"], table["app_id"])
        self._url = url

    async def do(self, name: str, **values: object) -> None:
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{self._url}/control/wechat/{name}", json=values)
        assert answer.status_code == 200, answer.text

    async def take(self, request: Request) -> Response:
        query, body = request.query_params, await request.body()
        opened = self.crypto.decrypt_message(body, query["msg_signature"], query["timestamp"], query["nonce"])
        self.messages.put_nowait(parse_message(opened))
        return PlainTextResponse("success")

    async def call(self, call: Callable[..., Any], *args: object, **values: object) -> Any:
        return await asyncio.to_thread(call, *args, **values)

    async def message(self) -> Any:
        async with asyncio.timeout(60):
            return await self.messages.get()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    made: list[World] = []

    async def take(request: Request) -> Response:
        return await made[0].take(request)

    app = Starlette(routes=[Route("/callbacks/wechat", take, methods=["POST"])])
    callbacks = f"http://127.0.0.1:{listening.getsockname()[1]}/callbacks"
    async with (
        serve_connections(app, listening),
        serve(tmp_path, 0, callbacks, [WechatStandin()]) as serving,
    ):
        table = tomllib.loads(serving.providers_file.read_text("utf-8"))["wechat"]
        made.append(World(serving.url, table))
        yield made[0]


async def test_wechatpy_reads_every_event_of_the_stand_in(world: World) -> None:
    code = await world.call(
        world.client.qrcode.create,
        {
            "expire_seconds": 60,
            "action_name": "QR_STR_SCENE",
            "action_info": {"scene": {"scene_str": "link-1"}},
        },
    )
    await world.do("scan", person="alice", code=code["ticket"])
    came = await world.message()
    assert (came.event, came.scene_id, came.source) == ("subscribe_scan", "link-1", ALICE)
    await world.do("scan", person="alice", code=code["ticket"])
    assert (await world.message()).event == "scan"
    await world.do("text", person="alice", text="你好 <&>")
    text = await world.message()
    assert (text.type, text.content) == ("text", "你好 <&>")
    await world.do("unfollow", person="alice")
    assert (await world.message()).event == "unsubscribe"


async def test_wechatpy_sends_through_the_stand_in(world: World) -> None:
    await world.do("follow", person="alice")
    await world.message()
    data = {
        "thing1": {"value": "新消息"},
        "thing2": {"value": "请查看"},
        "time3": {"value": "09:30"},
    }
    template = world.table["templates"]["message"]
    sent = await world.call(world.client.message.send_template, ALICE, template, data)
    receipt = await world.message()
    assert (receipt.event, receipt.id, receipt.status) == (
        "templatesendjobfinish",
        sent["msgid"],
        "success",
    )
    with pytest.raises(WeChatClientException, match="40037"):
        await world.call(world.client.message.send_template, ALICE, "NONE", data)
    await world.do("unfollow", person="alice")
    with pytest.raises(WeChatClientException, match="45015"):
        await world.call(world.client.message.send_text, ALICE, "?")


async def test_wechatpy_renews_a_token_and_sees_the_limit(world: World) -> None:
    await world.do("follow", person="alice")
    await world.do("faults", token_expired=1)
    listed = await world.call(world.client.template.get_all_private_template)
    assert len(listed["template_list"]) == 5
    await world.do("faults", rate_limited=1)
    with pytest.raises(APILimitedException):
        await world.call(world.client.message.send_text, ALICE, "?")
