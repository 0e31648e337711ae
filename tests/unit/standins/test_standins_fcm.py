"""The FCM stand-in: whom it gives tokens, and which messages it takes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartex_standins import fcm
from smartex_standins.fcm_oauth import GRANT_TYPE
from smartex_standins.keys import write_private
from smartex_standins.serving import serve

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
TOKEN = "a" * 30


class Google:
    """The running stand-in, and the account it gave."""

    def __init__(self, url: str, account: dict[str, str]) -> None:
        self.http = httpx.AsyncClient(base_url=f"{url}/fcm", trust_env=False)
        self.account = account

    def assertion(self, **changes: Any) -> str:
        claims = {
            "iss": self.account["client_email"],
            "aud": self.account["token_uri"],
            "scope": "https://www.googleapis.com/auth/firebase.messaging",
            "iat": NOW,
            "exp": NOW + timedelta(hours=1),
        }
        return jwt.encode(claims | changes, self.account["private_key"], algorithm="RS256")

    async def token(self, assertion: str, grant_type: str = GRANT_TYPE) -> httpx.Response:
        return await self.http.post("/token", data={"grant_type": grant_type, "assertion": assertion})


@pytest.fixture
async def google(tmp_path: Path) -> AsyncIterator[Google]:
    async with serve(tmp_path, 0, "http://127.0.0.1:9", [fcm.FcmStandin(lambda: NOW)]) as serving:
        account = json.loads((tmp_path / "standins/fcm-credentials.json").read_text())
        google = Google(serving.url, account)
        yield google
        await google.http.aclose()


async def test_whom_it_gives_tokens_and_what_they_open(google: Google) -> None:
    answer = await google.token(google.assertion())
    assert answer.status_code == 200
    told = answer.json()
    assert (told["token_type"], told["expires_in"]) == ("Bearer", 3599)
    url = f"/v1/projects/{google.account['project_id']}/messages:send"
    bearer = {"authorization": f"Bearer {told['access_token']}"}
    assert (await google.http.post(url, headers=bearer, json={"message": 1})).status_code == 400
    assert (await google.http.post(url, headers=bearer, content=b"{")).status_code == 400
    assert (await google.http.post(url, json={})).json()["error"]["status"] == "UNAUTHENTICATED"
    elsewhere = await google.http.post("/v1/projects/other/messages:send", headers=bearer, json={})
    assert elsewhere.json()["error"]["status"] == "PERMISSION_DENIED"

    for wrong in (
        google.assertion(aud="https://elsewhere.example"),
        google.assertion(iss="somebody else"),
        google.assertion(scope="https://www.googleapis.com/auth/drive"),
        google.assertion(iat=NOW - timedelta(hours=3), exp=NOW - timedelta(hours=2)),
        google.assertion(exp=NOW + timedelta(hours=2)),
        google.assertion(iat=NOW + timedelta(minutes=10), exp=NOW + timedelta(minutes=20)),
        google.assertion()[:-6] + "AAAAAA",
        jwt.encode({"iss": google.account["client_email"]}, "x" * 32, algorithm="HS256"),
        "nonsense",
        "",
    ):
        answer = await google.token(wrong)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert (await google.token(google.assertion(), "password")).json()["error"] == "unsupported_grant_type"


def test_secrets_are_files_of_their_owner(tmp_path: Path) -> None:
    write_private(tmp_path / "key", "secret")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


RIGHT: dict[str, Any] = {"token": TOKEN, "data": {"a": "1"}, "android": {"priority": "HIGH", "ttl": "3.5s"}}


def test_a_right_message() -> None:
    assert fcm.check(RIGHT) is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"token": None}, "message.token"),
        ({"topic": "news"}, "message"),
        ({"data": {"a": 1}}, "message.data[a]"),
        ({"data": []}, "message.data"),
        ({"data": {"from": "x"}}, "message.data"),
        ({"data": {"google_x": "x"}}, "message.data"),
        ({"android": {"priority": "URGENT"}}, "message.android.priority"),
        ({"android": {"ttl": "90"}}, "message.android.ttl"),
        ({"android": {"ttl": 90}}, "message.android.ttl"),
        ({"notification": {"body": "x" * 4096}}, "message"),
    ],
)
def test_a_wrong_message_names_its_field(changes: dict[str, Any], field: str) -> None:
    answer = fcm.check(RIGHT | changes)
    assert answer is not None
    details = json.loads(bytes(answer.body))["error"]["details"]
    assert details[1]["fieldViolations"][0]["field"] == field


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("data", "android", "notification"), JSON)))
def test_no_message_breaks_it(changes: dict[str, Any]) -> None:
    answer = fcm.check({"token": TOKEN} | changes)
    assert answer is None or answer.status_code == 400


@given(JSON)
def test_nothing_else_is_a_message(value: Any) -> None:
    answer = fcm.check(value)
    assert answer is not None
    assert answer.status_code == 400
