"""No secret passes into a log, whatever it is wrapped in; and what is no secret stays readable."""

from __future__ import annotations

import io
import json
import logging as stdlib
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from smartex_chassis import logging
from smartex_chassis.logging import names_secret, redact, redact_text

SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
PART = st.text(SAFE, min_size=8, max_size=40)
JWTS = st.builds("eyJ{}.eyJ{}.{}".format, PART, PART, st.one_of(PART, st.just("")))
AROUND = st.text(max_size=30).map(lambda text: f"{text} ")
SECRET_KEYS = st.sampled_from(
    [
        "token",
        "accessToken",
        "authorization",
        "Authorization",
        "db_password",
        "PASSWORD",
        "client-secret",
        "jwt",
        "api_key",
        "apiKey",
        "private_key",
        "set-cookie",
        "passphrase",
        "SMARTEX_DATABASE_DSN",
        "access_token",
    ]
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=10))


def nested(leaf: Any) -> st.SearchStrategy[Any]:
    """Return strategies for containers around one leaf."""
    return st.recursive(
        st.just(leaf),
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=2),
            st.tuples(inner, LEAVES),
            st.dictionaries(st.sampled_from(["a", "b", "order"]), inner, min_size=1, max_size=2),
        ),
        max_leaves=6,
    )


def _all(event: Any) -> str:
    return repr(redact(None, "info", event))


@given(AROUND, JWTS, AROUND, st.data())
def test_no_jwt_passes(before: str, token: str, after: str, data: st.DataObject) -> None:
    value = data.draw(nested(f"{before}{token} {after}"))
    assert token not in _all({"event": "x", "value": value})
    assert token not in _all({"event": f"{before}{token} {after}"})
    assert token not in _all({"event": "x", "value": {token: 1}})
    assert token not in _all({"event": "x", "value": token.encode()})


@given(SECRET_KEYS, st.text("0123456789", min_size=12, max_size=12), st.data())
def test_no_value_of_a_secret_key_passes(key: str, secret: str, data: st.DataObject) -> None:
    value = data.draw(nested(secret))
    assert secret not in _all({"event": "x", key: value})
    assert secret not in _all({"event": "x", "deep": [{"er": {key: value}}]})


@given(st.text(st.characters(exclude_categories=("Z", "C")), min_size=6, max_size=30))
def test_no_password_of_an_address_passes(password: str) -> None:
    secret = f"q7{password}7q"
    assert secret not in redact_text(
        f"connecting to postgresql://smartex:{secret}@db.example:5432/market failed"
    )


@given(st.text(SAFE + "!#$%*+/.:", min_size=8, max_size=30))
def test_no_named_password_passes(password: str) -> None:
    secret = f"q7{password}7q"
    for text in (
        f"password={secret}",
        f"host=db password={secret} user=x",
        f"secret: {secret}",
        f"Bearer {secret}",
    ):
        assert secret not in redact_text(text)
    assert secret not in redact_text(f"authorization: Bearer {secret}")
    assert secret not in redact_text(json.dumps({"password": secret, "user": "x"}))


def test_a_private_key_does_not_pass() -> None:
    for end in ("\n-----END PRIVATE KEY-----", ""):
        text = redact_text(f"read -----BEGIN PRIVATE KEY-----\nMC4CAQAwBQ{end}")
        assert "MC4CAQ" not in text


@pytest.mark.parametrize(
    "text", ["order 42 rests", "http://localhost:4317", "a@b.example", "12:30@x", "price 10.50"]
)
def test_plain_text_stays(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "key", ["order_id", "price", "tokenizer", "key", "keys", "path", "secretary", "monkey"]
)
def test_plain_keys_stay(key: str) -> None:
    assert not names_secret(key)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), LEAVES))
def test_numbers_and_nothing_stay_what_they_are(event: dict[str, Any]) -> None:
    kept = redact(None, "info", event)
    for key, value in event.items():
        if not isinstance(value, str):
            assert kept[key] is value


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = stdlib.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_both_kinds_of_logs_come_out_as_redacted_json(stream: io.StringIO) -> None:
    logging.configure(service="matching", form="json", stream=stream)
    secret = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
    structlog.get_logger("own").info("placed", order_id=7, token=secret)
    stdlib.getLogger("other").warning("failed with %s", secret, extra={"password": "hunter2"})
    try:
        raise ValueError(f"bad {secret}")
    except ValueError:
        structlog.get_logger("own").exception("broke")
    structlog.get_logger("own").debug("not at this level")
    own, other, broke = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (own["event"], own["order_id"], own["service"], own["level"]) == ("placed", 7, "matching", "info")
    assert (other["logger"], other["level"]) == ("other", "warning")
    assert "ValueError: bad" in broke["exception"]
    assert secret not in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_pretty_logs_are_redacted_too(stream: io.StringIO) -> None:
    logging.configure(service="matching", form="pretty", stream=stream)
    structlog.get_logger("own").info("placed", order_id=7, password="hunter2")
    assert "placed" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
    assert not stream.getvalue().startswith("{")
