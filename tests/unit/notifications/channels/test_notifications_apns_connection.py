"""APNs in trouble: every way in which a connection of HTTP/2 ends, and what follows for the message.

What surely was not taken is tried again. What may have been taken is tried again once if it presses, and is dead as
MAYBE_SENT if it does not: the rule of the README. Nothing that happens to a connection refuses a message for good.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import cast

import h2.config
import h2.connection
import h2.events
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from h2.errors import ErrorCodes
from notifications.channels import apns
from notifications.domain.notice import State
from notifications.domain.retry import Tried, judge
from notifications.domain.sending import Address, ChannelKind, Failed, Message, Outcome, Sent, Urgency

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
PHONE = Address(ChannelKind.APNS, "ab" * 32)
KEY = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)
MESSAGE = Message("d1", "k", Urgency.HIGH, "t", "b", "en")
Act = Callable[["Line", int], None]
"""What the server does about a stream whose request is complete."""


class Line:
    """The server's end of one connection."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.h2.initiate_connection()
        self.gone = False
        self.flush()

    def flush(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self.h2.data_to_send())

    def answer(self, stream: int) -> None:
        self.h2.send_headers(stream, [(":status", "200"), ("apns-id", f"id-{stream}")], end_stream=True)
        self.flush()

    def reset(self, stream: int, code: ErrorCodes) -> None:
        self.h2.reset_stream(stream, code)
        self.flush()

    def go_away(self, last_stream: int) -> None:
        """Say goodbye; what comes after it is not looked at."""
        self.gone = True
        self.h2.close_connection(ErrorCodes.NO_ERROR, last_stream_id=last_stream)
        self.flush()

    def hang_up(self) -> None:
        self.transport.close()

    def cut(self) -> None:
        self.transport.abort()


class Server(asyncio.Protocol):
    """One connection of the provider, which acts by the script."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._line = Line(cast(asyncio.Transport, transport))
        if self._provider.cuts_at_once:
            self._line.cut()
        self._provider.lines.append(self._line)

    def data_received(self, data: bytes) -> None:
        for event in [] if self._line.gone else self._line.h2.receive_data(data):
            if isinstance(event, h2.events.StreamEnded):
                assert event.stream_id is not None
                self._provider.act(self._line, event.stream_id)
        self._line.flush()


class Provider:
    """A provider that speaks HTTP/2, and its channel."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.script: list[Act] = []
        """For the next requests; then they are answered."""
        self.cuts_at_once = False

    def act(self, line: Line, stream: int) -> None:
        (self.script.pop(0) if self.script else Line.answer)(line, stream)

    async def start(self) -> None:
        self.server = await asyncio.get_running_loop().create_server(lambda: Server(self), "127.0.0.1", 0)
        self.port: int = self.server.sockets[0].getsockname()[1]
        self.channel = new_channel(self.port)

    async def send(self) -> Outcome:
        return await self.channel.send(PHONE, MESSAGE)

    async def stop(self) -> None:
        await self.channel.close()
        for line in self.lines:
            line.cut()
        self.server.close()
        await self.server.wait_closed()


def new_channel(port: int, time_limit: float = 5) -> apns.ApnsChannel:
    table = {
        "key": KEY,
        "key_id": "k",
        "team_id": "t",
        "topic": "app",
        "base_url": f"http://127.0.0.1:{port}",
        "time_limit": time_limit,
    }
    return apns.build(table, clock=lambda: NOW)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    await made.start()
    yield made
    await made.stop()


def follows(outcome: Outcome, urgency: Urgency, *, maybe_before: bool = False) -> State:
    """Where the delivery stands after its first attempt."""
    tried = Tried(
        ChannelKind.APNS,
        urgency,
        1,
        NOW,
        NOW + timedelta(days=1),
        apns.ApnsChannel.idempotent,
        maybe_before,
        False,
    )
    return judge(tried, outcome, NOW, 0.5).state


def surely_not_sent(outcome: Outcome) -> bool:
    """Whether it is tried again whatever its urgency, and however often the connection failed before."""
    return (
        isinstance(outcome, Failed)
        and not outcome.maybe_sent
        and all(follows(outcome, one, maybe_before=True) is State.WAITING for one in Urgency)
    )


def maybe_sent(outcome: Outcome) -> bool:
    """Whether it is tried again once if it presses, and dead if it does not."""
    return (
        isinstance(outcome, Failed)
        and outcome.maybe_sent
        and follows(outcome, Urgency.HIGH) is follows(outcome, Urgency.CRITICAL) is State.WAITING
        and follows(outcome, Urgency.HIGH, maybe_before=True) is State.DEAD
        and follows(outcome, Urgency.NORMAL) is State.DEAD
    )


async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    channel = new_channel(port)
    assert surely_not_sent(await channel.send(PHONE, MESSAGE))
    await channel.close()


