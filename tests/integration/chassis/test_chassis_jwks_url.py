"""Keys over HTTP from this machine: fetched, refreshed, never by way of a redirect or without end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from smartex_chassis import KeySet, LocalIssuer, TokenVerifier, Unauthenticated, Unavailable


class KeyServer:
    """Answers every request with what it is told to."""

    def __init__(self) -> None:
        self.answer = b""
        self.requests = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        writer.write(self.answer)
        await writer.drain()
        writer.close()

    def say(self, body: bytes, head: str = "HTTP/1.1 200 OK") -> None:
        self.answer = f"{head}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@pytest.fixture
async def keys_at() -> AsyncIterator[KeyServer]:
    keys_at = KeyServer()
    async with await asyncio.start_server(keys_at.serve, "127.0.0.1", 0) as server:
        keys_at.port = server.sockets[0].getsockname()[1]
        yield keys_at


class Clock:
    """Monotonic time that moves when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_keys_come_from_a_url_and_are_asked_for_again_in_turn(
    keys_at: KeyServer, tmp_path: Path
) -> None:
    issuer, clock = LocalIssuer(tmp_path), Clock()
    keys_at.say(issuer.jwks_path.read_bytes())
    keys = KeySet(f"http://127.0.0.1:{keys_at.port}/jwks.json", monotonic=clock)
    verifier = TokenVerifier(keys, issuer="smartex-local", audience="smartex")
    assert (await verifier.verify(issuer.issue(subject="ann"))).subject == "ann"
    issuer.rotate()
    keys_at.say(issuer.jwks_path.read_bytes())
    new = issuer.issue(subject="ann")
    clock.now = 9.9
    with pytest.raises(Unauthenticated) as caught:
        await verifier.verify(new)
    assert (caught.value.reason, keys_at.requests) == ("TOKEN_UNKNOWN_KEY", 1)
    clock.now = 10
    assert (await verifier.verify(new)).subject == "ann"
    assert keys_at.requests == 2


async def test_a_redirect_is_not_followed(keys_at: KeyServer, tmp_path: Path) -> None:
    keys_at.say(b"", f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{keys_at.port}/other")
    with pytest.raises(Unavailable, match="keys"):
        await KeySet(f"http://127.0.0.1:{keys_at.port}/").get("any")
    assert keys_at.requests == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"x" * 300_000, b'{"keys": []}'])
async def test_an_answer_that_is_no_key_set_is_no_key(keys_at: KeyServer, body: bytes) -> None:
    keys_at.say(body)
    with pytest.raises(Unavailable):
        await KeySet(f"http://127.0.0.1:{keys_at.port}/").get("any")


@pytest.mark.parametrize("answer", [b"", b"220 this is mail\r\n", b"HTTP/1.1 500 Oh\r\n\r\n"])
async def test_a_source_that_is_broken_is_told(keys_at: KeyServer, answer: bytes) -> None:
    keys_at.answer = answer
    with pytest.raises(Unavailable):
        await KeySet(f"http://127.0.0.1:{keys_at.port}/").get("any")
