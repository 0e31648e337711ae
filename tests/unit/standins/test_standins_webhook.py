"""The webhook stand-in: what it takes for signed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from smartex_standins.webhook import refusal

# The example that Svix publishes; Standard Webhooks took over its scheme.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
NOW = datetime.fromtimestamp(1614265330, UTC)
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def test_the_published_example() -> None:
    assert refusal(SECRET, HEADERS, BODY, NOW) == ""


def test_one_of_several_signatures_is_enough() -> None:
    several = HEADERS | {"webhook-signature": "v1a,xx v1,AAAA " + HEADERS["webhook-signature"]}
    assert refusal(SECRET, several, BODY, NOW) == ""


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"webhook-id": ""}, "missing"),
        ({"webhook-timestamp": "x"}, "missing"),
        ({"webhook-timestamp": "１６１４２６５３３０"}, "missing"),
        ({"webhook-id": "msg_other"}, "not ours"),
        ({"webhook-timestamp": "1614265331"}, "not ours"),
        ({"webhook-signature": ""}, "not ours"),
        ({"webhook-signature": "v1,中"}, "not ours"),
    ],
)
def test_what_is_not(changes: dict[str, str], why: str) -> None:
    assert why in refusal(SECRET, HEADERS | changes, BODY, NOW)


def test_the_body_and_the_time_count() -> None:
    assert "not ours" in refusal(SECRET, HEADERS, BODY + b" ", NOW)
    assert refusal(SECRET, HEADERS, BODY, NOW + timedelta(minutes=5)) == ""
    assert "too far" in refusal(SECRET, HEADERS, BODY, NOW + timedelta(minutes=5, seconds=1))
    assert "too far" in refusal(SECRET, HEADERS, BODY, NOW - timedelta(minutes=5, seconds=1))
