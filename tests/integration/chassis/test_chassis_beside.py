"""What goes on beside the calls: it ends before the modules stop, and if it fails, the process leaves and says why."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from smartex_chassis import serve, start_task


async def test_what_runs_beside_the_calls_is_cancelled_before_the_stop(venue: Any) -> None:
    said: list[str] = []

    async def run() -> None:
        said.append("running")
        try:
            await asyncio.Event().wait()
        finally:
            said.append("cancelled")

    async def stop() -> None:
        said.append("stopped")

    server = await venue.start(venue.echo.module(run=run, stop=stop))
    assert await (await venue.caller(server)).call("UnaryUnary", b"x") == [b"x"]
    await server.drain()
    assert said == ["running", "cancelled", "stopped"]
    assert not server.failed.is_set()


async def test_what_fails_beside_the_calls_takes_the_process_down_in_order(venue: Any) -> None:
    said: list[str] = []
    fail = asyncio.Event()

    async def run() -> None:
        await fail.wait()
        raise RuntimeError("the log refused a write")

    async def stop() -> None:
        said.append("stopped")

    modules = [venue.echo.module(run=run, stop=stop)]
    assert await serve(modules, venue.settings(), on_ready=lambda _: fail.set()) == 1
    assert said == ["stopped"]


async def test_a_part_that_fails_unnoticed_takes_the_process_down_too(venue: Any) -> None:
    fail = asyncio.Event()

    async def part() -> None:
        await fail.wait()
        raise RuntimeError("a bug")

    async def start() -> None:
        start_task(part(), "part")

    modules = [venue.echo.module(start=start)]
    with structlog.testing.capture_logs() as logs:
        assert await serve(modules, venue.settings(), on_ready=lambda _: fail.set()) == 1
    assert [each["task"] for each in logs if each["event"] == "failed, leaving"] == ["part"]


async def test_why_it_leaves_is_told_in_lines(venue: Any) -> None:
    async def run() -> None:
        raise RuntimeError("the log\nis gone")

    async def part() -> None:
        raise LookupError

    server = await venue.start(venue.echo.module(run=run))
    await server.failed.wait()
    start_task(part(), "part")
    await asyncio.sleep(0.01)
    assert server.reasons == [
        f"{venue.echo.module().name} failed: the log is gone",
        "part failed: LookupError",
    ]


async def test_what_a_library_forgot_is_logged_and_nothing_more(venue: Any) -> None:
    server = await venue.start(venue.echo.module())
    with structlog.testing.capture_logs() as logs:
        asyncio.get_running_loop().call_exception_handler({"message": "a future was forgotten"})
    assert [each["what"] for each in logs if each["event"] == "unexpected"] == ["a future was forgotten"]
    assert not server.failed.is_set()


async def test_a_module_that_does_not_stop_does_not_keep_the_others(venue: Any) -> None:
    said: list[str] = []

    async def stop() -> None:
        said.append("stopped")

    async def hang() -> None:
        await asyncio.Event().wait()

    def no_rpcs(_: Any) -> None:
        pass

    first, second = venue.echo.module(stop=stop), venue.echo.module(register=no_rpcs, scopes={}, stop=hang)
    server = await venue.start(first, second, stop_timeout=0.1)
    await asyncio.wait_for(server.drain(), 60)
    assert said == ["stopped"]
    assert server.failed.is_set()
