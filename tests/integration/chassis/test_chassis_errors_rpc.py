"""Every category of error reaches callers of every RPC kind as a status with its details."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.message import DecodeError
from smartex_chassis import (
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidInput,
    NotFound,
    OutOfRange,
    Overloaded,
    PermissionDenied,
    SmartexError,
    Unauthenticated,
    Unavailable,
)

CASES = [
    (InvalidInput("off the tick", reason="OFF_TICK", field="price_ticks"), grpc.StatusCode.INVALID_ARGUMENT),
    (OutOfRange("gone", reason="SEQUENCE_GONE", metadata={"first": 5}), grpc.StatusCode.OUT_OF_RANGE),
    (Unauthenticated("who?", reason="TOKEN_MISSING"), grpc.StatusCode.UNAUTHENTICATED),
    (PermissionDenied("no", reason="SCOPE_MISSING"), grpc.StatusCode.PERMISSION_DENIED),
    (NotFound("no such order", reason="ORDER_UNKNOWN"), grpc.StatusCode.NOT_FOUND),
    (FailedPrecondition("halted", reason="HALTED"), grpc.StatusCode.FAILED_PRECONDITION),
    (Overloaded("slow down", retry_after=timedelta(milliseconds=250)), grpc.StatusCode.RESOURCE_EXHAUSTED),
    (Unavailable("away", reason="LOG_AWAY", retry_after=timedelta(seconds=2)), grpc.StatusCode.UNAVAILABLE),
    (DeadlineExceeded("late", reason="APPEND_LATE"), grpc.StatusCode.DEADLINE_EXCEEDED),
]


@pytest.mark.parametrize(("error", "code"), CASES, ids=[type(error).__name__ for error, _ in CASES])
async def test_each_category_reaches_the_caller(
    venue: Any, kind: str, error: SmartexError, code: grpc.StatusCode
) -> None:
    async def fail(_: bytes) -> bytes:
        raise error

    venue.echo.behave = fail
    caller = await venue.caller(await venue.start())
    refusal = await venue.refusal(caller.call(kind, b"x"))
    assert (refusal.code, refusal.message, refusal.status.code) == (code, error.message, code.value[0])
    assert (refusal.reason, refusal.info.domain) == (error.reason, "smartex")
    assert dict(refusal.info.metadata) == error.metadata
    assert refusal.retry_after == error.retry_after
    assert refusal.fields == [(v.field, v.description) for v in error.field_violations]


@pytest.mark.parametrize(
    "error", [KeyError("s3cret-key"), Internal("s3cret-key in the books")], ids=["bug", "internal"]
)
async def test_a_bug_tells_only_an_incident_and_logs_the_rest(
    venue: Any,
    kind: str,
    error: Exception,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def fail(_: bytes) -> bytes:
        raise error

    venue.echo.behave = fail
    caller = await venue.caller(await venue.start())
    refusal = await venue.refusal(caller.call(kind, b"x"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "s3cret" not in str(refusal.status)
    incident = refusal.info.metadata["incident"]
    assert incident in refusal.message
    captured = capsys.readouterr()
    logged = caplog.text + captured.out + captured.err
    assert incident in logged
    assert "s3cret-key" in logged


@pytest.mark.parametrize("error", [DecodeError("bad"), ValueError("bad")], ids=["protobuf", "own"])
async def test_bytes_that_are_no_message_are_the_callers_fault(
    venue: Any, kind: str, error: Exception
) -> None:
    def read(_: bytes) -> bytes:
        raise error

    venue.echo.read = read
    caller = await venue.caller(await venue.start())
    refusal = await venue.refusal(caller.call(kind, b"\xff"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MESSAGE_MALFORMED")


async def test_what_a_handler_aborts_with_is_left_as_it_is(venue: Any) -> None:
    async def abort(request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.DATA_LOSS, "by hand")
        return request

    venue.echo.unary_unary = abort
    caller = await venue.caller(await venue.start())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await caller.call("UnaryUnary", b"x")
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.DATA_LOSS, "by hand")


async def test_answers_pass_through(venue: Any) -> None:
    caller = await venue.caller(await venue.start())
    assert await caller.call("UnaryUnary", b"a") == [b"a"]
    assert await caller.call("UnaryStream", b"a") == [b"a", b"a", b"a"]
    assert await caller.call("StreamUnary", b"a", b"b") == [b"a,b"]
    assert await caller.call("StreamStream", b"a", b"b") == [b"a", b"b"]


async def test_an_oversize_message_is_refused_and_the_server_lives(venue: Any, kind: str) -> None:
    caller = await venue.caller(await venue.start(max_message_bytes=2048))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await caller.call(kind, b"x" * 4096)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await caller.call("UnaryUnary", b"x" * 1024) == [b"x" * 1024]


async def test_an_unknown_method_is_unimplemented(venue: Any) -> None:
    caller = await venue.caller(await venue.start())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await caller.channel.unary_unary("/smartex.test.v1.EchoService/Nope")(b"", metadata=caller.metadata())
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
