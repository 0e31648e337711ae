"""Web Push: the example of RFC 8291, headers, VAPID tokens, and what statuses mean."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from notifications.channels import webpush
from notifications.channels.http import Answer
from notifications.channels.webpush_vapid import MAX_ORIGINS, VapidTokens, parse_key
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

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

# RFC 8291, section 5 and appendix A.
PLAINTEXT = b"When I grow up, I want to be a watermelon"
RECEIVER_PUBLIC = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
SENDER_PRIVATE = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6Tlz"
    "AC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def subscription(**changes: str) -> Address:
    secrets = {"p256dh": RECEIVER_PUBLIC, "auth": AUTH} | changes
    return Address(ChannelKind.WEBPUSH, "https://push.example/1", secrets)


def test_example_of_rfc_8291() -> None:
    keys = webpush.subscription_keys(subscription())
    assert keys is not None
    body = webpush.encrypt(PLAINTEXT, *keys, salt=decoded(SALT), make_key=lambda: parse_key(SENDER_PRIVATE))
    assert body == decoded(BODY)


def test_every_message_has_a_key_and_a_salt_of_its_own() -> None:
    keys = webpush.subscription_keys(subscription())
    assert keys is not None
    one, two = (webpush.encrypt(PLAINTEXT, *keys) for _ in range(2))
    assert one[:16] != two[:16]
    assert one[21:86] != two[21:86]
    assert len(one) == len(PLAINTEXT) + webpush.OVERHEAD_BYTES


@pytest.mark.parametrize(
    "changes",
    [
        {"p256dh": ""},
        {"p256dh": "BCVx"},
        # A point that is not on the curve: the last byte is another.
        {"p256dh": RECEIVER_PUBLIC[:-1] + "8"},
        {"auth": "AAAA"},
        {"auth": "中文"},
    ],
)
def test_keys_that_are_none(changes: dict[str, str]) -> None:
    assert webpush.subscription_keys(subscription(**changes)) is None


def test_headers_and_payload() -> None:
    message = Message("d1", "k", Urgency.CRITICAL, "标题", "正文", "zh-CN", collapse_key="x" * 100)
    headers = webpush.headers_of(message, 90)
    assert headers["content-encoding"] == "aes128gcm"
    assert (headers["ttl"], headers["urgency"]) == ("90", "high")
    assert len(headers["topic"]) == 32
    assert webpush.headers_of(message, 10**9)["ttl"] == "2419200"
    payload = json.loads(webpush.encode(message))
    assert (payload["title"], payload["tag"]) == ("标题", headers["topic"])
    assert payload["data"] == {"delivery_id": "d1"}


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (201, Sent("https://push.example/message/1")),
        (200, Sent("https://push.example/message/1")),
        (400, Refused("REFUSED 400")),
        (401, Failed("NOT_ALLOWED 401")),
        (403, Failed("NOT_ALLOWED 403")),
        (404, AddressGone("UNSUBSCRIBED 404")),
        (410, AddressGone("UNSUBSCRIBED 410")),
        (413, Refused("REFUSED 413")),
        (429, Failed("RATE_LIMITED 429", timedelta(seconds=7))),
        (503, Failed("PROVIDER_FAILED 503", timedelta(seconds=7))),
    ],
)
def test_what_a_status_means(status: int, outcome: object) -> None:
    headers = {"location": "https://push.example/message/1"}
    if status in (429, 503):
        headers["retry-after"] = "7"
    assert webpush.outcome(Answer(status, headers, b"", NOW)) == outcome


class Tokens:
    def __init__(self) -> None:
        self.now = NOW
        self.key = parse_key(SENDER_PRIVATE)
        self.vapid = VapidTokens(self.key, "mailto:operator@example.com", lambda: self.now)


def test_vapid_token() -> None:
    made = Tokens()
    token = made.vapid.get("https://push.example")
    claims = jwt.decode(
        token,
        made.key.public_key(),
        ["ES256"],
        audience="https://push.example",
        options={"verify_exp": False},
    )
    # 12 hours after NOW (1772443800): within the 24 that RFC 8292 allows
    assert claims == {
        "aud": "https://push.example",
        "exp": 1772443800 + 12 * 3600,
        "sub": "mailto:operator@example.com",
    }
    # The public key of the RFC's sender, as the app subscribes with it.
    assert made.vapid.public_key == (
        "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
    )


def test_a_token_for_each_push_service_for_six_hours() -> None:
    made = Tokens()
    one, other = made.vapid.get("https://one.example"), made.vapid.get("https://other.example")
    assert one != other
    made.now += timedelta(hours=5, minutes=59)
    assert made.vapid.get("https://one.example") == one
    made.now += timedelta(minutes=1)
    assert made.vapid.get("https://one.example") != one


def test_a_refused_token_is_renewed_once_a_minute() -> None:
    made = Tokens()
    first = made.vapid.get("https://one.example")
    assert made.vapid.renew("https://one.example", first) is None
    made.now += timedelta(minutes=1)
    second = made.vapid.renew("https://one.example", first)
    assert second not in (None, first)
    assert made.vapid.renew("https://one.example", first) == second


def test_tokens_of_many_origins_do_not_pile_up() -> None:
    made = Tokens()
    first = made.vapid.get("https://0.example")
    for number in range(1, MAX_ORIGINS + 1):
        made.vapid.get(f"https://{number}.example")
    assert made.vapid.get("https://0.example") != first


def test_a_key_comes_as_bytes_or_pem() -> None:
    key = parse_key(SENDER_PRIVATE)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    assert parse_key(text).private_numbers() == key.private_numbers()
    assert isinstance(key.curve, ec.SECP256R1)
