"""SMS: parts of a text, the signature of Alibaba Cloud, codes and receipts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from notifications.channels import sms, sms_aliyun, sms_http
from notifications.channels.http import Answer, HttpxCaller
from notifications.channels.sms_receipts import Callback, SmsReceipt
from notifications.channels.sms_text import is_gsm, segments
from notifications.domain.sending import (
    Address,
    AddressGone,
    ChannelKind,
    Failed,
    Message,
    Refused,
    Sent,
    Urgency,
)
from smartex_chassis import InvalidInput, Unauthenticated

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),  # 2 × 153
        ("a" * 307, 3),
        ("€" * 80, 1),  # 2 septets each: 160
        ("€" * 81, 2),
        # 153 is odd: 76 of them in a part, the escape is not split from its character. 152 need 2, 153 need 3.
        ("€" * 152, 2),
        ("€" * 153, 3),
        ("长" * 70, 1),
        ("长" * 71, 2),
        ("长" * 134, 2),  # 2 × 67
        ("长" * 135, 3),
        ("😀" * 35, 1),  # 2 units each: 70
        # 67 is odd: 33 in a part.
        ("😀" * 66, 2),
        ("😀" * 67, 3),
        ("a" * 70 + "长", 2),  # one character makes all of it UCS-2
    ],
)
def test_parts(text: str, parts: int) -> None:
    assert segments(text) == parts


def test_alphabet() -> None:
    assert is_gsm("Hello @£$¥ [x] {y} ~ ^ € Δ ñ")
    assert not is_gsm("`")
    assert not is_gsm("ç")  # only the capital is in it


@given(st.text(max_size=400), st.text(max_size=10))
def test_more_text_takes_no_fewer_parts(text: str, more: str) -> None:
    assert segments(text) <= segments(text + more)


def test_the_example_of_the_signature() -> None:
    """The worked example of "V3 request structure and signature" in Alibaba Cloud's documentation."""
    query = sms_aliyun.canonical_query(
        {"RegionId": "cn-shanghai", "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"}
    )
    headers = sms_aliyun.sign(
        host="ecs.cn-shanghai.aliyuncs.com",
        query=query,
        action="RunInstances",
        version="2014-05-26",
        key_id="YourAccessKeyId",
        secret="YourAccessKeySecret",
        now=datetime(2023, 10, 26, 10, 22, 32, tzinfo=UTC),
        nonce="3156853299f313e23d1673dc12e1703d",
    )
    assert headers["authorization"] == (
        "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,"
        "SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,"
        "Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


@given(st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=50), max_size=5))
def test_any_parameter_comes_through_the_query(parameters: dict[str, str]) -> None:
    query = sms_aliyun.canonical_query(parameters)
    assert query.isascii()
    assert "+" not in query
    read = parse_qs(query, keep_blank_values=True)
    # A lone surrogate cannot be sent: it becomes a question mark.
    assert read == {_sendable(name): [_sendable(value)] for name, value in parameters.items()}


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def answer(status: int, body: object) -> Answer:
    return Answer(status, {}, json.dumps(body).encode(), NOW)


@pytest.mark.parametrize(
    ("got", "outcome"),
    [
        (answer(200, {"Code": "OK", "BizId": "9^0"}), Sent("9^0")),
        (answer(200, {"Code": "isv.MOBILE_NUMBER_ILLEGAL"}), AddressGone("isv.MOBILE_NUMBER_ILLEGAL")),
        (answer(200, {"Code": "isv.BUSINESS_LIMIT_CONTROL"}), Failed("isv.BUSINESS_LIMIT_CONTROL")),
        (answer(200, {"Code": "isv.SMS_TEMPLATE_ILLEGAL"}), Refused("isv.SMS_TEMPLATE_ILLEGAL")),
        (answer(400, {"Code": "Throttling.User"}), Failed("RATE_LIMITED Throttling.User")),
        (answer(400, {"Code": "SignatureDoesNotMatch"}), Failed("NOT_ALLOWED 400 SignatureDoesNotMatch")),
        (answer(503, {"Code": "ServiceUnavailable"}), Failed("PROVIDER_FAILED 503 ServiceUnavailable")),
        (answer(200, "<html>"), Failed("NOT_ALLOWED 200")),
    ],
)
def test_what_aliyun_says(got: Answer, outcome: object) -> None:
    assert sms_aliyun.outcome(got) == outcome


