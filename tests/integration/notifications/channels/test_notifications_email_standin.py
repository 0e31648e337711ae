"""The e-mail channel against the stand-in's SMTP server (aiosmtpd): replies, faults, and what the mail says."""

from __future__ import annotations

import email
import email.policy
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any

import pytest
from notifications.channels import email as email_channel
from notifications.domain.sending import Address, AddressGone, ChannelKind, Failed, Refused, Sent, Urgency
from smartex_standins.mail import MailStandin


class Bench:
    def __init__(self, desk: Any, channel: email_channel.EmailChannel) -> None:
        self.desk, self.channel = desk, channel

    async def mails(self) -> list[tuple[str, EmailMessage]]:
        told = (await self.desk.http.get("/control/mail/mails")).json()
        return [
            (mail["to"], email.message_from_string(mail["content"], policy=email.policy.default))
            for mail in told
        ]


@pytest.fixture
async def bench(running: Any, clock: Any) -> AsyncIterator[Bench]:
    async with running([MailStandin()]) as desk:
        channel = email_channel.build(desk.tables["email"], clock=clock)
        yield Bench(desk, channel)
        await channel.close()


def to(value: str, **secrets: str) -> Address:
    return Address(ChannelKind.EMAIL, value, secrets)


ALICE = to("alice@example.com")


async def test_mail_arrives_over_starttls_with_login(bench: Bench, message: Any) -> None:
    html = "<p>609018.SH 占您持仓的 <b>62 %</b>。</p>"
    reader = to("alice@example.com", unsubscribe_url="https://exchange.example/u/abc")
    outcome = await bench.channel.send(reader, message(html=html, urgency=Urgency.CRITICAL))
    [(rcpt, mail)] = await bench.mails()
    assert rcpt == "alice@example.com"
    assert outcome == Sent(mail["Message-ID"])
    assert mail["Subject"] == "集中度提醒"
    assert mail["From"] == "Smart exchange <notice@smartex.example>"
    assert mail["Date"] == "Mon, 02 Mar 2026 09:30:00 +0000"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == "zh-CN"
    assert mail["Importance"] == "high"
    assert mail["List-Unsubscribe"] == "<https://exchange.example/u/abc>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    text, rich = mail.iter_parts()
    assert mail.get_content_type() == "multipart/alternative"
    assert "609018.SH 占您持仓的 62 %。" in text.get_content()
    assert "https://exchange.example/advice/17" in text.get_content()
    assert rich.get_content().strip() == html


async def test_text_alone_where_there_is_no_html(bench: Bench, message: Any) -> None:
    await bench.channel.send(ALICE, message())
    [(_, mail)] = await bench.mails()
    assert mail.get_content_type() == "text/plain"
    assert mail["List-Unsubscribe"] is None
    [shown] = await bench.desk.shown("mail")
    assert (shown["person"], shown["title"]) == ("alice", "集中度提醒")


async def test_a_repeat_has_the_same_message_id_and_is_shown_once(bench: Bench, message: Any) -> None:
    first = await bench.channel.send(ALICE, message())
    assert first == await bench.channel.send(ALICE, message())
    assert len(await bench.mails()) == 2
    assert len(await bench.desk.shown("mail")) == 1


@pytest.mark.parametrize(
    ("address", "outcome"),
    [
        ("rcpt-550@example.com", AddressGone("SMTP 550")),
        ("rcpt-551@example.com", AddressGone("SMTP 551")),
        ("rcpt-553@example.com", AddressGone("SMTP 553")),
        ("rcpt-550-5.1.1@example.com", AddressGone("SMTP 550 5.1.1")),
        ("rcpt-550-5.7.1@example.com", Refused("SMTP 550 5.7.1")),
        ("rcpt-552-5.2.2@example.com", Refused("SMTP 552 5.2.2")),
        ("rcpt-450-4.2.1@example.com", Failed("SMTP 450 4.2.1")),
        ("rcpt-451@example.com", Failed("SMTP 451")),
        ("data-554-5.7.1@example.com", Refused("SMTP 554 5.7.1")),
        ("data-550@example.com", Refused("SMTP 550")),
        ("data-552-5.3.4@example.com", Refused("SMTP 552 5.3.4")),
        ("data-452-4.3.1@example.com", Failed("SMTP 452 4.3.1")),
    ],
)
async def test_every_reply(bench: Bench, message: Any, address: str, outcome: object) -> None:
    assert await bench.channel.send(to(address), message()) == outcome
    assert await bench.mails() == []


