"""APNs: headers, payload, provider tokens, and what reasons mean."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from notifications.channels import apns
from notifications.channels.apns_token import ProviderTokens, parse_key
from notifications.channels.http import Answer
from notifications.domain.sending import AddressGone, Failed, Message, Refused, Sent, Urgency
from smartex_chassis import SettingsInvalid

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def message(delivery_id: str = "d1", **changes: object) -> Message:
    values: dict[str, object] = {"urgency": Urgency.HIGH, "collapse_key": ""}
    values |= changes
    return Message(delivery_id, "risk.var", title="标题", body="正文", language="zh-CN", **values)  # type: ignore[arg-type]


def answer(status: int, body: object = None, **headers: str) -> Answer:
    return Answer(status, headers, b"" if body is None else json.dumps(body).encode(), NOW)


def test_headers() -> None:
    headers = apns.headers_of(message(expire_time=NOW + timedelta(minutes=1)), "app.bundle")
    uuid.UUID(headers["apns-id"])
    assert headers["apns-id"] == headers["apns-id"].lower()
    assert (headers["apns-topic"], headers["apns-push-type"]) == ("app.bundle", "alert")
    # 1772443800 is NOW, and 60 s on
    assert headers["apns-expiration"] == "1772443860"
    assert "apns-expiration" not in apns.headers_of(message(), "app.bundle")


@given(st.text(min_size=1, max_size=200), st.text(max_size=200))
def test_ids_are_stable_and_short_whatever_the_keys(delivery_id: str, collapse_key: str) -> None:
    first = apns.headers_of(message(delivery_id, collapse_key=collapse_key), "t")
    again = apns.headers_of(message(delivery_id, collapse_key=collapse_key), "t")
    assert first == again
    assert len(first["apns-collapse-id"].encode()) <= 64


def test_a_newer_message_replaces_an_older_one_of_its_key() -> None:
    one, two, other = (
        apns.headers_of(message(name, collapse_key=key), "t")
        for name, key in (("a", "x"), ("b", "x"), ("c", "y"))
    )
    assert one["apns-collapse-id"] == two["apns-collapse-id"] != other["apns-collapse-id"]
    assert one["apns-id"] != two["apns-id"]


def test_payload() -> None:
    payload = json.loads(apns.encode(message(data={"aps": "mine", "n": "1"}, link="https://x.example/")))
    # What a message brings cannot take the place of `aps`.
    assert payload["aps"]["alert"] == {"title": "标题", "body": "正文"}
    assert payload["aps"]["thread-id"] == "risk.var"
    assert payload["aps"]["sound"] == "default"
    assert (payload["n"], payload["link"], payload["delivery_id"]) == ("1", "https://x.example/", "d1")
    assert "sound" not in json.loads(apns.encode(message(urgency=Urgency.LOW)))["aps"]


@pytest.mark.parametrize(
    ("got", "outcome"),
    [
        (answer(200, **{"apns-id": "id"}), Sent("id")),
        (
            answer(410, {"reason": "Unregistered", "timestamp": 1772443800000}),
            AddressGone("Unregistered 1772443800000"),
        ),
        (answer(410), AddressGone("Unregistered")),
        (answer(400, {"reason": "BadDeviceToken"}), AddressGone("BadDeviceToken")),
        (answer(400, {"reason": "DeviceTokenNotForTopic"}), Refused("DeviceTokenNotForTopic")),
        (answer(413, {"reason": "PayloadTooLarge"}), Refused("PayloadTooLarge")),
        (answer(400, {"reason": "IdleTimeout"}), Failed("IdleTimeout")),
        (answer(403, {"reason": "InvalidProviderToken"}), Failed("NOT_ALLOWED 403 InvalidProviderToken")),
        (
            answer(403, {"reason": "BadEnvironmentKeyInToken"}),
            Failed("NOT_ALLOWED 403 BadEnvironmentKeyInToken"),
        ),
        (answer(429, {"reason": "TooManyRequests"}), Failed("TooManyRequests")),
        (
            answer(429, {"reason": "TooManyProviderTokenUpdates"}),
            Failed("RATE_LIMITED TooManyProviderTokenUpdates", timedelta(minutes=20)),
        ),
        (answer(503, {"reason": "Shutdown"}), Failed("Shutdown")),
        (answer(500, {"reason": "New Reason with spaces"}), Failed("PROVIDER_FAILED 500")),
        (answer(400, {"reason": "SomethingNew"}), Refused("REFUSED 400 SomethingNew")),
        (answer(502, "<html>"), Failed("PROVIDER_FAILED 502", maybe_sent=True)),
    ],
)
def test_what_an_answer_means(got: Answer, outcome: object) -> None:
    assert apns.outcome(got) == outcome


class Tokens:
    def __init__(self) -> None:
        self.now = NOW
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.tokens = ProviderTokens(self.key, key_id="K", team_id="T", clock=lambda: self.now)


def test_the_provider_token() -> None:
    made = Tokens()
    token = made.tokens.get()
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "typ": "JWT", "kid": "K"}
    claims = jwt.decode(token, made.key.public_key(), ["ES256"], options={"verify_iat": False})
    assert claims == {"iss": "T", "iat": 1772443800}


def test_the_token_is_renewed_between_20_and_60_minutes() -> None:
    made = Tokens()
    first = made.tokens.get()
    made.now += timedelta(minutes=39, seconds=59)
    assert made.tokens.get() == first
    made.now += timedelta(seconds=1)
    assert made.tokens.get() != first


def test_a_forced_renewal_is_not_repeated_for_20_minutes() -> None:
    made = Tokens()
    first = made.tokens.get()
    second = made.tokens.renew(first)
    assert second not in (None, first)
    # Others whose pushes were under way take the new one.
    assert made.tokens.renew(first) == second
    assert second is not None
    assert made.tokens.renew(second) is None
    made.now += timedelta(minutes=20)
    assert made.tokens.renew(second) not in (None, second)


def test_a_key_of_another_kind_is_refused() -> None:
    key = rsa.generate_private_key(65537, 2048)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(SettingsInvalid, match="is not a P-256 key"):
        parse_key(text)
