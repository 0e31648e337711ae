"""FCM: what is sent, what answers mean, how a service account proves itself."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from notifications.channels import fcm
from notifications.channels.fcm_account import parse_account, sign_assertion
from notifications.channels.http import Answer
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
from smartex_chassis import SettingsInvalid

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ADDRESS = Address(ChannelKind.FCM, "token-of-a-phone")


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def answer(status: int, body: object, **headers: str) -> Answer:
    return Answer(status, headers, json.dumps(body).encode(), NOW)


def error(status: int, rpc: str, *details: dict[str, Any], message: str = "") -> dict[str, Any]:
    return {"error": {"code": status, "status": rpc, "message": message, "details": list(details)}}


def fcm_detail(code: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}


def test_the_body_of_a_message() -> None:
    message = Message(
        "d1",
        "k",
        Urgency.HIGH,
        "标题",
        "正文",
        "zh-CN",
        link="https://x.example/",
        data={"a": "1"},
        collapse_key="c",
    )
    sent = json.loads(fcm.encode(ADDRESS, message, 90))["message"]
    # The first 24 bytes of SHA-256("c"), in base64url
    key = urlsafe_b64encode(bytes.fromhex("2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394")).decode()
    assert sent["token"] == "token-of-a-phone"
    assert sent["notification"] == {"title": "标题", "body": "正文"}
    assert sent["data"] == {"a": "1", "link": "https://x.example/", "delivery_id": "d1"}
    assert sent["android"]["priority"] == "HIGH"
    assert sent["android"]["ttl"] == "90s"
    assert sent["android"]["collapse_key"] == sent["android"]["notification"]["tag"] == key


def test_a_message_that_replaces_nothing_still_replaces_itself() -> None:
    message = Message("d1", "k", Urgency.LOW, "t", "b", "en")
    android = json.loads(fcm.encode(ADDRESS, message, None))["message"]["android"]
    again = json.loads(fcm.encode(ADDRESS, message, None))["message"]["android"]
    other = json.loads(fcm.encode(ADDRESS, Message("d2", "k", Urgency.LOW, "t", "b", "en"), None))
    assert android["priority"] == "NORMAL"
    assert "ttl" not in android
    assert "collapse_key" not in android
    assert android["notification"]["tag"] == again["notification"]["tag"]
    assert android["notification"]["tag"] != other["message"]["android"]["notification"]["tag"]


def test_a_ttl_longer_than_four_weeks_is_cut() -> None:
    message = Message("d1", "k", Urgency.LOW, "t", "b", "en")
    assert json.loads(fcm.encode(ADDRESS, message, 10**9))["message"]["android"]["ttl"] == "2419200s"


@given(st.text(), st.text())
def test_any_text_is_encoded(title: str, body: str) -> None:
    message = Message("d1", "k", Urgency.HIGH, title, body, "en")
    assert json.loads(fcm.encode(ADDRESS, message, 1))["message"]["android"]["ttl"] == "1s"


TOO_BIG = {"fieldViolations": [{"field": "message", "description": "Android message is too big"}]}
BAD_TOKEN = {"fieldViolations": [{"field": "message.token", "description": "bad"}]}
REQUEST = "type.googleapis.com/google.rpc.BadRequest"


@pytest.mark.parametrize(
    ("got", "outcome"),
    [
        (answer(200, {"name": "projects/p/messages/0:1"}), Sent("projects/p/messages/0:1")),
        (answer(404, error(404, "NOT_FOUND", fcm_detail("UNREGISTERED"))), AddressGone("UNREGISTERED")),
        (
            answer(
                400,
                error(
                    400,
                    "INVALID_ARGUMENT",
                    fcm_detail("INVALID_ARGUMENT"),
                    message="The registration token is not a valid FCM registration token",
                ),
            ),
            AddressGone("INVALID_TOKEN"),
        ),
        (
            answer(400, error(400, "INVALID_ARGUMENT", {"@type": REQUEST, **BAD_TOKEN})),
            AddressGone("INVALID_TOKEN"),
        ),
        (
            answer(
                400,
                error(400, "INVALID_ARGUMENT", fcm_detail("INVALID_ARGUMENT"), {"@type": REQUEST, **TOO_BIG}),
            ),
            Refused("INVALID_ARGUMENT"),
        ),
        (
            answer(403, error(403, "PERMISSION_DENIED", fcm_detail("SENDER_ID_MISMATCH"))),
            Refused("SENDER_ID_MISMATCH"),
        ),
        (
            answer(403, error(403, "PERMISSION_DENIED")),
            Failed("NOT_ALLOWED 403 PERMISSION_DENIED"),
        ),
        (
            answer(429, error(429, "RESOURCE_EXHAUSTED", fcm_detail("QUOTA_EXCEEDED"))),
            Failed("RATE_LIMITED QUOTA_EXCEEDED", fcm.QUOTA_WAIT),
        ),
        (answer(503, "<html>"), Failed("PROVIDER_FAILED 503")),
        (answer(404, {}), Refused("REFUSED 404")),
        (answer(400, {"error": {"details": [1, None], "status": 7}}), Refused("REFUSED 400")),
        (answer(400, {"error": "text with a token"}), Refused("REFUSED 400")),
    ],
)
def test_what_an_answer_means(got: Answer, outcome: object) -> None:
    assert fcm.outcome(got) == outcome


def test_the_assertion_is_what_google_asks_for() -> None:
    key = rsa.generate_private_key(65537, 2048)
    text = json.dumps(
        {
            "private_key": pem(key),
            "private_key_id": "k1",
            "client_email": "push@p.iam.gserviceaccount.com",
            "project_id": "p",
            "token_uri": "https://oauth2.googleapis.com/token",
        }
    )
    account = parse_account(text)
    assertion = sign_assertion(account, NOW)
    assert jwt.get_unverified_header(assertion) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    claims = jwt.decode(
        assertion,
        key.public_key(),
        ["RS256"],
        audience="https://oauth2.googleapis.com/token",
        options={"verify_exp": False, "verify_iat": False},
    )
    # 2026-03-02 09:30 UTC is 1772443800.
    assert claims == {
        "iss": "push@p.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": 1772443800,
        "exp": 1772447400,
    }
    assert "PRIVATE" not in repr(account)


def test_a_key_of_another_kind_is_refused() -> None:
    text = json.dumps(
        {
            "private_key": pem(ec.generate_private_key(ec.SECP256R1())),
            "client_email": "a",
            "project_id": "p",
            "token_uri": "https://x",
        }
    )
    with pytest.raises(SettingsInvalid, match="is not an RSA key"):
        parse_account(text)
