"""Apprise: what is let in, and that it stays in its time and keeps its secrets."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from notifications.channels import apprise
from notifications.domain.sending import (
    Address,
    AddressGone,
    ChannelKind,
    Failed,
    Message,
    Refused,
    Sent,
    Urgency,
)
from waiting import until

MESSAGE = Message("d1", "k", Urgency.HIGH, "标题", "正文", "zh-CN", link="https://x.example/")
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def to(url: str) -> Address:
    return Address(ChannelKind.APPRISE, url)


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[str]:
    """The Apprise URL of a server that takes JSON."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield f"json://user:hidden-password@127.0.0.1:{listening.sockets[0].getsockname()[1]}/hidden-path"
    listening.close()


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "syslog://", "dbus://", "windows://", "gnome://", "macosx://", "json://127.0.0.1/",
        "xml://10.0.0.1/", "form://localhost", "mailto://user:pass@example.com", "https://example.com/hook",
        "rsyslog://localhost", "mqtt://localhost", "apprise://localhost/token", "gotify://10.0.0.1/token", "//x", "",
        "JSON://127.0.0.1", " json://127.0.0.1",
    ],
)  # fmt: skip
async def test_schemes_that_are_not_listed_are_refused(url: str) -> None:
    channel = apprise.build({})
    assert await channel.send(to(url), MESSAGE) == Refused("SCHEME_FORBIDDEN")
    await channel.close()


@pytest.mark.parametrize(
    "option",
    ["template=/etc/passwd", "Template=/etc/passwd", "%74emplate=/etc/passwd", "attach=file:///etc/passwd",
     "rto=100000", "cto=9", "retry=99", "verify=no", "redirect=yes", " template=/etc/passwd"],
)  # fmt: skip
async def test_options_that_name_files_or_loosen_limits_are_refused(option: str) -> None:
    channel = apprise.build({})
    url = f"slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/?{option}"
    assert await channel.send(to(url), MESSAGE) == Refused("OPTION_FORBIDDEN")
    await channel.close()


@pytest.mark.parametrize(
    "more",
    ["?format=text;template=http://127.0.0.1/", "?x=1;redirect=yes", "?;template=/etc/passwd",
     ";x?template=/etc/passwd", "#?template=/etc/passwd", "?x=1#&template=/etc/passwd", "?x#;template=/etc/passwd",
     "?x=1;y=2", "#general"],
)  # fmt: skip
async def test_what_apprise_reads_otherwise_than_other_readers_of_urls_is_refused(more: str) -> None:
    channel = apprise.build({})
    url = f"discord://{'1' * 18}/{'a' * 68}/{more}"
    assert await channel.send(to(url), MESSAGE) == Refused("OPTION_FORBIDDEN")
    await channel.close()


def test_ordinary_options_are_let_in() -> None:
    schemes = apprise.FIXED_HOST_SCHEMES
    assert apprise.check_url("tgram://123:abc/456/?format=text&silent=yes", schemes) is None
    assert (
        apprise.check_url("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/%23general", schemes) is None
    )


@pytest.mark.parametrize("url", ["slack://a\nb", "slack://" + "a" * 2048, "slack://[", "slack://a\x00"])
async def test_what_is_no_url_is_refused(url: str) -> None:
    channel = apprise.build({})
    assert await channel.send(to(url), MESSAGE) == Refused("BAD_URL")
    await channel.close()


async def test_what_the_service_cannot_read_is_removed() -> None:
    channel = apprise.build({})
    assert await channel.send(to("slack://"), MESSAGE) == AddressGone("BAD_URL")
    await channel.close()


async def test_a_message_goes_out() -> None:
    bodies: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        bodies.append(await reader.readexactly(length))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    channel = apprise.build({"schemes": ["json"]})
    async with server(serve) as url:
        assert await channel.send(to(url), MESSAGE) == Sent()
    await channel.close()
    sent = json.loads(bodies[0])
    assert (sent["title"], sent["message"], sent["type"]) == ("标题", "正文\nhttps://x.example/", "warning")


async def test_a_failure_may_have_been_sent_and_says_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    channel = apprise.build({"schemes": ["json"]})
    async with server(serve) as url:
        outcome = await channel.send(to(url), MESSAGE)
    await channel.close()
    assert outcome == Failed("APPRISE_FAILED", maybe_sent=True)
    assert "hidden" not in caplog.text


async def test_one_that_does_not_end_is_given_up_and_holds_its_thread() -> None:
    release = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await release.wait()

    channel = apprise.build({"schemes": ["json"], "threads": 1, "time_limit": 0.2})
    async with server(serve) as url:
        assert await channel.send(to(url), MESSAGE) == Failed("TIMEOUT", maybe_sent=True)
        assert await channel.send(to(url), MESSAGE) == Failed("BUSY")
        release.set()

        # Its thread ends with the connection, and the next message finds it free.
        async def free() -> object:
            outcome = await channel.send(to("json://"), MESSAGE)
            return outcome if outcome != Failed("BUSY") else None

        assert await until(free) == AddressGone("BAD_URL")
    await channel.close()
