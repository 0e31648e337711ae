"""E-mail on connections that are kept: used again, left in time, and opened anew when the server has closed them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from notifications.channels import email, email_pool
from notifications.domain.sending import Address, AddressGone, ChannelKind, Failed, Sent
from waiting import until

ALICE = Address(ChannelKind.EMAIL, "alice@example.com")


class Server:
    """A plain server of aiosmtpd that counts, and closes when it is told to."""

    def __init__(self) -> None:
        self.opened: list[SMTP] = []
        self.mails: list[tuple[int, str]] = []
        """Number of the connection, and the reader."""
        self.quits = 0
        self.answers: list[str] = []
        """To the next MAIL commands, in place of yes."""
        self.idle_seconds = 300.0

    def connection(self) -> SMTP:
        self.opened.append(SMTP(self, timeout=self.idle_seconds))
        return self.opened[-1]

    async def handle_MAIL(  # noqa: N802 - the names are those of aiosmtpd
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Sequence[str]
    ) -> str:
        assert envelope.mail_from is None, "what was there before is cleared"
        if self.answers:
            return self.answers.pop(0)
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Sequence[str]
    ) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.mails.append((self.opened.index(server), envelope.rcpt_tos[0]))
        return "250 OK"

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.quits += 1
        return "221 bye"

    def cut(self) -> None:
        """Close every connection without a word."""
        for connection in self.opened:
            if connection.transport is not None:
                connection.transport.close()


class Bench:
    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self._table = {"host": "127.0.0.1", "port": port, "security": "none", "sender": "a@example.com"}
        self.channels: list[email.EmailChannel] = []

    def channel(self, **settings: object) -> email.EmailChannel:
        self.channels.append(email.build(self._table | settings))
        return self.channels[-1]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    server = Server()
    listening = await asyncio.get_running_loop().create_server(server.connection, "127.0.0.1", 0)
    made = Bench(server, listening.sockets[0].getsockname()[1])
    yield made
    for channel in made.channels:
        await channel.close()
    server.cut()
    listening.close()
    await listening.wait_closed()


async def test_one_connection_carries_many_mails(bench: Bench, message: Any) -> None:
    channel = bench.channel()
    for _ in range(5):
        assert isinstance(await channel.send(ALICE, message()), Sent)
    assert bench.server.mails == [(0, "alice@example.com")] * 5
    await channel.close()
    assert bench.server.quits == 1


async def test_there_are_no_more_connections_than_are_set(bench: Bench, message: Any) -> None:
    channel = bench.channel(connections=3)
    for _ in range(2):
        await asyncio.gather(*(channel.send(ALICE, message()) for _ in range(10)))
    assert len(bench.server.mails) == 20
    assert len(bench.server.opened) == 3


async def test_without_idle_seconds_each_mail_has_its_own(bench: Bench, message: Any) -> None:
    channel = bench.channel(idle_seconds=0)
    for _ in range(2):
        await channel.send(ALICE, message())
    await channel.close()
    assert (len(bench.server.opened), bench.server.quits) == (2, 2)


async def test_an_idle_connection_is_left(bench: Bench, message: Any) -> None:
    channel = bench.channel(idle_seconds=0.05)
    await channel.send(ALICE, message())
    await until(lambda: bench.server.quits == 1)
    assert isinstance(await channel.send(ALICE, message()), Sent)
    assert len(bench.server.opened) == 2


async def test_a_connection_that_has_carried_many_is_left(
    bench: Bench, message: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(email_pool, "MESSAGES_PER_CONNECTION", 2)
    channel = bench.channel()
    for _ in range(5):
        await channel.send(ALICE, message())
    assert [number for number, _ in bench.server.mails] == [0, 0, 1, 1, 2]


async def test_the_server_says_goodbye_to_an_idle_connection(bench: Bench, message: Any) -> None:
    """aiosmtpd says `421 Error: timeout exceeded`, and closes."""
    bench.server.idle_seconds = 0.1
    channel = bench.channel()
    for expected in range(3):
        assert isinstance(await channel.send(ALICE, message()), Sent)
        assert bench.server.mails[-1][0] == expected
        await asyncio.sleep(0.3)


async def test_the_server_cuts_an_idle_connection(bench: Bench, message: Any) -> None:
    channel = bench.channel()
    await channel.send(ALICE, message())
    bench.server.cut()
    # Before the end of the connection is seen, and after it.
    assert isinstance(await channel.send(ALICE, message()), Sent)
    bench.server.cut()
    await asyncio.sleep(0.05)
    assert isinstance(await channel.send(ALICE, message()), Sent)
    assert [number for number, _ in bench.server.mails] == [0, 1, 2]


async def test_421_on_a_kept_connection_is_a_reason_for_a_new_one(bench: Bench, message: Any) -> None:
    channel = bench.channel()
    await channel.send(ALICE, message())
    bench.server.answers = ["421 4.7.0 enough on this connection"]
    assert isinstance(await channel.send(ALICE, message()), Sent)
    assert [number for number, _ in bench.server.mails] == [0, 1]


async def test_421_on_a_new_connection_is_the_servers_word(bench: Bench, message: Any) -> None:
    channel = bench.channel()
    await channel.send(ALICE, message())
    bench.server.answers = ["421 4.7.0 closing", "421 4.7.0 closing"]
    assert await channel.send(ALICE, message()) == Failed("SMTP 421 4.7.0")
    assert isinstance(await channel.send(ALICE, message()), Sent)
    assert len(bench.server.mails) == 2


async def test_a_refused_reader_does_not_spoil_the_connection(bench: Bench, message: Any) -> None:
    channel = bench.channel()
    nobody = Address(ChannelKind.EMAIL, "nobody@example.com")
    assert await channel.send(nobody, message()) == AddressGone("SMTP 550 5.1.1")
    assert isinstance(await channel.send(ALICE, message()), Sent)
    assert bench.server.mails == [(0, "alice@example.com")]


async def test_a_sender_that_is_put_off_begins_anew(bench: Bench, message: Any) -> None:
    channel = bench.channel()
    await channel.send(ALICE, message())
    bench.server.answers = ["450 4.7.1 slow down"]
    assert await channel.send(ALICE, message()) == Failed("SMTP 450 4.7.1")
    assert isinstance(await channel.send(ALICE, message()), Sent)
    assert [number for number, _ in bench.server.mails] == [0, 1]


async def test_a_cancelled_mail_takes_its_connection_along(bench: Bench, message: Any) -> None:
    channel = bench.channel()
    await channel.send(ALICE, message())
    sending = asyncio.create_task(channel.send(ALICE, message()))
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert isinstance(await channel.send(ALICE, message()), Sent)
    assert bench.server.mails[-1][0] == 1
