"""Tables of the providers' file: what is wrong is named, and no secret is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from notifications.channels import apns, apprise, email, fcm, sms, webhook, webpush
from notifications.channels.table import read_table
from smartex_chassis import SettingsInvalid

MAIL = {"host": "mail.example", "sender": "notice@example.com"}


def test_a_secret_comes_by_value_or_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    by_file = read_table(
        email.EmailTable,
        "email",
        MAIL | {"username": "me", "password_file": str(tmp_path / "password")},
    )
    by_value = read_table(email.EmailTable, "email", MAIL | {"username": "me", "password": "s3cret"})
    assert by_file == by_value
    assert "s3cret" not in repr(by_file)


def test_a_secret_given_twice_or_in_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"\[email\] password: is given twice"):
        email.build(MAIL | {"password": "a", "password_file": "b"})
    with pytest.raises(SettingsInvalid, match=r"\[email\] password_file: the secret in .* cannot be read"):
        email.build(MAIL | {"username": "me", "password_file": str(tmp_path / "none")})


def test_every_wrong_key_is_named_at_once() -> None:
    with pytest.raises(SettingsInvalid) as caught:
        apns.build({"key": "k", "key_id": "", "colour": "red"})
    assert [problem.split(":")[1].strip() for problem in caught.value.problems] == [
        "[apns] key_id",
        "[apns] team_id",
        "[apns] topic",
        "[apns] colour",
    ]


@pytest.mark.parametrize(
    ("build", "table", "problem"),
    [
        (fcm.build, {"credentials": "{}"}, r"\[fcm\] credentials: 'private_key' is missing"),
        (fcm.build, {"credentials": "SECRET"}, r"\[fcm\] credentials: is not the JSON of a service account"),
        (
            apns.build,
            {"key": "SECRET", "key_id": "a", "team_id": "b", "topic": "c"},
            r"\[apns\] key: is not a PEM private key",
        ),
        (
            webpush.build,
            {"private_key": "SECRET", "contact": "mailto:a@example.com"},
            r"\[webpush\] private_key: is neither",
        ),
        (webpush.build, {"private_key": "A" * 43, "contact": "tel:1"}, r"\[webpush\] contact"),
        (fcm.build, {"credentials": "{}", "proxy": "nonsense"}, r"\[fcm\] proxy"),
        (email.build, MAIL | {"ca_file": "/no/such/file"}, r"\[email\] ca_file"),
        (email.build, MAIL | {"sender": "nobody"}, r"\[email\] sender: is not an e-mail address"),
        (email.build, MAIL | {"username": "me"}, r"\[email\] table: username and password go together"),
        (
            email.build,
            MAIL | {"security": "none", "username": "me", "password": "SECRET"},
            r"a password is not sent over a plain connection",
        ),
        (sms.build, {}, r"\[sms\] gateway: must be one of aliyun, http"),
        (sms.build, {"gateway": "http", "url": "ftp://x"}, r"\[sms\] url"),
        (sms.build, {"gateway": "aliyun"}, r"\[sms\] access_key_id"),
        (webhook.build, {"time_limit": 0}, r"\[webhook\] time_limit"),
        (apprise.build, {"schemes": ["slack", "file"]}, r"\[apprise\] schemes: file: acts on this machine"),
    ],
)
def test_wrong_tables(build: object, table: dict[str, object], problem: str) -> None:
    with pytest.raises(SettingsInvalid, match=problem) as caught:
        build(table)  # type: ignore[operator]
    assert "SECRET" not in str(caught.value)
