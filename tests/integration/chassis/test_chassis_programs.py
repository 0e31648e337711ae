"""A service as a program of its own: how it starts, what signals do to it, and what it says when it cannot go on."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import isolated
import pytest

# A shell lets what it runs in the background ignore Ctrl-C, and so do the tests that it runs, and their children.
PROGRAM = """
import asyncio, signal, sys, time, grpc
from smartex_chassis import (
    ChassisSettings, Service, ServiceModule, drain_started, in_abandoned_thread, run_all
)

signal.signal(signal.SIGINT, signal.default_int_handler)

async def held(request, context):
    print("entered", flush=True)
    await drain_started().wait()
    print("draining", flush=True)
    await asyncio.sleep({seconds})
    return request

def register(server):
    handler = grpc.unary_unary_rpc_method_handler(held)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.S", {{"Hold": handler}}),))

async def start():
    {start}

async def stop():
    print("stopped", flush=True)

async def build(settings):
    {build}
    return ServiceModule("t", register, {{"/t.S/Hold": "public"}}, start, stop)

sys.exit(run_all([Service(build, ChassisSettings)], name="t"))
"""
SAYS_STARTED = 'print("started", flush=True)'

Process = asyncio.subprocess.Process
Program = Callable[..., Awaitable[Process]]


@pytest.fixture
async def program(tmp_path: Path) -> AsyncIterator[Program]:
    """Starts the program with these words in its parts; none outlives its test."""
    running: list[Process] = []

    async def begin(
        *arguments: str,
        port: int = 0,
        seconds: float = 0,
        start: str = SAYS_STARTED,
        build: str = "pass",
        **environment: str,
    ) -> Process:
        script = tmp_path / "program.py"
        script.write_text(PROGRAM.format(seconds=seconds, start=start, build=build))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(script),
            *arguments,
            env={"SMARTEX_PORT": str(port), "SMARTEX_METRICS_PORT": "0", **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.fixture
def free_port() -> int:
    return isolated.free_port()


async def line(process: Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()


async def output(process: Process) -> tuple[bytes, bytes]:
    """All that it still says, once it has left."""
    return await asyncio.wait_for(process.communicate(), 60)


async def hold(channel: Any) -> Any:
    return await channel.unary_unary("/t.S/Hold")(b"x", wait_for_ready=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_the_program_and_it_leaves_with_zero(
    program: Program, free_port: int, number: signal.Signals
) -> None:
    process = await program(port=free_port, seconds=0.5)
    assert await line(process) == "started"
    async with grpc.aio.insecure_channel(f"127.0.0.1:{free_port}") as channel:
        call = asyncio.ensure_future(hold(channel))
        assert await line(process) == "entered"
        process.send_signal(number)
        assert await line(process) == "draining"
        assert await call == b"x"
    assert await line(process) == "stopped"
    assert await asyncio.wait_for(process.wait(), 60) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_a_signal_ends_a_program_that_waits_for_what_it_stands_on(
    program: Program, number: signal.Signals, code: int
) -> None:
    process = await program(build='print("building", flush=True); await asyncio.sleep(600)')
    assert await line(process) == "building"
    process.send_signal(number)
    assert await output(process) == (b"", b"")
    assert process.returncode == code


async def test_a_program_ends_before_what_it_compiles(program: Program) -> None:
    compiling = 'print("compiling", flush=True); await in_abandoned_thread(lambda: time.sleep(600))'
    process = await program(start=compiling)
    assert await line(process) == "compiling"
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_a_second_signal_does_not_wait_for_calls(program: Program, free_port: int) -> None:
    process = await program(port=free_port, seconds=600)
    assert await line(process) == "started"
    async with grpc.aio.insecure_channel(f"127.0.0.1:{free_port}") as channel:
        call = asyncio.ensure_future(hold(channel))
        assert await line(process) == "entered"
        process.send_signal(signal.SIGTERM)
        assert await line(process) == "draining"
        process.send_signal(signal.SIGTERM)
        assert await line(process) == "stopped"
        with pytest.raises(grpc.aio.AioRpcError):
            await call
    assert await asyncio.wait_for(process.wait(), 60) == 1


async def test_a_taken_port_ends_the_program_with_one_line(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = await program(port=port)
        out, err = await output(process)
    assert (out, process.returncode) == (b"", 2)
    assert err.decode() == f"port {port} is taken: stop the other program or set SMARTEX_PORT\n"


async def test_what_it_stands_on_is_away_or_a_bug(program: Program) -> None:
    """Said by the log, a line for programs, where nothing secret passes, and by one line for people."""
    broken = "raise OSError('no server at postgresql://smartex:geheim@db/x')"
    process = await program(build=broken, SMARTEX_LOG_FORMAT="json")
    _, err = await output(process)
    log, told = err.decode().splitlines()
    assert process.returncode == 1
    assert told == "t cannot go on: no server at postgresql://smartex:[redacted]@db/x"
    said = json.loads(log)
    assert (said["event"], said["service"], said["level"]) == ("left by a failure", "t", "error")
    assert "OSError" in said["exception"]
    assert "geheim" not in err.decode()


async def test_print_and_check_settings(program: Program) -> None:
    process = await program("--print-settings")
    out, _ = await output(process)
    assert process.returncode == 0
    assert b"SMARTEX_DRAIN_TIMEOUT" in out
    assert await output(await program("--check")) == (b"settings are good\n", b"")
    process = await program("--check", port=99_999)
    out, err = await output(process)
    assert (out, process.returncode) == (b"", 2)
    assert err.startswith(b"SMARTEX_PORT=99999: ")
