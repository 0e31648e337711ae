"""The APNs stand-in: tokens it believes, headers and payloads it takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from smartex_standins.apns import STATUS_OF, TOPIC, check_headers, check_payload, refuse
from smartex_standins.apns_token import ProviderTokens
from starlette.datastructures import Headers

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


class Apple:
    def __init__(self) -> None:
        self.now = NOW
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.tokens = ProviderTokens(self.key.public_key(), lambda: self.now, max_updates=2)

    def token(self, **changes: object) -> str:
        claims = {"iss": self.tokens.team_id, "iat": int(self.now.timestamp())} | changes
        return jwt.encode(claims, self.key, algorithm="ES256", headers={"kid": self.tokens.key_id})


def test_a_token_lives_an_hour() -> None:
    apple = Apple()
    token = apple.token()
    assert apple.tokens.refusal(token) == ""
    apple.now += timedelta(hours=1)
    assert apple.tokens.refusal(token) == ""
    apple.now += timedelta(seconds=1)
    assert apple.tokens.refusal(token) == "ExpiredProviderToken"


def test_a_token_can_be_called_expired() -> None:
    apple = Apple()
    token = apple.token()
    apple.tokens.expire(token)
    assert apple.tokens.refusal(token) == "ExpiredProviderToken"
    assert apple.tokens.refusal(apple.token()) == ""


def test_tokens_that_are_not_believed() -> None:
    apple = Apple()
    other = ec.generate_private_key(ec.SECP256R1())
    claims = {"iss": apple.tokens.team_id, "iat": int(NOW.timestamp())}
    assert apple.tokens.refusal("") == "MissingProviderToken"
    for wrong in (
        "nonsense",
        apple.token(iss="OTHERTEAM1"),
        apple.token(iat=int(NOW.timestamp()) + 3600),
        apple.token(iat="now"),
        jwt.encode(claims, other, algorithm="ES256", headers={"kid": apple.tokens.key_id}),
        jwt.encode(claims, apple.key, algorithm="ES256", headers={"kid": "OTHER"}),
        jwt.encode(claims, "x" * 32, algorithm="HS256", headers={"kid": apple.tokens.key_id}),
    ):
        assert apple.tokens.refusal(wrong) == "InvalidProviderToken"


def test_tokens_must_not_be_renewed_all_the_time() -> None:
    apple = Apple()
    first, second, third = (apple.token() for _ in range(3))
    assert [apple.tokens.refusal(token) for token in (first, second)] == ["", ""]
    assert apple.tokens.refusal(third) == "TooManyProviderTokenUpdates"
    assert apple.tokens.refusal(first) == ""
    apple.now += timedelta(minutes=20)
    assert apple.tokens.refusal(third) == ""


RIGHT = {"apns-topic": TOPIC, "apns-id": "123e4567-e89b-12d3-a456-426614174000", "apns-priority": "10"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"apns-topic": ""}, "MissingTopic"),
        ({"apns-topic": "other"}, "DeviceTokenNotForTopic"),
        ({"apns-id": "7"}, "BadMessageId"),
        ({"apns-priority": "7"}, "BadPriority"),
        ({"apns-expiration": "soon"}, "BadExpirationDate"),
        ({"apns-expiration": "0"}, ""),
        ({"apns-collapse-id": "x" * 64}, ""),
        ({"apns-collapse-id": "x" * 65}, "BadCollapseId"),
        ({"apns-push-type": "shout"}, "InvalidPushType"),
    ],
)
def test_headers(changes: dict[str, str], reason: str) -> None:
    assert check_headers(Headers(RIGHT | changes)) == reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"aps":{}}', ""),
        (b"", "PayloadEmpty"),
        (b"{", "PayloadEmpty"),
        (b"[]", "PayloadEmpty"),
        (b'{"aps":1}', "PayloadEmpty"),
        (b'{"aps":{},"x":"' + b"x" * 4079 + b'"}', ""),  # 4096 bytes
        (b'{"aps":{},"x":"' + b"x" * 4080 + b'"}', "PayloadTooLarge"),
    ],
)
def test_payloads(body: bytes, reason: str) -> None:
    assert check_payload(body) == reason


def test_every_reason_has_its_status() -> None:
    for reason, status in STATUS_OF.items():
        answer = refuse(reason, "id", NOW)
        assert (answer.status_code, answer.headers["apns-id"]) == (status, "id")
        assert b'"timestamp":1772443800000' in bytes(answer.body)
