"""E-mail: what a mail says, whom it takes for an address, what replies mean."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage

import aiosmtplib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from notifications.channels.email import outcome
from notifications.channels.email_message import Mailbox, compose, parse_mailbox
from notifications.domain.sending import AddressGone, Failed, Message, Refused, Urgency

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SENDER = Mailbox("notice", "smartex.example", "智能交易所")
READER = Mailbox("alice", "example.com")
HEADERS = {
    "From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
    "Auto-Submitted", "Content-Language",
}  # fmt: skip


def message(**changes: object) -> Message:
    values: dict[str, object] = {
        "delivery_id": "d1",
        "kind": "k",
        "urgency": Urgency.NORMAL,
        "title": "t",
        "body": "b",
        "language": "en",
    }
    return Message(**(values | changes))  # type: ignore[arg-type]


def parsed(content: bytes | Refused) -> EmailMessage:
    assert isinstance(content, bytes)
    return email.message_from_bytes(content, policy=email.policy.default)


def test_headers() -> None:
    mail = parsed(compose(message(), SENDER, READER, now=NOW))
    assert set(mail.keys()) == HEADERS
    assert mail["From"] == "智能交易所 <notice@smartex.example>"
    assert mail["To"] == "alice@example.com"
    assert mail["Date"] == "Mon, 02 Mar 2026 09:30:00 +0000"
    again = parsed(compose(message(), SENDER, READER, now=NOW))
    other = parsed(compose(message(delivery_id="d2"), SENDER, READER, now=NOW))
    assert mail["Message-ID"] == again["Message-ID"] != other["Message-ID"]
    assert mail["Message-ID"].endswith("@smartex.example>")


@given(st.text(), st.text(), st.text(max_size=200))
def test_any_text_is_seven_bit_and_adds_no_header(title: str, body: str, html: str) -> None:
    content = compose(message(title=title, body=body, html=html), SENDER, READER, now=NOW)
    if isinstance(content, Refused):
        assert content == Refused("HEADER_INJECTION")
        assert any(not character.isprintable() for character in title)
        return
    assert content.isascii()
    assert max(len(line) for line in content.split(b"\r\n")) <= 998
    assert b"\n" not in content.replace(b"\r\n", b"")
    names = list(parsed(content).keys())
    assert len(names) == len(set(names))
    assert set(names) <= HEADERS


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=200))
def test_a_title_comes_through(title: str) -> None:
    content = compose(message(title=title), SENDER, READER, now=NOW)
    # Folding may change the width of white space, as RFC 5322 lets it.
    assert "".join(str(parsed(content)["Subject"]).split()) == "".join(title.split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alice@example.com", Mailbox("alice", "example.com")),
        ("a.b+tag@sub.example.com", Mailbox("a.b+tag", "sub.example.com")),
        ("wang@例子.cn", Mailbox("wang", "xn--fsqu00a.cn")),
        ("WANG@Bücher.Example", Mailbox("WANG", "xn--bcher-kva.example")),
        ("王@example.com", Mailbox("王", "example.com")),
    ],
)
def test_addresses(text: str, expected: Mailbox) -> None:
    assert parse_mailbox(text) == expected


@given(st.text(max_size=60))
def test_no_address_smuggles_a_command(text: str) -> None:
    mailbox = parse_mailbox(text)
    if mailbox is not None:
        assert mailbox.domain.isascii()
        assert mailbox.text.isprintable()
        assert not set(mailbox.text) & set(' <>\r\n,;"')


def refused(code: int, text: str) -> aiosmtplib.SMTPResponseException:
    return aiosmtplib.SMTPRecipientRefused(code, text, "alice@example.com")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (refused(550, "5.1.1 no such user alice@example.com"), AddressGone("SMTP 550 5.1.1")),
        (refused(550, "No such user here"), AddressGone("SMTP 550")),
        (refused(551, "User not local"), AddressGone("SMTP 551")),
        (refused(553, "Mailbox name not allowed"), AddressGone("SMTP 553")),
        (refused(556, "5.1.10 null MX"), AddressGone("SMTP 556 5.1.10")),
        (refused(550, "5.2.1 mailbox disabled"), AddressGone("SMTP 550 5.2.1")),
        # A full mailbox, spam, and the sender's own fault leave the address.
        (refused(552, "5.2.2 mailbox full"), Refused("SMTP 552 5.2.2")),
        (refused(550, "5.7.1 blocked"), Refused("SMTP 550 5.7.1")),
        (refused(550, "5.1.8 bad sender's domain"), Refused("SMTP 550 5.1.8")),
        (refused(554, "Transaction failed"), Refused("SMTP 554")),
        (refused(421, "4.7.0 try again"), Failed("SMTP 421 4.7.0")),
        (refused(450, "busy"), Failed("SMTP 450")),
        (refused(530, "5.7.0 authentication required"), Failed("SMTP 530 5.7.0")),
        (aiosmtplib.SMTPDataError(550, "content"), Refused("SMTP 550")),
        (aiosmtplib.SMTPDataError(451, "later"), Failed("SMTP 451")),
        (aiosmtplib.SMTPSenderRefused(550, "no", "me"), Refused("SMTP 550")),
        (aiosmtplib.SMTPAuthenticationError(535, "5.7.8 no"), Failed("SMTP 535 5.7.8")),
        (aiosmtplib.SMTPConnectResponseError(554, "no service"), Failed("SMTP 554")),
    ],
)
def test_what_a_reply_means(error: aiosmtplib.SMTPResponseException, expected: object) -> None:
    assert outcome(error) == expected
