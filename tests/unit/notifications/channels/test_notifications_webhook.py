"""Webhooks: the published example of Standard Webhooks, bodies, secrets, statuses."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notifications.channels import webhook
from notifications.channels.http import Answer
from notifications.domain.sending import Address, AddressGone, ChannelKind, Failed, Message, Sent, Urgency

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def address(**secrets: str) -> Address:
    return Address(ChannelKind.WEBHOOK, "https://x.example/hook", secrets)


def test_the_published_example() -> None:
    """Of Svix, whose scheme Standard Webhooks took over; its libraries' pages all show it."""
    key = webhook.decode_secret(SECRET)
    headers = webhook.sign([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_several_secrets_sign_in_the_order_of_their_names() -> None:
    other = "whsec_" + base64.b64encode(b"x" * 24).decode()
    keys = webhook.signing_secrets(address(secret_old=SECRET, secret=other, note="not a secret"))
    assert keys == [b"x" * 24, webhook.decode_secret(SECRET)]
    signatures = webhook.sign(keys, "m", 1, b"{}")["webhook-signature"].split(" ")
    assert [signature[:3] for signature in signatures] == ["v1,", "v1,"]
    assert signatures[1] == webhook.sign([keys[1]], "m", 1, b"{}")["webhook-signature"]


@pytest.mark.parametrize(
    "secrets", [{}, {"secret": ""}, {"secret": "whsec_"}, {"secret": "whsec_?"}, {"secret": "中"}]
)
def test_secrets_that_are_none(secrets: dict[str, str]) -> None:
    assert webhook.signing_secrets(address(**secrets)) == []


def test_the_body_is_the_same_at_every_attempt() -> None:
    message = Message(
        "d1",
        "orders.filled",
        Urgency.NORMAL,
        "标题",
        "正文",
        "zh-CN",
        data={"order": "7"},
        expire_time=NOW + timedelta(minutes=1),
    )
    body = webhook.encode(message)
    assert body == webhook.encode(message)
    assert json.loads(body) == {
        "type": "orders.filled",
        "data": {
            "id": "d1",
            "urgency": "normal",
            "language": "zh-CN",
            "title": "标题",
            "body": "正文",
            "link": "",
            "collapse_key": "",
            "expire_time": "2026-03-02T09:31:00+00:00",
            "data": {"order": "7"},
        },
    }


@given(st.text(), st.text(), st.dictionaries(st.text(), st.text()))
def test_any_message_is_json(title: str, body: str, data: dict[str, str]) -> None:
    encoded = webhook.encode(Message("d1", "k", Urgency.LOW, title, body, "en", data=data))
    assert json.loads(encoded)["type"] == "k"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Sent()),
        (204, Sent()),
        (302, Failed("RECEIVER_FAILED 302")),
        (400, Failed("RECEIVER_FAILED 400")),
        (404, Failed("RECEIVER_FAILED 404")),
        (410, AddressGone("GONE 410")),
        (429, Failed("RATE_LIMITED 429")),
        (500, Failed("RECEIVER_FAILED 500")),
        (504, Failed("RECEIVER_FAILED 504", maybe_sent=True)),
    ],
)
def test_what_a_status_means(status: int, outcome: object) -> None:
    assert webhook.outcome(Answer(status, {}, b"", NOW)) == outcome
