"""`python -m smartex_agents`: the demo's participants as a program, until Ctrl-C, SIGTERM or the end of its input."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import structlog

from .running import Orders, until_stopped


def main(argv: Sequence[str] | None = None) -> int:
    """Run the participants; 0 when told to stop."""
    parser = argparse.ArgumentParser(prog="smartex_agents", description="Trade on the demo market.")
    parser.add_argument(
        "--profiles", type=Path, default=Path("data/profiles/agents"), help="folder with a profile for each"
    )
    parser.add_argument("--rate", type=float, default=150.0, help="commands of all together per second")
    parser.add_argument("--seed", type=int, default=23, help="seed of every decision")
    parser.add_argument(
        "--with-parent", action="store_true", help="leave when standard input ends, as it does with a parent"
    )
    asked = parser.parse_args(argv)
    if asked.rate <= 0:
        parser.error("--rate must be positive")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    asyncio.run(_run(Orders(asked.profiles, asked.rate, asked.seed), with_parent=asked.with_parent))
    return 0


async def _run(orders: Orders, *, with_parent: bool) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if with_parent:
        # A thread, for whatever kind of file the input is. A daemon: nothing else waits for it.
        threading.Thread(target=_await_end, args=(loop, stop), name="parent", daemon=True).start()
    await until_stopped(orders, stop)


def _await_end(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    loop.call_soon_threadsafe(stop.set)


if __name__ == "__main__":
    sys.exit(main())
