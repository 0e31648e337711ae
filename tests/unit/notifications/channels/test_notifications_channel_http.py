"""One call of a provider: what failed, and whether the request may have arrived."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notifications.channels.http import (
    MAX_ANSWER_BYTES,
    MAX_RETRY_AFTER,
    Answer,
    HttpCaller,
    HttpxCaller,
    failure,
    http2_client,
    parse_retry_after,
    readers_client,
    safe_code,
)
from notifications.channels.http1 import Http1Caller
from notifications.domain.sending import Failed, Refused

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
New = Callable[[float], HttpCaller]
"""Makes a caller with a time limit in seconds."""


def of_readers(time_limit: float) -> HttpCaller:
    client = readers_client(time_limit=time_limit, allow_private=True)
    return HttpxCaller(client, clock=lambda: NOW, time_limit=time_limit)


def of_providers(time_limit: float) -> HttpCaller:
    return Http1Caller(clock=lambda: NOW, time_limit=time_limit)


def of_http2(time_limit: float) -> HttpCaller:
    return HttpxCaller(http2_client(time_limit=time_limit), clock=lambda: NOW, time_limit=time_limit)


@pytest.fixture(params=[of_readers, of_providers], ids=["httpx", "aiohttp"])
def new(request: pytest.FixtureRequest) -> New:
    """Both ways to speak HTTP/1.1."""
    made: New = request.param
    return made


def cut(error: str, got: object) -> bool:
    """Whether the connection ended after the request may have arrived; each library has words of its own."""
    return isinstance(got, Failed) and got.maybe_sent and got.reason.split()[0] == error


def serve_and_close(serve: Serve) -> Serve:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    return accept


@asynccontextmanager
async def calling(new: New, serve: Serve, time_limit: float = 5) -> AsyncIterator[tuple[HttpCaller, str]]:
    """A caller, and the URL of a server that behaves as told."""

    server = await asyncio.start_server(serve_and_close(serve), "127.0.0.1", 0)
    caller = new(time_limit)
    try:
        yield caller, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/secret-path"
    finally:
        await caller.close()
        server.close()


def saying(answer: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return serve


async def test_an_answer(new: New) -> None:
    answer = b'HTTP/1.1 201 Created\r\nLocation: /x\r\nContent-Length: 7\r\n\r\n{"a":1}'
    async with calling(new, saying(answer)) as (caller, url):
        got = await caller.post(url, content=b"body")
    assert isinstance(got, Answer)
    assert (got.status, got.headers["location"], got.json(), got.ok) == (201, "/x", {"a": 1}, True)


async def test_a_proxy_is_asked_for_the_whole_url() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with calling(of_providers, serve) as (_, proxy):
        caller = Http1Caller(clock=lambda: NOW, time_limit=5, proxy=proxy)
        assert isinstance(await caller.post("http://provider.invalid/a?b=c%2Fd"), Answer)
        await caller.close()
    assert asked == [b"POST http://provider.invalid/a?b=c%2Fd HTTP/1.1\r\n"]


async def test_nobody_listens_so_nothing_arrived(new: New) -> None:
    async with calling(new, saying(b"")) as (caller, _):
        got = await caller.post("http://127.0.0.1:9/")
    assert isinstance(got, Failed)
    assert got.reason in ("CONNECTION_FAILED ConnectError", "CONNECTION_FAILED ClientConnectorError")
    assert not got.maybe_sent


async def test_no_such_host_so_nothing_arrived(new: New) -> None:
    async with calling(new, saying(b"")) as (caller, _):
        for url in ("http://no.such.host.invalid/", "http://[", "nonsense", "ftp://127.0.0.1/"):
            got = await caller.post(url)
            assert isinstance(got, Failed)
            assert not got.maybe_sent


async def test_a_host_that_does_not_take_connections_in_time_got_nothing(new: New) -> None:
    caller = new(0.2)
    # TEST-NET-1 (RFC 5737): nobody is there.
    got = await caller.post("http://192.0.2.1/")
    await caller.close()
    assert isinstance(got, Failed)
    assert not got.maybe_sent


async def test_closed_after_the_request_may_have_arrived(new: New) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with calling(new, serve) as (caller, url):
        assert cut("CONNECTION_FAILED", await caller.post(url, content=b"x"))


async def given_up(new: New, serve: Serve) -> object:
    """What comes of waiting in vain; a busy machine may need the longer limit to get to the server at all."""
    for time_limit in (0.2, 5):
        async with calling(new, serve, time_limit) as (caller, url):
            got = await caller.post(url)
        if isinstance(got, Failed) and got.maybe_sent:
            break
    return got


async def test_silence_may_have_arrived(new: New) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    assert await given_up(new, serve) == Failed("TIMEOUT", maybe_sent=True)


async def test_an_answer_that_drips_is_given_up(new: New) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
        for _ in range(1000):
            writer.write(b".")
            await asyncio.sleep(0.02)

    assert await given_up(new, serve) == Failed("ANSWER_CUT TimeoutError", maybe_sent=True)


async def test_an_answer_cut_short_proves_nothing(new: New) -> None:
    async with calling(new, saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")) as (caller, url):
        got = await caller.post(url)
    assert cut("ANSWER_CUT", got)


async def test_what_is_no_http_may_have_arrived(new: New) -> None:
    async with calling(new, saying(b"220 mail.example ESMTP\r\n\r\n")) as (caller, url):
        got = await caller.post(url)
    assert isinstance(got, Failed)
    assert got.maybe_sent


async def test_a_redirect_is_an_answer(new: New) -> None:
    async with calling(new, saying(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\n\r\n")) as (
        caller,
        url,
    ):
        got = await caller.post(url)
    assert isinstance(got, Answer)
    assert got.status == 302


async def test_a_long_answer_is_read_no_further(new: New) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (10 * MAX_ANSWER_BYTES))

    async with calling(new, serve) as (caller, url):
        got = await caller.post(url)
    assert isinstance(got, Answer)
    assert got.body == b"x" * MAX_ANSWER_BYTES
    assert got.json() == {}


def garbage(random: Random) -> bytes:
    """Bytes that begin as an answer of HTTP/1.1 or HTTP/2 may, and go wrong somewhere."""
    heads = (b"", b"HTTP/1.1 200 OK\r\n", b"\0\0\0\4\0\0\0\0\0", b"\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0")
    frame = bytes([0, 0, random.randrange(64), random.randrange(12), random.randrange(256), 0, 0, 0, 1])
    return random.choice(heads) + random.choice((b"", frame)) + random.randbytes(random.randrange(80))


@pytest.mark.parametrize("new", [of_readers, of_providers, of_http2])
async def test_garbage_is_a_failure_or_an_answer(new: New) -> None:
    random = Random(20260302)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(garbage(random))
        writer.write_eof()
        # To close while the caller still writes would keep it from reading.
        await reader.read()

    server = await asyncio.start_server(serve_and_close(serve), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    caller = new(1)
    for _ in range(150):
        assert isinstance(await caller.post(url, content=b"{}"), Answer | Failed)
    await caller.close()
    server.close()


async def test_a_connection_is_used_again_but_not_after_an_answer_that_was_left(new: New) -> None:
    ports: list[int] = []
    bodies = [b"{}", b"x" * (10 * MAX_ANSWER_BYTES), b"", b"{}"]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while bodies and await reader.readuntil(b"\r\n\r\n"):
            ports.append(writer.get_extra_info("peername")[1])
            body = bodies.pop(0)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with calling(new, serve) as (caller, url):
        for _ in range(4):
            assert isinstance(await caller.post(url), Answer)
    first, second, third, fourth = ports
    assert first == second != third == fourth


async def test_an_idle_connection_that_the_server_closes_costs_no_message(new: New) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with calling(new, serve) as (caller, url):
        for _ in range(5):
            assert isinstance(await caller.post(url), Answer)
            await asyncio.sleep(0.02)


async def test_a_header_that_cannot_be_sent_is_a_failure(new: New) -> None:
    async with calling(new, saying(b"")) as (caller, url):
        for value in ("中文", "a\r\nb: c", "\x00"):
            got = await caller.post(url, headers={"authorization": value})
            assert isinstance(got, Failed)
            assert not got.maybe_sent


async def test_no_url_is_logged(new: New, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with calling(new, saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as (caller, url):
        await caller.post(url)
    assert "secret-path" not in caplog.text


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        # 90 s after NOW
        ("Mon, 02 Mar 2026 09:31:30 GMT", 90),
        # Before NOW
        ("Mon, 02 Mar 2026 09:00:00 GMT", 0),
        ("999999999999999999999", MAX_RETRY_AFTER.total_seconds()),
        ("Fri, 01 Jan 2100 00:00:00 GMT", MAX_RETRY_AFTER.total_seconds()),
        ("", None),
        ("-1", None),
        ("soon", None),
        ("１２０", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert parse_retry_after(value, NOW) == expected


@given(st.text(max_size=40))
def test_any_retry_after_is_within_bounds(value: str) -> None:
    wait = parse_retry_after(value, NOW)
    assert wait is None or timedelta(0) <= wait <= MAX_RETRY_AFTER


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, Refused("REFUSED 400 X")),
        (401, Failed("NOT_ALLOWED 401 X")),
        (403, Failed("NOT_ALLOWED 403 X")),
        (408, Failed("NOT_ALLOWED 408 X")),
        (413, Refused("REFUSED 413 X")),
        (429, Failed("RATE_LIMITED 429 X")),
        (500, Failed("PROVIDER_FAILED 500 X")),
        (502, Failed("PROVIDER_FAILED 502 X", maybe_sent=True)),
        (503, Failed("PROVIDER_FAILED 503 X")),
        (504, Failed("PROVIDER_FAILED 504 X", maybe_sent=True)),
    ],
)
def test_failure_by_status(status: int, expected: object) -> None:
    assert failure(Answer(status, {}, b"", NOW), "X") == expected


@given(st.one_of(st.text(), st.integers(), st.none(), st.lists(st.text())))
def test_a_code_never_carries_a_text(code: object) -> None:
    kept = safe_code(code)
    assert kept == "" or (kept == code and kept.isascii() and " " not in kept and "@" not in kept)


@given(st.binary(max_size=200))
def test_any_body_can_be_asked_for_json(body: bytes) -> None:
    assert isinstance(Answer(200, {}, body, NOW).json(), dict)
