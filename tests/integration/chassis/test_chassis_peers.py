"""Calls from one service to another: the token file, renewed under way, and the caller's trace."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import grpc
import pytest
from smartex_chassis import peer_channel, principal, trace_metadata


async def subject(_: bytes) -> bytes:
    return principal().subject.encode()


async def test_every_kind_of_call_carries_the_token(venue: Any, tmp_path: Path, kind: str) -> None:
    venue.echo.behave = subject
    server = await venue.start()
    file = tmp_path / "service.token"
    file.write_text(venue.token(subject="positions") + "\n")
    async with peer_channel(f"127.0.0.1:{server.port}", file) as channel:
        answers = await venue.over(channel).call(kind, b"who")
    assert set(answers) == {b"positions"}


async def test_a_renewed_token_is_used_by_the_next_call(venue: Any, tmp_path: Path) -> None:
    venue.echo.behave = subject
    server = await venue.start()
    file, renewed = tmp_path / "service.token", tmp_path / "renewed"
    file.write_text(venue.token(subject="before"))
    async with peer_channel(f"127.0.0.1:{server.port}", file) as channel:
        caller = venue.over(channel)
        assert await caller.call("UnaryUnary", b"who") == [b"before"]
        renewed.write_text(venue.token(subject="after"))
        os.replace(renewed, file)
        assert await caller.call("UnaryUnary", b"who") == [b"after"]
        file.unlink()
        assert await caller.call("UnaryUnary", b"who") == [b"after"]


async def test_a_missing_token_file_says_so(venue: Any, tmp_path: Path) -> None:
    server = await venue.start()
    async with peer_channel(f"127.0.0.1:{server.port}", tmp_path / "none") as channel:
        with pytest.raises(FileNotFoundError):
            await venue.over(channel).call("UnaryUnary", b"who")


async def test_a_call_may_bring_a_token_of_its_own(venue: Any) -> None:
    venue.echo.behave = subject
    server = await venue.start()
    token = venue.token(subject="delegate")
    async with peer_channel(f"127.0.0.1:{server.port}", lambda: venue.token(subject="own")) as channel:
        assert await venue.over(channel, token).call("UnaryUnary", b"who") == [b"delegate"]


async def test_the_trace_of_the_caller_goes_on(venue: Any) -> None:
    onward: list[dict[str, str]] = []
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    async def relay(message: bytes) -> bytes:
        onward.append(dict(trace_metadata()))
        if message == b"relay":
            async with peer_channel(address, venue.token) as channel:
                call: Any = channel.unary_unary("/smartex.test.v1.EchoService/UnaryUnary")  # type: ignore[call-arg]  # the stubs demand serializers
                return bytes(await call(b"end"))
        return message

    venue.echo.behave = relay
    server = await venue.start()
    address = f"127.0.0.1:{server.port}"
    async with grpc.aio.insecure_channel(address) as channel:
        caller = venue.over(channel, venue.token())
        assert await caller.call("UnaryUnary", b"relay", more=(("traceparent", trace),)) == [b"end"]
    assert len(onward) == 2
    assert all("0af7651916cd43dd8448eb211c80319c" in each["traceparent"] for each in onward)
