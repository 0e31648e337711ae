"""The callback address: what it takes, and what hostile requests get."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from notifications.channels.wechat import callback as callback_module
from notifications.channels.wechat.callback import wechat_callback
from notifications.channels.wechat.crypto import CallbackCrypto
from notifications.channels.wechat.events import CallbackEvent, TextReceived
from notifications.channels.wechat.xml import parse_xml
from starlette.applications import Starlette
from starlette.routing import Route

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
CRYPTO = CallbackCrypto(token="token", encoding_aes_key="B" * 43, receiver="wx1234567890abcdef")
OTHER = CallbackCrypto(token="token", encoding_aes_key="B" * 43, receiver="wx0000000000000000")
TEXT = (
    "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>1772443800</CreateTime>"
    "<MsgType>text</MsgType><Content>{}</Content><MsgId>77</MsgId></xml>"
)


class Receiver:
    """The application, and what its handler was given."""

    def __init__(self) -> None:
        self.events: list[CallbackEvent] = []
        self.reply = ""
        self.error: Exception | None = None
        self.seconds = 0.0
        self.now = NOW
        endpoint = wechat_callback(CRYPTO, self.handle, clock=lambda: self.now)
        app = Starlette(routes=[Route("/cb", endpoint, methods=["GET", "POST"])])
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app")

    async def handle(self, event: CallbackEvent) -> str:
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        self.events.append(event)
        return self.reply

    async def post(
        self,
        message: str,
        *,
        stamp: str = STAMP,
        nonce: str = "n1",
        crypto: CallbackCrypto = CRYPTO,
        **query: str,
    ) -> httpx.Response:
        sealed = crypto.seal(message.encode(), timestamp=stamp, nonce=nonce, random=bytes(16))
        params = {"msg_signature": sealed.signature, "timestamp": stamp, "nonce": nonce, **query}
        body = f"<xml><ToUserName>gh_1</ToUserName><Encrypt><![CDATA[{sealed.encrypted}]]></Encrypt></xml>"
        return await self.client.post("/cb", params=params, content=body)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    yield made
    await made.client.aclose()


def refused(answer: httpx.Response, status: int, reason: str) -> bool:
    return (answer.status_code, answer.json()) == (status, {"error": reason})


async def test_a_text_is_handed_on(receiver: Receiver) -> None:
    answer = await receiver.post(TEXT.format("买入 &lt;100&gt;"))
    assert (answer.status_code, answer.text) == (200, "success")
    assert receiver.events == [
        TextReceived(
            user="o1",
            account="gh_1",
            time=datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
            key="msg:77",
            text="买入 <100>",
        )
    ]


async def test_the_reply_is_sealed_for_the_user(receiver: Receiver) -> None:
    receiver.reply = "收到 <b>&"
    envelope = parse_xml((await receiver.post(TEXT.format("hi"))).content)
    encrypted = envelope.get("Encrypt")
    CRYPTO.check(envelope.get("MsgSignature"), envelope.get("TimeStamp"), envelope.get("Nonce"), encrypted)
    message = parse_xml(CRYPTO.decrypt(encrypted))
    assert [message.get(name) for name in ("ToUserName", "FromUserName", "MsgType", "Content")] == [
        "o1",
        "gh_1",
        "text",
        "收到 <b>&",
    ]


async def test_the_address_check_of_an_official_account_is_echoed(receiver: Receiver) -> None:
    query = {"signature": CRYPTO.sign(STAMP, "n"), "timestamp": STAMP, "nonce": "n", "echostr": "4375"}
    assert (await receiver.client.get("/cb", params=query)).text == "4375"


async def test_the_address_check_of_wecom_is_opened_and_echoed(receiver: Receiver) -> None:
    echo = CRYPTO.encrypt(b"1616140317555161061", bytes(16))
    query = {
        "msg_signature": CRYPTO.sign(STAMP, "n", echo),
        "timestamp": STAMP,
        "nonce": "n",
        "echostr": echo,
    }
    assert (await receiver.client.get("/cb", params=query)).text == "1616140317555161061"


async def test_a_forged_address_check_is_refused(receiver: Receiver) -> None:
    query = {"signature": "0" * 40, "timestamp": STAMP, "nonce": "n", "echostr": "<script>"}
    assert refused(await receiver.client.get("/cb", params=query), 403, "SIGNATURE_WRONG")


async def test_a_forged_signature_is_refused(receiver: Receiver) -> None:
    answer = await receiver.post(TEXT.format("x"), msg_signature="f" * 40)
    assert refused(answer, 403, "SIGNATURE_WRONG")
    assert not receiver.events


async def test_a_changed_time_or_nonce_breaks_the_signature(receiver: Receiver) -> None:
    later = str(int(STAMP) + 1)
    assert refused(await receiver.post(TEXT.format("x"), timestamp=later), 403, "SIGNATURE_WRONG")
    sealed = CRYPTO.seal(b"<xml/>", timestamp=STAMP, nonce="a", random=bytes(16))
    query = {"msg_signature": sealed.signature, "timestamp": STAMP, "nonce": "b"}
    body = f"<xml><Encrypt>{sealed.encrypted}</Encrypt></xml>"
    answer = await receiver.client.post("/cb", params=query, content=body)
    assert refused(answer, 403, "SIGNATURE_WRONG")


async def test_the_same_request_again_is_refused(receiver: Receiver) -> None:
    assert (await receiver.post(TEXT.format("x"))).status_code == 200
    assert refused(await receiver.post(TEXT.format("x")), 403, "REPLAYED")
    assert len(receiver.events) == 1


@pytest.mark.parametrize("seconds", [-301, 301, -(10**9)])
async def test_a_request_of_another_time_is_refused(receiver: Receiver, seconds: int) -> None:
    stamp = str(int(STAMP) + seconds)
    assert refused(await receiver.post(TEXT.format("x"), stamp=stamp), 403, "TIMESTAMP_STALE")


async def test_a_request_at_the_edge_of_the_window_is_taken_once_for_all_its_time(receiver: Receiver) -> None:
    stamp = str(int(STAMP) + 300)
    assert (await receiver.post(TEXT.format("x"), stamp=stamp)).status_code == 200
    receiver.now = NOW + timedelta(seconds=600)
    assert refused(await receiver.post(TEXT.format("x"), stamp=stamp), 403, "REPLAYED")


async def test_a_request_for_another_account_is_refused(receiver: Receiver) -> None:
    assert refused(await receiver.post(TEXT.format("x"), crypto=OTHER), 403, "RECEIVER_WRONG")


async def test_what_could_not_be_handled_may_come_again(receiver: Receiver) -> None:
    receiver.error = RuntimeError("database away")
    assert refused(await receiver.post(TEXT.format("x")), 503, "NOT_HANDLED")
    receiver.error = None
    assert (await receiver.post(TEXT.format("x"))).status_code == 200
    assert len(receiver.events) == 1


async def test_a_handler_that_takes_too_long_is_cut(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callback_module, "HANDLER_SECONDS", 0.02)
    receiver.seconds = 30.0
    assert refused(await receiver.post(TEXT.format("x")), 503, "NOT_HANDLED")
    assert not receiver.events


@pytest.mark.parametrize("parameter", ["msg_signature", "timestamp", "nonce"])
async def test_a_missing_parameter_is_refused(receiver: Receiver, parameter: str) -> None:
    empty: dict[str, Any] = {parameter: ""}
    assert refused(await receiver.post(TEXT.format("x"), **empty), 400, "PARAMETER_MISSING")


async def test_a_huge_body_is_refused_before_it_is_read(receiver: Receiver) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b"x" * 8192

    query = {"msg_signature": "0" * 40, "timestamp": STAMP, "nonce": "n"}
    answer = await receiver.client.post("/cb", params=query, content=body())
    assert refused(answer, 413, "TOO_LARGE")


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY a{n} "{"&a;" * 10 if n == 0 else f"&a{n - 1};" * 10}">' for n in range(9))
    + "]><xml><Encrypt>&a8;</Encrypt></xml>"
)
OUTSIDE = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><xml><Encrypt>&f;</Encrypt></xml>'


@pytest.mark.parametrize(
    "body",
    [BOMB, OUTSIDE, "", "<xml>", "not xml", "<a/>" * 2, "<x>" * 50 + "</x>" * 50, f"<x>{'<a/>' * 2000}</x>"],
)
async def test_dangerous_xml_is_refused(receiver: Receiver, body: str) -> None:
    query = {"msg_signature": "0" * 40, "timestamp": STAMP, "nonce": "n"}
    answer = await receiver.client.post("/cb", params=query, content=body)
    assert refused(answer, 400, "XML_REFUSED")


async def test_dangerous_xml_inside_the_seal_is_refused(receiver: Receiver) -> None:
    assert refused(await receiver.post(BOMB), 400, "XML_REFUSED")


@pytest.mark.parametrize("encrypted", ["%%%", "QUJD", "é", "A" * 1001])
async def test_garbage_with_a_right_signature_is_refused(receiver: Receiver, encrypted: str) -> None:
    query = {"msg_signature": CRYPTO.sign(STAMP, "n", encrypted), "timestamp": STAMP, "nonce": "n"}
    body = f"<xml><Encrypt>{encrypted}</Encrypt></xml>".encode()
    answer = await receiver.client.post("/cb", params=query, content=body)
    assert refused(answer, 400, "CIPHERTEXT_INVALID")


async def test_a_plain_message_is_refused(receiver: Receiver) -> None:
    query = {"msg_signature": "0" * 40, "timestamp": STAMP, "nonce": "n"}
    answer = await receiver.client.post("/cb", params=query, content=TEXT.format("x").encode())
    assert refused(answer, 400, "NOT_ENCRYPTED")


@pytest.mark.parametrize("message", ["<xml/>", TEXT.replace("1772443800", "x"), TEXT.replace("o1", "")])
async def test_a_message_without_what_it_needs_is_refused(receiver: Receiver, message: str) -> None:
    assert refused(await receiver.post(message), 400, "MESSAGE_MALFORMED")
