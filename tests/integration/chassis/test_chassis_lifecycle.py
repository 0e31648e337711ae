"""From start to drain: ports, health, readiness, reflection, and what is in flight at the end."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import grpc
import grpc.aio
import pytest
import structlog
from chassis_venue import ECHO, Held, health, http
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from smartex_chassis import (
    ChassisServer,
    PortInUse,
    StartupError,
    drain_started,
)
from waiting import until

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def test_a_taken_port_is_told_in_one_line(venue: Any) -> None:
    first = await venue.start()
    with pytest.raises(PortInUse) as caught:
        await ChassisServer((venue.echo.module(),), venue.settings(port=first.port)).start()
    assert str(caught.value) == f"port {first.port} is taken: stop the other program or set SMARTEX_PORT"
    assert await (await venue.caller(first)).call("UnaryUnary", b"x") == [b"x"]


async def test_a_port_taken_by_another_kind_of_program_and_the_metrics_port(venue: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(PortInUse, match="SMARTEX_PORT"):
            await ChassisServer((venue.echo.module(),), venue.settings(port=taken)).start()
        with pytest.raises(PortInUse, match="SMARTEX_METRICS_PORT"):
            await ChassisServer((venue.echo.module(),), venue.settings(metrics_port=taken)).start()


async def test_an_address_that_is_not_ours_is_told(venue: Any) -> None:
    with pytest.raises(StartupError, match="SMARTEX_HOST"):
        await ChassisServer((venue.echo.module(),), venue.settings(host="192.0.2.1")).start()


async def test_serving_others_in_the_clear_is_warned_of(venue: Any) -> None:
    with structlog.testing.capture_logs() as logs:
        await venue.start()
        assert not [log for log in logs if log["log_level"] == "warning"]
        await venue.start(host="0.0.0.0")
    assert any("SMARTEX_TLS_CERT_FILE" in log["event"] for log in logs)


async def test_modules_start_in_order_and_stop_in_reverse(venue: Any) -> None:
    said: list[str] = []

    def says(what: str) -> Any:
        async def say() -> None:
            said.append(what)

        return say

    def no_rpcs(_: Any) -> None:
        pass

    first = venue.echo.module(start=says("start 1"), stop=says("stop 1"))
    second = venue.echo.module(register=no_rpcs, scopes={}, start=says("start 2"), stop=says("stop 2"))
    server = await venue.start(first, second)
    await server.drain()
    assert said == ["start 1", "start 2", "stop 2", "stop 1"]


async def test_a_module_that_fails_to_start_takes_the_others_down_cleanly(venue: Any) -> None:
    stopped: list[str] = []

    async def stop() -> None:
        stopped.append("first")

    async def fail() -> None:
        raise StartupError("the data folder is of a newer version: take a newer program")

    def no_rpcs(_: Any) -> None:
        pass

    first, second = venue.echo.module(stop=stop), venue.echo.module(register=no_rpcs, scopes={}, start=fail)
    server = ChassisServer((first, second), venue.settings())
    with pytest.raises(StartupError, match="newer version"):
        await server.start()
    assert stopped == ["first"]
    with socket.create_server(("127.0.0.1", server.port)):
        pass  # the port is free again


async def test_calls_before_the_start_is_over_are_told_to_come_again(venue: Any) -> None:
    starting = Held()

    async def start() -> None:
        await starting(b"")

    server = ChassisServer((venue.echo.module(start=start),), venue.settings())
    task = asyncio.create_task(server.start())
    await starting.entered.wait()
    venue.stack.push_async_callback(server.drain)
    caller = await venue.caller(server)
    refusal = await venue.refusal(caller.call("UnaryUnary", b"x"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "STARTING")
    assert refusal.retry_after is not None
    assert await health(caller.channel) == NOT_SERVING
    assert (await http(server.metrics_port, "/readyz"))[0] == 503
    starting.let_go.set()
    await task
    assert await caller.call("UnaryUnary", b"x") == [b"x"]
    assert await health(caller.channel) == SERVING


async def test_health_follows_readiness(venue: Any) -> None:
    good = [True]
    server = await venue.start(venue.echo.module(ready=lambda: good[0]))
    channel = await venue.channel(server)
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=ECHO))
    assert (await watch.read()).status == SERVING
    assert (await http(server.metrics_port, "/readyz"))[0] == 200
    good[0] = False
    assert (await asyncio.wait_for(watch.read(), 60)).status == NOT_SERVING
    assert await health(channel) == NOT_SERVING
    assert (await http(server.metrics_port, "/readyz"))[0] == 503
    good[0] = True
    assert (await asyncio.wait_for(watch.read(), 60)).status == SERVING
    watch.cancel()


async def test_metrics_are_exposed(venue: Any) -> None:
    server = await venue.start()
    caller = await venue.caller(server)
    await caller.call("UnaryUnary", b"x")
    status, text = await http(server.metrics_port, "/metrics")
    assert status == 200
    assert f'smartex_rpc_finished_total{{code="OK",method="/{ECHO}/UnaryUnary"}}' in text
    assert f'smartex_rpc_duration_seconds_count{{method="/{ECHO}/UnaryUnary"}}' in text
    assert f'smartex_rpc_active_calls{{method="/{ECHO}/UnaryUnary"}} 0.0' in text
    assert "smartex_event_loop_lag_seconds_bucket" in text
    assert 'smartex_ready_info{service="echo"} 1.0' in text
    assert (await http(server.metrics_port, "/livez"))[0] == 200
    assert (await http(server.metrics_port, "/nope"))[0] == 404
    assert (await http(server.metrics_port, "/metrics", "POST"))[0] == 405
    assert (await http(server.metrics_port, "/livez", "HEAD")) == (200, "")


@pytest.mark.parametrize("on", [True, False])
async def test_reflection_is_a_setting(venue: Any, on: bool) -> None:
    channel = await venue.channel(await venue.start(reflection=on))
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    if not on:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        return
    names = {service.name for service in (await call.read()).list_services_response.service}
    assert names == {ECHO, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}


async def test_a_drain_lets_calls_finish_and_refuses_new_ones(venue: Any, kind: str) -> None:
    held, stopped = Held(), asyncio.Event()
    venue.echo.behave = held

    async def stop() -> None:
        stopped.set()

    server = await venue.start(venue.echo.module(stop=stop), drain_timeout=20, stream_drain=20)
    caller, late = await venue.caller(server), await venue.caller(server)
    call = asyncio.create_task(caller.call(kind, b"x"))
    await held.entered.wait()
    drain = asyncio.create_task(server.drain())
    await until(lambda: not server.ready())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await late.call("UnaryUnary", b"y")
    # gRPC cancels what comes in the very moment in which it tells its connections to go elsewhere.
    assert caught.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
    assert held.messages == [b"x"]
    assert not stopped.is_set()
    held.let_go.set()
    assert set(await call) == {b"x"}
    await asyncio.wait_for(drain, 60)
    assert stopped.is_set()


async def test_a_drain_ends_streams_that_would_never_end(venue: Any) -> None:
    venue.echo.behave = Held()
    server = await venue.start(drain_timeout=120, stream_drain=0.1)
    caller = await venue.caller(server)
    call = asyncio.create_task(caller.call("UnaryStream", b"x", deadline=None))
    await venue.echo.behave.entered.wait()
    drain = asyncio.create_task(server.drain())
    refusal = await venue.refusal(call)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert venue.echo.behave.cancelled.is_set()
    await asyncio.wait_for(drain, 60)


async def test_a_stream_may_end_by_itself_when_told_of_the_drain(venue: Any) -> None:
    entered = asyncio.Event()

    async def until_drain(_: bytes) -> bytes:
        entered.set()
        await drain_started().wait()
        return b"bye"

    venue.echo.behave = until_drain
    server = await venue.start(stream_drain=120, drain_timeout=120)
    caller = await venue.caller(server)
    call = asyncio.create_task(caller.call("UnaryStream", b"x"))
    await entered.wait()
    await asyncio.wait_for(server.drain(), 60)
    assert await call == [b"bye"] * 3


async def test_a_drain_does_not_wait_for_ever(venue: Any) -> None:
    venue.echo.behave = Held()
    server = await venue.start(drain_timeout=0.1)
    caller = await venue.caller(server)
    call = asyncio.create_task(caller.call("UnaryUnary", b"x", deadline=None))
    await venue.echo.behave.entered.wait()
    await asyncio.wait_for(server.drain(), 60)
    with pytest.raises(grpc.aio.AioRpcError):
        await call


async def test_scopes_and_rpcs_must_match(venue: Any) -> None:
    def start(**changes: Any) -> Any:
        return ChassisServer((venue.echo.module(**changes),), venue.settings()).start()

    with pytest.raises(StartupError, match="Y/Z has a scope but is not served"):
        await start(scopes={"/x.Y/Z": "read"})
    with pytest.raises(StartupError, match="scope 'fly', which does not exist"):
        await start(scopes={f"/{ECHO}/UnaryUnary": "fly"})

    def generated(server: Any) -> None:
        venue.echo.register(server)
        server.add_registered_method_handlers(ECHO, {"UnaryUnary": None, "Forgotten": None})

    with pytest.raises(StartupError, match=f"/{ECHO}/Forgotten is served without a scope"):
        await start(register=generated)


async def test_a_handler_that_would_block_the_loop_is_refused_at_the_start(venue: Any) -> None:
    def blocking(request: bytes, context: Any) -> bytes:
        return request

    venue.echo.unary_unary = blocking
    with pytest.raises(StartupError, match="UnaryUnary is not async"):
        await ChassisServer((venue.echo.module(),), venue.settings()).start()


async def test_a_method_left_out_of_a_servicer_is_told(venue: Any) -> None:
    channel = await venue.channel(await venue.start())
    refusal = await venue.refusal(health_pb2_grpc.HealthStub(channel).List(health_pb2.HealthListRequest()))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNIMPLEMENTED, "NOT_IMPLEMENTED")


async def test_nothing_starts_without_keys(venue: Any) -> None:
    with pytest.raises(StartupError, match="SMARTEX_JWKS"):
        ChassisServer((venue.echo.module(),), venue.settings(jwks=None))
