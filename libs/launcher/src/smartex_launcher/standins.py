"""Stand-ins of the push providers, in a process of their own, until there are real credentials."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import structlog

from .child import Child

_log = structlog.get_logger("smartex.launcher")
_WITHIN_SECONDS = 10.0


def standins_command(data: Path, port: int, callback_port: int) -> list[str]:
    """The command that runs the stand-ins until its standard input ends."""
    words = ["--data", str(data), "--port", str(port), "--with-parent"]
    words += ["--callbacks", f"http://127.0.0.1:{callback_port}/callbacks"]
    return [sys.executable, "-m", "smartex_standins", *words]


async def start_standins(stack: AsyncExitStack, data: Path, port: int, callback_port: int) -> Path:
    """Start them, to be stopped with the stack; where they wrote the settings of their providers.

    Without them the exchange runs all the same, and the log says so.
    """
    file = data / "standins" / "providers.toml"
    file.unlink(missing_ok=True)
    child = Child(
        standins_command(data, port, callback_port), data / "logs" / "standins.log", name="stand-ins"
    )
    stack.push_async_callback(child.stop)
    await child.start()
    deadline = time.monotonic() + _WITHIN_SECONDS
    while not await asyncio.to_thread(file.exists):
        if time.monotonic() > deadline:
            _log.warning("the stand-ins do not start; nothing is pushed", log=str(data / "logs"))
            break
        await asyncio.sleep(0.05)
    return file
