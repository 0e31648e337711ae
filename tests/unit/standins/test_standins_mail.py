"""The mail stand-in, asked by Python's own smtplib."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
import tomllib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from smartex_standins.mail import MailStandin, reply_of
from smartex_standins.serving import serve

T = TypeVar("T")


class Client:
    """Runs what smtplib does in a thread, logged in over TLS."""

    def __init__(self, table: dict[str, Any], standin: MailStandin) -> None:
        self.table, self.standin = table, standin

    async def run(self, talk: Callable[[smtplib.SMTP], T], *, login: bool = True) -> T:
        return await asyncio.to_thread(self._run, talk, login)

    def _run(self, talk: Callable[[smtplib.SMTP], T], login: bool) -> T:
        with smtplib.SMTP(self.table["host"], self.table["port"], timeout=60) as client:
            if login:
                client.starttls(context=ssl.create_default_context(cafile=self.table["ca_file"]))
                client.login(self.table["username"], self.table["password"])
            return talk(client)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    standin = MailStandin()
    async with serve(tmp_path, 0, "http://127.0.0.1:9", [standin]) as serving:
        yield Client(tomllib.loads(serving.providers_file.read_text())["email"], standin)


def mail_to(address: str) -> Callable[[smtplib.SMTP], Any]:
    return lambda smtp: smtp.sendmail("a@example.com", [address], "Subject: hello\r\n\r\nbody")


async def test_mail_is_taken_and_shown(client: Client) -> None:
    await client.run(mail_to("alice@example.com"))
    [shown] = client.standin.messages()
    assert (shown.address, shown.title, shown.body) == ("alice@example.com", "hello", "body")


async def test_without_tls_or_login_nothing_is_taken(client: Client) -> None:
    with pytest.raises(smtplib.SMTPException) as caught:
        await client.run(mail_to("alice@example.com"), login=False)
    assert "530" in str(caught.value)
    client.table["password"] = "wrong"
    with pytest.raises(smtplib.SMTPAuthenticationError):
        await client.run(mail_to("alice@example.com"))
    assert list(client.standin.messages()) == []


async def test_replies_by_address(client: Client) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        await client.run(mail_to("rcpt-550-5.1.1@example.com"))
    code, text = refused.value.recipients["rcpt-550-5.1.1@example.com"]
    assert (code, text) == (550, b"5.1.1 as the address asks for")
    with pytest.raises(smtplib.SMTPDataError) as cut:
        await client.run(mail_to("data-554@example.com"))
    assert cut.value.smtp_code == 554
    assert list(client.standin.messages()) == []


@pytest.mark.parametrize(
    ("address", "command", "reply"),
    [
        ("alice@example.com", "rcpt", ""),
        ("rcpt-450@x.example", "rcpt", "450 as the address asks for"),
        ("rcpt-450@x.example", "data", ""),
        ("data-452-4.3.1@x.example", "data", "452 4.3.1 as the address asks for"),
        ("rcpt-250@x.example", "rcpt", ""),
    ],
)
def test_scripted_replies(address: str, command: str, reply: str) -> None:
    assert reply_of(address, command) == reply


@pytest.mark.parametrize(("switch", "code"), [("server_error", 451), ("rate_limited", 450)])
async def test_faults_at_the_sender(client: Client, switch: str, code: int) -> None:
    client.standin.faults.set({switch: 1})
    with pytest.raises(smtplib.SMTPSenderRefused) as refused:
        await client.run(mail_to("alice@example.com"))
    assert refused.value.smtp_code == code
    await client.run(mail_to("alice@example.com"))


async def test_cut_after_send_keeps_the_mail(client: Client) -> None:
    client.standin.faults.set({"cut_after_send": 1})
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        await client.run(mail_to("alice@example.com"))
    assert len(list(client.standin.messages())) == 1


async def test_down_takes_nothing(client: Client) -> None:
    client.standin.faults.set({"down": 1})
    with pytest.raises((smtplib.SMTPException, ConnectionError)):
        await client.run(mail_to("alice@example.com"))
    assert list(client.standin.messages()) == []