async def test_the_connection_is_cut_before_a_request(provider: Provider) -> None:
    """Reset at once: whether the request had left by then is a race, which the client cannot see."""
    provider.cuts_at_once = True
    outcome = await provider.send()
    assert surely_not_sent(outcome) or maybe_sent(outcome)


async def test_the_connection_is_cut_after_the_request(provider: Provider) -> None:
    provider.script = [lambda line, _: line.cut()]
    assert maybe_sent(await provider.send())
    assert isinstance(await provider.send(), Sent)


async def test_the_connection_is_closed_after_the_request(provider: Provider) -> None:
    provider.script = [lambda line, _: line.hang_up()]
    assert maybe_sent(await provider.send())
    assert isinstance(await provider.send(), Sent)


@pytest.mark.parametrize("end", [Line.cut, Line.hang_up])
async def test_an_idle_connection_ends_and_costs_no_message(
    provider: Provider, end: Callable[[Line], None]
) -> None:
    for _ in range(3):
        assert isinstance(await provider.send(), Sent)
        end(provider.lines[-1])
        await asyncio.sleep(0.02)
    assert len(provider.lines) == 3


@pytest.mark.parametrize("hangs_up", [True, False])
async def test_goodbye_on_an_idle_connection_costs_no_message(provider: Provider, hangs_up: bool) -> None:
    """GOAWAY, as APNs sends it before it closes; the end of the connection may be later than the next message."""
    for _ in range(3):
        assert isinstance(await provider.send(), Sent)
        provider.lines[-1].go_away(1)
        if hangs_up:
            provider.lines[-1].hang_up()
        await asyncio.sleep(0.02)
    assert len(provider.lines) == 3


async def test_nobody_listens_after_a_goodbye(provider: Provider) -> None:
    assert isinstance(await provider.send(), Sent)
    provider.server.close()
    provider.lines[-1].go_away(1)
    await asyncio.sleep(0.02)
    assert surely_not_sent(await provider.send())


async def test_goodbye_to_a_request_that_was_not_looked_at(provider: Provider) -> None:
    """Streams above the last one of GOAWAY were not processed (RFC 9113, 6.8): the channel itself goes on."""
    assert isinstance(await provider.send(), Sent)
    provider.script = [lambda line, stream: line.go_away(stream - 2)]
    assert isinstance(await provider.send(), Sent)
    assert len(provider.lines) == 2


async def test_goodbye_from_a_server_that_took_nothing(provider: Provider) -> None:
    provider.script = [lambda line, _: line.go_away(0)]
    assert surely_not_sent(await provider.send())
    assert isinstance(await provider.send(), Sent)


async def test_goodbye_to_a_request_that_may_be_taken(provider: Provider) -> None:
    provider.script = [lambda line, stream: line.go_away(stream)]
    assert maybe_sent(await provider.send())
    assert isinstance(await provider.send(), Sent)


async def test_a_refused_stream_was_not_taken(provider: Provider) -> None:
    """RFC 9113, 8.7."""
    provider.script = [lambda line, stream: line.reset(stream, ErrorCodes.REFUSED_STREAM)]
    assert surely_not_sent(await provider.send())
    assert isinstance(await provider.send(), Sent)
    assert len(provider.lines) == 1


@pytest.mark.parametrize("code", [one for one in ErrorCodes if one is not ErrorCodes.REFUSED_STREAM])
async def test_any_other_reset_may_have_been_taken(provider: Provider, code: ErrorCodes) -> None:
    provider.script = [lambda line, stream: line.reset(stream, code)]
    assert maybe_sent(await provider.send())
    assert isinstance(await provider.send(), Sent)


async def test_silence(provider: Provider) -> None:
    provider.script = [lambda *_: None]
    impatient = new_channel(provider.port, time_limit=1)
    assert maybe_sent(await impatient.send(PHONE, MESSAGE))
    await impatient.close()


async def test_an_answer_that_breaks_off(provider: Provider) -> None:
    def begin(line: Line, stream: int) -> None:
        line.h2.send_headers(stream, [(":status", "200")])
        line.flush()
        line.hang_up()

    provider.script = [begin]
    assert maybe_sent(await provider.send())


async def test_an_answer_that_goes_on_in_nonsense(provider: Provider) -> None:
    def begin(line: Line, stream: int) -> None:
        line.h2.send_headers(stream, [(":status", "200")])
        line.flush()
        # A frame of DATA for a stream that nobody has opened.
        line.transport.write(b"\0\0\1\0\0\0\0\0\x63x")

    provider.script = [begin]
    assert maybe_sent(await provider.send())


async def test_one_cut_takes_every_message_on_the_connection_along(provider: Provider) -> None:
    """They share it: a fault that is set for one request strikes them all, and each may have been taken."""
    assert isinstance(await provider.send(), Sent)
    provider.script = [lambda *_: None] * 4 + [lambda line, _: line.cut()]
    outcomes = await asyncio.gather(*(provider.send() for _ in range(5)))
    assert all(maybe_sent(outcome) for outcome in outcomes)
