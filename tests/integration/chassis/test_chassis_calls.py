"""How calls end and which are let in: deadlines, callers that leave, too many at a time."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import grpc
import grpc.aio
import pytest
from chassis_venue import ECHO, Held, health, http
from dead_line import line_to
from grpc_health.v1 import health_pb2
from waiting import until

SERVING = health_pb2.HealthCheckResponse.SERVING


async def test_a_unary_call_without_a_deadline_gets_the_default(venue: Any) -> None:
    held = Held()
    venue.echo.behave = held
    caller = await venue.caller(await venue.start(default_deadline=0.2))
    refusal = await venue.refusal(caller.call("UnaryUnary", b"x", deadline=None))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
    assert held.cancelled.is_set()


async def test_a_clients_deadline_ends_the_handler_and_is_counted_as_one(venue: Any) -> None:
    held = Held()
    venue.echo.behave = held
    server = await venue.start()
    caller = await venue.caller(server)
    counted = f'smartex_rpc_finished_total{{code="DEADLINE_EXCEEDED",method="/{ECHO}/UnaryUnary"}} '

    async def so_far() -> float:
        _, text = await http(server.metrics_port, "/metrics")
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(counted))

    for seconds in (0.2, 2, 20):  # a busy machine may need longer to get to the handler
        before = await so_far()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await caller.call("UnaryUnary", b"x", deadline=seconds)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        if held.entered.is_set():
            break
    await asyncio.wait_for(held.cancelled.wait(), 60)

    async def one_more() -> bool:
        return await so_far() == before + 1

    await until(one_more)


async def test_a_caller_that_leaves_cancels_the_handler(venue: Any, kind: str) -> None:
    held = Held()
    venue.echo.behave = held
    caller = await venue.caller(await venue.start())
    call = asyncio.create_task(caller.call(kind, b"x"))
    await held.entered.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.wait_for(held.cancelled.wait(), 60)


async def test_what_a_client_sends_unread_is_bounded(venue: Any) -> None:
    """512 KB and what is on its way; by itself gRPC lets several megabytes come."""
    venue.echo.behave = Held()
    channel = await venue.channel(await venue.start())
    metadata = (("authorization", f"Bearer {venue.token()}"),)
    stream = channel.stream_stream(f"/{ECHO}/StreamStream")(metadata=metadata, timeout=60)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < 2 << 20:
            await asyncio.wait_for(stream.write(bytes(16 << 10)), 5)
            sent += 16 << 10
    assert 512 << 10 <= sent <= 1 << 20


async def test_a_caller_whose_machine_dies_is_noticed(venue: Any) -> None:
    """Nothing comes from it any more, not even the end of its connection."""
    held = Held()
    venue.echo.behave = held
    server = await venue.start(ping_after=2)
    async with line_to(server.port) as line, grpc.aio.insecure_channel(f"127.0.0.1:{line.port}") as channel:
        calling = asyncio.create_task(venue.over(channel, venue.token()).call("StreamStream", b"x"))
        await held.entered.wait()
        await asyncio.sleep(5)  # it lives, and is quiet
        assert not held.cancelled.is_set()
        line.die()
        await asyncio.wait_for(held.cancelled.wait(), 60)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)


async def test_too_many_calls_are_told_to_slow_down(venue: Any) -> None:
    held = Held()
    venue.echo.behave = held
    caller = await venue.caller(await venue.start(max_concurrent_rpcs=1))
    first = asyncio.create_task(caller.call("UnaryUnary", b"x"))
    await held.entered.wait()
    refusal = await venue.refusal(caller.call("UnaryUnary", b"y"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_RPCS")
    assert refusal.retry_after is not None
    assert await health(caller.channel) == SERVING
    held.let_go.set()
    assert await first == [b"x"]


async def test_streams_of_one_caller_are_bounded_and_calls_and_others_are_not(venue: Any) -> None:
    held = Held()
    venue.echo.behave = held
    server = await venue.start(max_streams_per_principal=2)
    caller = await venue.caller(server)
    streams = [asyncio.create_task(caller.call(kind, b"x")) for kind in ("UnaryStream", "StreamStream")]
    await until(lambda: len(server._gate.calls) >= 2)
    for _ in range(2):
        refusal = await venue.refusal(caller.call("StreamUnary", b"x"))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS")
        assert "2 streams" in refusal.message
    # Another token of the same caller is the same caller; another account or subject is not.
    again = await venue.caller(server, venue.token(ttl=600))
    assert (await venue.refusal(again.call("UnaryStream", b"x"))).reason == "TOO_MANY_STREAMS"
    others = [await venue.caller(server, venue.token(**who)) for who in ({"account_id": 8}, {"subject": "o"})]
    streams += [asyncio.create_task(other.call("UnaryStream", b"x")) for other in others]
    streams.append(asyncio.create_task(caller.call("UnaryUnary", b"x")))
    await until(lambda: len(server._gate.calls) >= 5)
    held.let_go.set()
    assert [set(await each) for each in streams] == [{b"x"}] * 5
    await until(lambda: not server._gate.calls)
    assert await caller.call("UnaryStream", b"x") == [b"x"] * 3
    assert not server._gate._streams