@pytest.mark.parametrize(
    "address",
    ["", "alice", "@example.com", "alice@", "a b@example.com", "alice@localhost", "a@b@c.example", "a..b@c.example",
     "alice@example.com\r\nRCPT TO:<eve@example.com>", "<alice@example.com>", "alice@ex ample.com"],
)  # fmt: skip
async def test_what_is_no_address_is_removed(bench: Bench, message: Any, address: str) -> None:
    assert await bench.channel.send(to(address), message()) == AddressGone("BAD_ADDRESS")


async def test_international_domain_and_local_part(bench: Bench, message: Any) -> None:
    assert isinstance(await bench.channel.send(to("wang@例子.cn"), message()), Sent)
    assert isinstance(await bench.channel.send(to("王@例子.cn"), message(delivery_id="d2")), Sent)
    # IDNA: 例子 is xn--fsqu00a.
    assert [rcpt for rcpt, _ in await bench.mails()] == ["王@xn--fsqu00a.cn", "wang@xn--fsqu00a.cn"]


@pytest.mark.parametrize("title", ["hello\r\nBcc: eve@example.com", "a\nb", "a\u2028b", "a\x00b"])
async def test_header_injection_is_refused(bench: Bench, message: Any, title: str) -> None:
    assert await bench.channel.send(ALICE, message(title=title)) == Refused("HEADER_INJECTION")
    assert await bench.mails() == []


@pytest.mark.parametrize(
    "url", ["https://a.example/\r\nBcc: eve@example.com", "javascript:alert(1)", "https://a>b"]
)
async def test_a_bad_unsubscribe_url_is_refused(bench: Bench, message: Any, url: str) -> None:
    outcome = await bench.channel.send(to("alice@example.com", unsubscribe_url=url), message())
    assert outcome == Refused("BAD_UNSUBSCRIBE_URL")


async def test_dots_and_long_lines_survive(bench: Bench, message: Any) -> None:
    body = ".\n..\n.leading\n" + "长" * 3000 + "\n" + "x" * 3000
    await bench.channel.send(ALICE, message(body=body, link=""))
    [(_, mail)] = await bench.mails()
    assert mail.get_content().replace("\r\n", "\n") == body + "\n"


async def test_faults(bench: Bench, message: Any, clock: Any) -> None:
    await bench.desk.faults("mail", rate_limited=1)
    assert await bench.channel.send(ALICE, message()) == Failed("SMTP 450 4.7.1")
    await bench.desk.faults("mail", server_error=1)
    assert await bench.channel.send(ALICE, message()) == Failed("SMTP 451 4.3.0")
    await bench.desk.faults("mail", token_expired=1)
    assert await bench.channel.send(ALICE, message()) == Failed("SMTP 535 5.7.8")
    await bench.desk.faults("mail", down=1)
    down = await bench.channel.send(ALICE, message())
    assert isinstance(down, Failed)
    assert not down.maybe_sent
    await bench.desk.faults("mail", slow_seconds=1.5)
    hasty = email_channel.build(bench.desk.tables["email"] | {"time_limit": 1}, clock=clock)
    assert await hasty.send(ALICE, message()) == Failed("TIMEOUT")
    assert await bench.mails() == []


async def test_connection_cut_after_data_says_that_it_may_have_arrived(bench: Bench, message: Any) -> None:
    await bench.desk.faults("mail", cut_after_send=1)
    outcome = await bench.channel.send(ALICE, message())
    assert isinstance(outcome, Failed)
    assert outcome.maybe_sent
    assert isinstance(await bench.channel.send(ALICE, message()), Sent)
    # The worst of a retry: two mails of one Message-ID, which mail programs show once.
    assert len(await bench.mails()) == 2
    assert len(await bench.desk.shown("mail")) == 1


async def test_a_certificate_that_is_not_trusted_gets_no_password(
    bench: Bench, message: Any, clock: Any
) -> None:
    table = {key: value for key, value in bench.desk.tables["email"].items() if key != "ca_file"}
    channel = email_channel.build(table, clock=clock)
    outcome = await channel.send(ALICE, message())
    assert isinstance(outcome, Failed)
    assert not outcome.maybe_sent


async def test_a_wrong_password_is_the_operators_to_mend(bench: Bench, message: Any, clock: Any) -> None:
    channel = email_channel.build(bench.desk.tables["email"] | {"password": "wrong"}, clock=clock)
    assert await channel.send(ALICE, message()) == Failed("SMTP 535 5.7.8")
