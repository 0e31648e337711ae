"""The SMS stand-in: Alibaba Cloud's signature, nonces, templates."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from smartex_standins.sms_aliyun import SIGN_NAME, AliyunDoor
from starlette.requests import Request

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
QUERY = {"PhoneNumbers": "8613800000001", "SignName": SIGN_NAME, "TemplateParam": '{"a":"中 *~"}'}


def request(query: dict[str, str], *, secret: str = "s", key_id: str = "k", **changes: str) -> Request:
    """A signed request, written after the documentation and not after the stand-in."""
    headers = {
        "host": "dysmsapi.aliyuncs.com",
        "x-acs-action": "SendSms",
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        "x-acs-date": "2026-03-02T09:30:00Z",
        "x-acs-signature-nonce": "n1",
        "x-acs-version": "2017-05-25",
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    text = "&".join(f"{quote(key, safe='-_.~')}={quote(query[key], safe='-_.~')}" for key in sorted(query))
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = f"POST\n/\n{text}\n{lines}\n{names}\n{headers['x-acs-content-sha256']}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    signature = hmac.new(secret.encode(), f"ACS3-HMAC-SHA256\n{digest}".encode(), hashlib.sha256).hexdigest()
    told = f"ACS3-HMAC-SHA256 Credential={key_id},SignedHeaders={names},Signature={signature}"
    raw = [(name.encode(), value.encode()) for name, value in {**headers, "authorization": told}.items()]
    return Request(
        {"type": "http", "method": "POST", "path": "/", "query_string": text.encode(), "headers": raw}
    )


def code(door: AliyunDoor, asked: Request, body: bytes = b"") -> str:
    answer = door.refusal(asked, body)
    return "" if answer is None else str(json.loads(bytes(answer.body))["Code"])


def door() -> AliyunDoor:
    return AliyunDoor("k", "s", lambda: NOW)


def test_a_signed_request_is_believed_once() -> None:
    gate = door()
    assert code(gate, request(QUERY)) == ""
    assert code(gate, request(QUERY)) == "SignatureNonceUsed"
    assert code(gate, request(QUERY, x_acs_signature_nonce="n2")) == ""


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (request(QUERY, secret="other"), "SignatureDoesNotMatch"),
        (request(QUERY, key_id="other"), "InvalidAccessKeyId.NotFound"),
        (request(QUERY, x_acs_date="2026-03-02T09:14:59Z"), "InvalidTimeStamp.Expired"),
        (request(QUERY, x_acs_date="yesterday"), "InvalidTimeStamp.Expired"),
        (request(QUERY, x_acs_action="SendBatchSms"), "InvalidAction.NotFound"),
    ],
)
def test_what_is_not_believed(asked: Request, expected: str) -> None:
    assert code(door(), asked) == expected


def test_a_changed_body_or_query_is_not_believed() -> None:
    assert code(door(), request(QUERY), b"x") == "SignatureDoesNotMatch"
    asked = request(QUERY)
    asked.scope["query_string"] = asked.scope["query_string"].replace(b"8613800000001", b"8613800000002")
    assert code(door(), asked) == "SignatureDoesNotMatch"
    unsigned = Request({"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []})
    assert code(door(), unsigned) == "IncompleteSignature"


def test_fifteen_minutes_of_difference_are_taken() -> None:
    late = AliyunDoor("k", "s", lambda: NOW + timedelta(minutes=15))
    assert code(late, request(QUERY)) == ""


RIGHT: dict[str, Any] = {
    "PhoneNumbers": "8613800000001",
    "SignName": SIGN_NAME,
    "TemplateCode": "SMS_100000001",
    "TemplateParam": '{"title":"提醒","body":"正文"}',
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("", "提醒：正文")),
        ({"PhoneNumbers": "abc"}, ("isv.MOBILE_NUMBER_ILLEGAL", "")),
        ({"SignName": "other"}, ("isv.SMS_SIGNATURE_ILLEGAL", "")),
        ({"TemplateCode": "SMS_0"}, ("isv.SMS_TEMPLATE_ILLEGAL", "")),
        ({"TemplateParam": "{"}, ("isv.INVALID_JSON_PARAM", "")),
        ({"TemplateParam": "[]"}, ("isv.INVALID_JSON_PARAM", "")),
        ({"TemplateParam": '{"title":"x"}'}, ("isv.TEMPLATE_MISSING_PARAMETERS", "")),
        ({"TemplateParam": '{"title":"x","body":7}'}, ("isv.INVALID_JSON_PARAM", "")),
        ({"TemplateParam": json.dumps({"title": "x", "body": "x" * 501})}, ("isv.PARAM_LENGTH_LIMIT", "")),
    ],
)
def test_texts(changes: dict[str, str], expected: tuple[str, str]) -> None:
    assert door().text_of(RIGHT | changes) == expected
