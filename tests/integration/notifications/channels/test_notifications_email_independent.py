"""E-mail across independent code: aiosmtpd's own server takes ours, Python's smtplib fills the stand-in."""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
from collections.abc import Iterator
from email.message import EmailMessage
from mailbox import Maildir
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Mailbox
from notifications.channels import email
from notifications.domain.sending import Address, ChannelKind, Failed, Sent
from smartex_standins.mail import MailStandin

ALICE = Address(ChannelKind.EMAIL, "alice@example.com")


@pytest.fixture
def maildir(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A plain server of aiosmtpd that puts mail into a Maildir, as its documentation shows."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    controller = Controller(Mailbox(tmp_path / "mail"), hostname="127.0.0.1", port=port)
    controller.start()
    yield port, tmp_path / "mail"
    controller.stop()


async def test_a_plain_server_takes_our_mail(maildir: tuple[int, Path], message: Any) -> None:
    port, folder = maildir
    channel = email.build({"host": "127.0.0.1", "port": port, "security": "none", "sender": "a@example.com"})
    assert isinstance(await channel.send(ALICE, message(html="<b>x</b>")), Sent)
    [mail] = list(Maildir(folder))
    assert mail["X-RcptTo"] == "alice@example.com"
    assert [part.get_content_type() for part in mail.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]


async def test_a_server_without_starttls_gets_nothing(maildir: tuple[int, Path], message: Any) -> None:
    port, folder = maildir
    channel = email.build({"host": "127.0.0.1", "port": port, "sender": "a@example.com"})
    outcome = await channel.send(ALICE, message())
    assert isinstance(outcome, Failed)
    assert not outcome.maybe_sent
    assert list(Maildir(folder)) == []


def send_with_smtplib(table: dict[str, Any], mail: EmailMessage) -> None:
    with smtplib.SMTP(table["host"], table["port"], timeout=60) as client:
        client.starttls(context=ssl.create_default_context(cafile=table["ca_file"]))
        client.login(table["username"], table["password"])
        client.send_message(mail)


async def test_smtplib_sends_to_the_stand_in(running: Any) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "bob@example.com", "alice@example.com", "来自 smtplib"
    mail.set_content("正文")
    async with running([MailStandin()]) as desk:
        await asyncio.to_thread(send_with_smtplib, desk.tables["email"], mail)
        [shown] = await desk.shown("mail")
        assert (shown["title"], shown["body"]) == ("来自 smtplib", "正文")
        with pytest.raises(smtplib.SMTPAuthenticationError):
            await asyncio.to_thread(send_with_smtplib, desk.tables["email"] | {"password": "x"}, mail)
