"""Health is for anyone to watch, and whoever watches takes nothing from callers, nor holds up the drain."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import grpc
import grpc.aio
import pytest
from chassis_venue import ECHO, Held, health
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from smartex_chassis.health import MOST_WATCHERS
from waiting import until

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


def _watch(channel: Any, service: str = "") -> Any:
    return health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=service))


async def _status(watch: Any) -> int:
    return int((await asyncio.wait_for(watch.read(), 60)).status)


async def test_a_service_that_is_not_known_can_be_watched_and_not_checked(venue: Any) -> None:
    channel = await venue.channel(await venue.start())
    watch = _watch(channel, "no.such.Service")
    assert await _status(watch) == SERVICE_UNKNOWN
    refusal = await venue.refusal(health(channel, "no.such.Service"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "SERVICE_UNKNOWN")
    watch.cancel()


async def test_a_name_too_long_to_keep_is_refused(venue: Any) -> None:
    channel = await venue.channel(await venue.start())
    refusal = await venue.refusal(_watch(channel, "x" * 1025).read())
    assert (refusal.code, refusal.fields[0][0]) == (grpc.StatusCode.INVALID_ARGUMENT, "service")


async def test_watchers_are_bounded_and_others_are_told_to_check(venue: Any) -> None:
    channel = await venue.channel(await venue.start())
    watches = [_watch(channel) for _ in range(MOST_WATCHERS)]
    assert {await _status(each) for each in watches} == {SERVING}
    refusal = await venue.refusal(_watch(channel).read())
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_WATCHERS")
    assert "Check" in refusal.message
    assert await health(channel, ECHO) == SERVING
    watches.pop().cancel()
    async with asyncio.timeout(60):
        while await _refused(watch := _watch(channel)):
            await asyncio.sleep(0.02)
    for each in (*watches, watch):
        each.cancel()


async def _refused(watch: Any) -> bool:
    try:
        await _status(watch)
    except grpc.aio.AioRpcError:
        return True
    return False


async def test_calls_without_a_token_use_nothing_up_that_callers_need(venue: Any) -> None:
    server = await venue.start(max_concurrent_rpcs=1, max_public_rpcs=4)
    caller = await venue.caller(server)
    watches = [_watch(caller.channel) for _ in range(2)]
    assert [await _status(each) for each in watches] == [SERVING] * 2
    refusal = await venue.refusal(_watch(caller.channel).read())
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_PUBLIC_RPCS")
    assert await caller.call("UnaryUnary", b"x") == [b"x"]
    assert await health(caller.channel) == SERVING
    for each in watches:
        each.cancel()


async def test_open_streams_of_reflection_leave_room_for_checks(venue: Any) -> None:
    server = await venue.start(max_public_rpcs=4)
    channel = await venue.channel(server)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    streams = []
    for _ in range(2):
        streams.append(stub.ServerReflectionInfo())
        await streams[-1].write(asked)
        assert (await streams[-1].read()).HasField("list_services_response")
    refusal = await venue.refusal(stub.ServerReflectionInfo().read())
    assert refusal.reason == "TOO_MANY_PUBLIC_RPCS"
    assert await health(channel) == SERVING
    for each in streams:
        each.cancel()


async def test_a_drain_tells_watchers_and_does_not_wait_for_them(venue: Any) -> None:
    server = await venue.start(stream_drain=120, drain_timeout=120)
    channel = await venue.channel(server)
    watches = [_watch(channel), _watch(channel, ECHO), _watch(channel, "no.such.Service")]
    assert [await _status(each) for each in watches] == [SERVING, SERVING, SERVICE_UNKNOWN]
    drain = asyncio.create_task(server.drain())
    assert [await _status(each) for each in watches[:2]] == [NOT_SERVING] * 2
    for each in watches:
        refusal = await venue.refusal(each.read())
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    await asyncio.wait_for(drain, 60)


async def _watch_without_reading(port: int) -> asyncio.StreamWriter:
    """Watch over a connection that takes no data: its HTTP/2 window is zero."""

    def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
        return struct.pack(">I", len(body))[1:] + struct.pack(">BBI", kind, flags, stream) + body

    def field(name: bytes, value: bytes) -> bytes:
        return bytes([0, len(name)]) + name + bytes([len(value)]) + value

    head = (
        field(b":method", b"POST")
        + field(b":scheme", b"http")
        + field(b":path", b"/grpc.health.v1.Health/Watch")
        + field(b":authority", b"x")
        + field(b"content-type", b"application/grpc")
        + field(b"te", b"trailers")
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    window = struct.pack(">HI", 4, 0)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, window))
    assert await reader.read(1024)
    writer.write(frame(4, 1, 0, b"") + frame(1, 4, 1, head) + frame(0, 1, 1, bytes(5)))
    return writer


@pytest.mark.parametrize("watchers", [1, 20])
async def test_a_watcher_that_takes_no_data_holds_up_nothing(venue: Any, watchers: int) -> None:
    good = [True]
    server = await venue.start(venue.echo.module(ready=lambda: good[0]), stream_drain=0.5, drain_timeout=60)
    channel = await venue.channel(server)
    writers = [await _watch_without_reading(server.port) for _ in range(watchers)]
    await until(lambda: len(server._gate.public_calls) >= watchers)
    watch = _watch(channel)
    assert await _status(watch) == SERVING
    good[0] = False
    assert await _status(watch) == NOT_SERVING
    await asyncio.wait_for(server.drain(), 40)
    for each in writers:
        each.close()


async def test_a_drain_that_gives_up_on_watchers_still_lets_calls_finish(venue: Any) -> None:
    held = Held()
    venue.echo.behave = held
    server = await venue.start(stream_drain=0.2, drain_timeout=60)
    caller = await venue.caller(server)
    writer = await _watch_without_reading(server.port)
    call = asyncio.create_task(caller.call("UnaryUnary", b"x", deadline=60))
    await held.entered.wait()
    drain = asyncio.create_task(server.drain())
    await asyncio.sleep(2.5)
    assert not drain.done()
    held.let_go.set()
    assert await call == [b"x"]
    await asyncio.wait_for(drain, 40)
    writer.close()
