"""Stand-ins of the push providers, in a process of their own, until there are real credentials."""

from __future__ import annotations

import asyncio
import sys
import time
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


class Standins:
    """The stand-ins of one data folder. Without them the exchange runs all the same, and the log says so."""

    def __init__(self, data: Path, port: int, callback_port: int) -> None:
        self._log_file = data / "logs" / "standins.log"
        self._providers = data / "standins" / "providers.toml"
        self._child = Child(standins_command(data, port, callback_port), self._log_file, name="stand-ins")

    async def start(self) -> None:
        """Start them, and keep them up from now on."""
        self._providers.unlink(missing_ok=True)
        await self._child.start()

    async def ready(self) -> Path:
        """Wait until they serve; where they wrote the settings of their providers."""
        deadline = time.monotonic() + _WITHIN_SECONDS
        while not await asyncio.to_thread(self._providers.exists):
            if time.monotonic() > deadline:
                _log.warning("the stand-ins do not start; nothing is pushed", log=str(self._log_file))
                break
            await asyncio.sleep(0.05)
        return self._providers

    async def stop(self) -> None:
        """End them."""
        await self._child.stop()
