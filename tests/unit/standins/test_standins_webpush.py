"""The Web Push stand-in: whom the push service believes, what the browser can read."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import http_ece
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from smartex_standins.keys import public_point
from smartex_standins.webpush import check_headers
from smartex_standins.webpush_browser import Browser, CannotRead
from smartex_standins.webpush_vapid import refusal

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ORIGIN = "http://127.0.0.1:7410"
KEY = ec.generate_private_key(ec.SECP256R1())


def vapid(key: ec.EllipticCurvePrivateKey = KEY, **changes: Any) -> str:
    claims = {"aud": ORIGIN, "exp": NOW + timedelta(hours=12), "sub": "mailto:a@example.com"} | changes
    point = urlsafe_b64encode(public_point(key)).decode().rstrip("=")
    return f"vapid t={jwt.encode(claims, key, algorithm='ES256')}, k={point}"


def reason(authorization: str) -> str:
    return refusal(authorization, ORIGIN, public_point(KEY), NOW)


def test_a_token_that_is_believed() -> None:
    assert reason(vapid()) == ""
    assert reason(vapid().replace(", k", ",k").replace("vapid", "VAPID")) == ""


@pytest.mark.parametrize(
    ("authorization", "why"),
    [
        ("", "no vapid authorization"),
        ("Bearer x", "no vapid authorization"),
        ("vapid t=x, k=y", "the token is not good"),
        (vapid(aud="https://elsewhere.example"), "the token is not good"),
        (vapid(sub="tel:1"), "sub is no mailto: or https: URL"),
        (vapid(exp=NOW), "the token has expired"),
        (vapid(exp=NOW + timedelta(hours=24, seconds=1)), "the token lives longer than 24 hours"),
        (vapid(ec.generate_private_key(ec.SECP256R1())), "the key is not the one that was subscribed with"),
    ],
)
def test_tokens_that_are_not(authorization: str, why: str) -> None:
    assert reason(authorization).startswith(why)


@pytest.mark.parametrize(
    ("changes", "right"),
    [
        ({}, True),
        ({"ttl": ""}, False),
        ({"ttl": "-1"}, False),
        ({"urgency": "extreme"}, False),
        ({"topic": "x" * 32}, True),
        ({"topic": "x" * 33}, False),
        ({"topic": "a b"}, False),
        ({"content-encoding": "aesgcm"}, False),
    ],
)
def test_headers(changes: dict[str, str], right: bool) -> None:
    headers = {"ttl": "60", "urgency": "high", "content-encoding": "aes128gcm"} | changes
    assert (check_headers(headers) is None) == right


BROWSER = Browser("https://push.example/1", "alice", KEY, b"0123456789abcdef", b"")


def test_the_browser_reads_what_is_for_it() -> None:
    sender = ec.generate_private_key(ec.SECP256R1())
    body = http_ece.encrypt(b"hello", private_key=sender, dh=KEY.public_key(), auth_secret=BROWSER.auth)
    assert BROWSER.decrypt(body) == b"hello"
    with pytest.raises(CannotRead):
        BROWSER.decrypt(body[:-1] + bytes([body[-1] ^ 1]))


@given(st.binary(max_size=200))
def test_anything_else_it_cannot_read(body: bytes) -> None:
    with pytest.raises(CannotRead):
        BROWSER.decrypt(body)
