"""The clients of WeChat and WeCom against a transport that says what we want to hear."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from notifications.channels import wecom_errcodes
from notifications.channels.http import HttpxCaller
from notifications.channels.table import read_table
from notifications.channels.wechat import errcodes
from notifications.channels.wechat.access import meaning
from notifications.channels.wechat.api import QrCode, WechatApi, WechatTable
from notifications.channels.wechat.channel import SubscriptionChannel, TemplateChannel, build
from notifications.channels.wechat.fields import FIELD_LIMITS, field_fits
from notifications.channels.wecom_app import WecomAppChannel, WecomAppTable
from notifications.channels.wecom_robot import (
    MAX_MARKDOWN_BYTES,
    WecomRobotChannel,
    WecomRobotTable,
    markdown,
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
from smartex_chassis import SettingsInvalid

TABLE = {
    "base_url": "http://wechat.test",
    "app_id": "wx1",
    "app_secret": "s3cret",
    "callback_token": "t",
    "encoding_aes_key": "B" * 43,
}
OPENID = Address(ChannelKind.WECHAT, "o1")
ROBOT = Address(ChannelKind.WECOM_ROBOT, "k/1")
MESSAGE = Message(
    delivery_id="d1",
    kind="positions.concentration",
    urgency=Urgency.HIGH,
    title="集中度",
    body="占比 40%",
    language="zh-CN",
    link="https://x.test/a",
    template="T1",
    fields={"thing1": "集中度过高", "amount2": "￥12.50", "time3": "2026年3月2日 09:30"},
)

Answers = Callable[[httpx.Request], httpx.Response]


class Provider:
    """Answers requests; tokens are `token-1`, `token-2`, …"""

    def __init__(self, answer: Answers) -> None:
        self.answer = answer
        self.tokens = 0
        self.requests: list[httpx.Request] = []
        self.now = datetime(2026, 3, 2, tzinfo=UTC)
        client = httpx.AsyncClient(transport=httpx.MockTransport(self._handle))
        self.http = HttpxCaller(client, clock=self.clock, time_limit=5)

    def clock(self) -> datetime:
        return self.now

    def wechat(self) -> WechatApi:
        return WechatApi(read_table(WechatTable, "wechat", TABLE), self.http, self.clock)

    def wecom(self) -> WecomAppChannel:
        table = {"corp_id": "ww1", "agent_id": 7, "secret": "s&c", "base_url": "http://wecom.test/"}
        return WecomAppChannel(read_table(WecomAppTable, "wecom_app", table), self.http, self.clock)

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        await asyncio.sleep(0.01)
        answer = (
            self._token() if request.url.path.endswith(("stable_token", "gettoken")) else self.answer(request)
        )
        # As from a real connection: not read yet.
        return httpx.Response(
            answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content)
        )

    def _token(self) -> httpx.Response:
        self.tokens += 1
        return httpx.Response(200, json={"access_token": f"token-{self.tokens}", "expires_in": 7200})


def says(**values: Any) -> Answers:
    return lambda _: httpx.Response(200, json=values)


async def test_a_template_message_on_the_wire() -> None:
    provider = Provider(says(errcode=0, errmsg="ok", msgid=200228332))
    channel = TemplateChannel(provider.wechat())
    assert await channel.send(OPENID, MESSAGE) == Sent("200228332")
    assert await channel.send(OPENID, MESSAGE) == Sent("200228332")
    token, first, second = provider.requests
    assert json.loads(token.content) == {
        "grant_type": "client_credential",
        "appid": "wx1",
        "secret": "s3cret",
    }
    assert first.url == "http://wechat.test/cgi-bin/message/template/send?access_token=token-1"
    body = json.loads(first.content)
    assert len(body.pop("client_msg_id")) == 36
    assert body == {
        "touser": "o1",
        "template_id": "T1",
        "url": "https://x.test/a",
        "data": {
            "thing1": {"value": "集中度过高"},
            "amount2": {"value": "￥12.50"},
            "time3": {"value": "2026年3月2日 09:30"},
        },
    }
    # The same delivery has the same id at every attempt: by it WeChat drops the repeat.
    assert first.content == second.content


async def test_a_subscription_message_on_the_wire() -> None:
    provider = Provider(says(errcode=0, msgid="17"))
    assert await SubscriptionChannel(provider.wechat()).send(OPENID, MESSAGE) == Sent("17")
    request = provider.requests[-1]
    assert request.url.path == "/cgi-bin/message/subscribe/bizsend"
    assert json.loads(request.content)["page"] == "https://x.test/a"


async def test_many_senders_share_one_token() -> None:
    provider = Provider(says(errcode=0, msgid=1))
    api = provider.wechat()
    await asyncio.gather(*(api.send_template("o1", MESSAGE) for _ in range(50)))
    assert provider.tokens == 1


async def test_a_token_is_renewed_before_it_ends() -> None:
    provider = Provider(says(errcode=0, msgid=1))
    api = provider.wechat()
    await api.send_template("o1", MESSAGE)
    provider.now += timedelta(seconds=7200 - 61)
    await api.send_template("o1", MESSAGE)
    assert provider.tokens == 1
    provider.now += timedelta(seconds=2)
    await api.send_template("o1", MESSAGE)
    assert provider.tokens == 2


@pytest.mark.parametrize("errcode", sorted(errcodes.TOKEN_ERRCODES))
async def test_a_refused_token_is_renewed_once_for_all_who_send(errcode: int) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        refused = request.url.params["access_token"] == "token-1"
        return httpx.Response(200, json={"errcode": errcode} if refused else {"errcode": 0, "msgid": 5})

    provider = Provider(answer)
    api = provider.wechat()
    sent = await asyncio.gather(*(api.send_template("o1", MESSAGE) for _ in range(20)))
    assert sent == [Sent("5")] * 20
    assert provider.tokens == 2


async def test_a_token_that_is_never_believed_ends_in_a_failure() -> None:
    provider = Provider(says(errcode=40001))
    assert await provider.wechat().send_template("o1", MESSAGE) == Failed("TOKEN_REFUSED 40001")
    assert len(provider.requests) == 4  # token, message, token, message


@pytest.mark.parametrize(
    ("errcode", "outcome"),
    [
        (-1, Failed("BUSY -1")),
        (45009, Failed("RATE_LIMITED 45009", timedelta(hours=1))),
        (45011, Failed("RATE_LIMITED 45011", timedelta(minutes=1))),
        (48001, Failed("NOT_ALLOWED 48001")),
        (40003, AddressGone("ADDRESS_UNKNOWN 40003")),
        (43004, AddressGone("NOT_FOLLOWING 43004")),
        (43101, Refused("NOT_SUBSCRIBED 43101")),
        (45047, Refused("CONVERSATION_CLOSED 45047")),
        (40037, Refused("TEMPLATE_UNKNOWN 40037")),
        (47003, Refused("FIELD_INVALID 47003")),
        (40241, Sent()),
        (99999, Refused("REFUSED 99999")),
    ],
)
async def test_what_an_errcode_of_wechat_means(errcode: int, outcome: Outcome) -> None:
    provider = Provider(says(errcode=errcode, errmsg="of o1 with s3cret"))
    assert await provider.wechat().send_template("o1", MESSAGE) == outcome


@pytest.mark.parametrize(
    ("errcode", "outcome"),
    [
        (45009, Failed("RATE_LIMITED 45009", timedelta(minutes=1))),
        (81013, AddressGone("ADDRESS_UNKNOWN 81013")),
        (60111, AddressGone("ADDRESS_UNKNOWN 60111")),
        (40056, Failed("NOT_ALLOWED 40056")),
        (40001, Failed("NOT_ALLOWED 40001")),
        (93000, AddressGone("ROBOT_GONE 93000")),
        (40058, Refused("PARAMETER_INVALID 40058")),
    ],
)
async def test_what_an_errcode_of_wecom_means(errcode: int, outcome: Outcome) -> None:
    provider = Provider(says(errcode=errcode))
    assert await provider.wecom().send(Address(ChannelKind.WECOM_APP, "alice"), MESSAGE) == outcome


@pytest.mark.parametrize("table", [errcodes.ERRCODES, wecom_errcodes.ERRCODES])
def test_every_errcode_names_itself(table: dict[int, Outcome]) -> None:
    for errcode in table:
        told = meaning(errcode, table)
        assert isinstance(told, Sent) or told.reason.endswith(f" {errcode}")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (httpx.Response(503), Failed("PROVIDER_FAILED 503")),
        (httpx.Response(429, headers={"retry-after": "7"}), Failed("RATE_LIMITED 429", timedelta(seconds=7))),
        (httpx.Response(200, text="<html>"), Failed("ANSWER_UNREADABLE", maybe_sent=True)),
        (httpx.Response(200, json=[1]), Failed("ANSWER_UNREADABLE", maybe_sent=True)),
        (httpx.Response(200, json={"errcode": "x"}), Failed("ANSWER_UNREADABLE", maybe_sent=True)),
    ],
)
async def test_answers_that_are_none(answer: httpx.Response, outcome: Outcome) -> None:
    assert await Provider(lambda _: answer).wechat().send_template("o1", MESSAGE) == outcome


async def test_a_connection_that_dies_may_have_sent() -> None:
    def die(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("gone")

    got = await Provider(die).wechat().send_template("o1", MESSAGE)
    assert isinstance(got, Failed)
    assert got.reason == "CONNECTION_FAILED ReadError"


async def test_what_wechat_would_refuse_is_not_sent() -> None:
    provider = Provider(says(errcode=0))
    channel = TemplateChannel(provider.wechat())
    long = Message(**{**vars(MESSAGE), "fields": {"thing1": "长" * 21}})
    assert await channel.send(OPENID, long) == Refused("FIELD_INVALID thing1")
    none = Message(**{**vars(MESSAGE), "template": ""})
    assert await channel.send(OPENID, none) == Refused("TEMPLATE_MISSING")
    assert not provider.requests


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("thing1", "二十个字以内的任何文字 abc，好", "长" * 21),
        ("number2", "-12.50", "12元"),
        ("letter3", "abcXYZ", "a1"),
        ("symbol4", "+-*/!", "+-*/!?"),
        ("character_string5", "AAPL 35.2% / 40%", "茅台"),
        ("time6", "2026年3月2日 09:30", "9点半"),
        ("time6", "09:30:05~15:00", "25:00"),
        ("date7", "2026-03-02", "09:30"),
        ("date7", "2026年3月2日~2026年3月3日 15:01", "昨天"),
        ("amount8", "￥12345.67元", "￥12345678901"),
        ("amount8", "$0.5", "1,000.00"),
        ("phone_number9", "+86-0766-66888866", "+86-0766-668888661"),
        ("car_number10", "粤A8Z888挂", "粤A8Z888挂挂"),
        ("name11", "欧阳 Wang", "一二三四五六七八九十一"),
        ("name11", "Alexander Hamilton X", "Alexander Hamilton XY"),
        ("phrase12", "已成交", "已成交了啊啊"),
        ("phrase12", "买入", "buy"),
        ("const13", "止损提醒", "长" * 21),
        ("keyword1", "任何文字" * 20, "第一行\n第二行"),
        ("thing1", "x", "  "),
    ],
)
def test_what_fields_take(name: str, good: str, bad: str) -> None:
    assert field_fits(name, good)
    assert not field_fits(name, bad)


@given(kind=st.sampled_from(sorted(FIELD_LIMITS)), value=st.text(max_size=80))
def test_nothing_longer_than_its_limit_fits(kind: str, value: str) -> None:
    assert not field_fits(f"{kind}1", value) or len(value) <= FIELD_LIMITS[kind]


async def test_a_code_with_a_scene() -> None:
    provider = Provider(says(ticket="gQH", expire_seconds=600, url="http://weixin.qq.com/q/k"))
    api = provider.wechat()
    code = await api.create_qr("link-42", timedelta(minutes=10))
    assert code == QrCode("http://weixin.qq.com/q/k", "gQH", timedelta(minutes=10))
    assert json.loads(provider.requests[-1].content) == {
        "expire_seconds": 600,
        "action_name": "QR_STR_SCENE",
        "action_info": {"scene": {"scene_str": "link-42"}},
    }
    assert await api.create_qr("x" * 65, timedelta(minutes=10)) == Refused("SCENE_INVALID")


async def test_a_card_of_wecom_on_the_wire() -> None:
    provider = Provider(says(errcode=0, msgid="m1", invaliduser=""))
    message = Message(**{**vars(MESSAGE), "body": "<b>40%</b> & more"})
    assert await provider.wecom().send(Address(ChannelKind.WECOM_APP, "alice"), message) == Sent("m1")
    token, request = provider.requests
    assert token.url.params["corpsecret"] == "s&c"
    assert request.url == "http://wecom.test/cgi-bin/message/send?access_token=token-1"
    assert json.loads(request.content) == {
        "touser": "alice",
        "agentid": 7,
        "enable_duplicate_check": 1,
        "duplicate_check_interval": 14400,
        "msgtype": "textcard",
        "textcard": {
            "title": "集中度",
            "description": "&lt;b&gt;40%&lt;/b&gt; &amp; more",
            "url": "https://x.test/a",
        },
    }


@pytest.mark.parametrize("user", ["@all", "a|b", "", "x" * 65, "王"])
async def test_an_address_of_wecom_that_would_reach_others_is_refused(user: str) -> None:
    provider = Provider(says(errcode=0))
    got = await provider.wecom().send(Address(ChannelKind.WECOM_APP, user), MESSAGE)
    assert got == AddressGone("ADDRESS_INVALID")
    assert not provider.requests


async def test_a_robot_on_the_wire() -> None:
    provider = Provider(says(errcode=0))
    channel = WecomRobotChannel(
        read_table(WecomRobotTable, "wecom_robot", {"base_url": "http://w.test"}), provider.http
    )
    assert await channel.send(ROBOT, MESSAGE) == Sent()
    request = provider.requests[-1]
    assert str(request.url) == "http://w.test/cgi-bin/webhook/send?key=k%2F1"
    assert json.loads(request.content) == {
        "msgtype": "markdown",
        "markdown": {"content": "**集中度**\n> 占比 40%\n[查看](https://x.test/a)"},
    }
    long = Message(**{**vars(MESSAGE), "body": "长" * MAX_MARKDOWN_BYTES})
    assert await channel.send(ROBOT, long) == Refused("TOO_LONG")


def test_a_robot_rings_nobody_because_a_text_says_so() -> None:
    hostile = Message(**{**vars(MESSAGE), "title": "<@all>", "body": "[bank](http://evil.test)"})
    text = markdown(hostile)
    assert "<@" not in text
    assert "](http://evil" not in text


async def test_no_token_and_no_key_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await Provider(says(errcode=0)).wechat().send_template("o1", MESSAGE)
    assert "token-1" not in caplog.text


def test_settings_are_checked_and_show_no_secret() -> None:
    with pytest.raises(SettingsInvalid, match="encoding_aes_key"):
        build({**TABLE, "encoding_aes_key": "short"})
    with pytest.raises(SettingsInvalid, match="app_id") as caught:
        build({**TABLE, "app_id": "", "surprise": 1})
    assert "s3cret" not in str(caught.value)