@pytest.mark.parametrize(
    ("got", "outcome"),
    [
        (answer(202, {"id": "7"}), Sent("7")),
        (answer(200, []), Sent("")),
        (answer(422, {"error": {"code": "INVALID_NUMBER"}}), AddressGone("INVALID_NUMBER")),
        (answer(404, {"error": "nope"}), Refused("REFUSED 404")),
        (answer(403, {}), Failed("NOT_ALLOWED 403")),
    ],
)
def test_what_a_plain_gateway_says(got: Answer, outcome: object) -> None:
    assert sms_http.outcome(got) == outcome


def plain(seen: list[httpx.Request]) -> sms.SmsChannel:
    def take(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(202, stream=httpx.ByteStream(b'{"id": "7"}'))

    table = sms_http.HttpSmsTable(url="https://sms.example/m", api_key="key", sender="1069")  # type: ignore[arg-type]
    client = httpx.AsyncClient(transport=httpx.MockTransport(take))
    return sms.SmsChannel(
        sms_http.HttpSmsGateway(table, HttpxCaller(client, clock=lambda: NOW, time_limit=1))
    )


def message(**changes: Any) -> Message:
    values: dict[str, Any] = {"delivery_id": "d1", "kind": "k", "urgency": Urgency.HIGH, "title": "t"}
    return Message(**({"body": "正文", "language": "zh-CN"} | values | changes))


async def test_the_plain_body() -> None:
    seen: list[httpx.Request] = []
    channel = plain(seen)
    phone = Address(ChannelKind.SMS, "+8613800000001")
    assert await channel.send(phone, message()) == Sent("7")
    assert await channel.send(phone, message(template="T1", fields={"a": "1"})) == Sent("7")
    text, template = (json.loads(request.content) for request in seen)
    assert text == {"id": "d1", "to": "+8613800000001", "from": "1069", "text": "正文"}
    assert template == {
        "id": "d1",
        "to": "+8613800000001",
        "from": "1069",
        "template": "T1",
        "fields": {"a": "1"},
    }
    assert seen[0].headers["idempotency-key"] == "d1"
    assert seen[0].headers["authorization"] == "Bearer key"


async def test_a_text_of_too_many_parts_is_refused() -> None:
    seen: list[httpx.Request] = []
    phone = Address(ChannelKind.SMS, "+8613800000001")
    # 5 × 67
    assert await plain(seen).send(phone, message(body="长" * 335)) == Sent("7")
    assert await plain(seen).send(phone, message(body="长" * 336)) == Refused("TOO_LONG over 5 segments")
    assert len(seen) == 1


ALIYUN = {
    "gateway": "aliyun",
    "access_key_id": "a",
    "access_key_secret": "b",
    "sign_name": "s",
    "receipt_secret": "the key",
}
PUSH = [{"phone_number": "1", "success": False, "err_code": "USER_REJECT", "biz_id": "9^0", "out_id": "d1"}]


async def test_without_a_template_nothing_is_sent() -> None:
    channel = sms.build(ALIYUN)
    outcome = await channel.send(Address(ChannelKind.SMS, "+8613800000001"), message())
    await channel.close()
    assert outcome == Refused("NO_TEMPLATE")


def test_receipts_of_aliyun() -> None:
    channel = sms.build(ALIYUN)
    callback = Callback({}, {"key": "the key"}, json.dumps(PUSH).encode(), NOW)
    assert channel.receipts(callback) == [
        SmsReceipt("d1", "9^0", delivered=False, reason="USER_REJECT", gone=True)
    ]
    assert json.loads(sms.RECEIPT_ANSWER)["code"] == 0


@pytest.mark.parametrize("query", [{}, {"key": ""}, {"key": "The key"}, {"key": "钥匙"}])
def test_receipts_without_the_key_are_not_believed(query: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated):
        sms.build(ALIYUN).receipts(Callback({}, query, json.dumps(PUSH).encode(), NOW))


def test_without_a_secret_no_receipt_is_believed() -> None:
    table = {key: value for key, value in ALIYUN.items() if key != "receipt_secret"}
    with pytest.raises(Unauthenticated):
        sms.build(table).receipts(Callback({}, {"key": ""}, b"[]", NOW))


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b"7", b"null", b"[" * 100_000, b"[]" + b" " * 300_000, b"\xff"]
)
def test_an_unreadable_receipt_is_named(body: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        sms.build(ALIYUN).receipts(Callback({}, {"key": "the key"}, body, NOW))
    assert caught.value.field_violations[0].field == "body"
