"""`python -m smartex_standins`: all stand-ins on one port, until SIGTERM, Ctrl-C or the end of its input."""

from __future__ import annotations

import argparse
import asyncio
import errno
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from .registry import all_standins
from .serving import serve


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stand-ins; 0 when told to stop, 2 if the port or the folder cannot be had."""
    parser = argparse.ArgumentParser(prog="smartex_standins", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="keeps standins/providers.toml")
    parser.add_argument("--port", type=int, default=7410, help="on 127.0.0.1; 0 picks a free one")
    parser.add_argument(
        "--callbacks",
        default="http://127.0.0.1:7402/callbacks",
        help="URL below which the notifications service takes callbacks (…/wechat, …/wecom)",
    )
    parser.add_argument(
        "--with-parent", action="store_true", help="leave when standard input ends, as it does with a parent"
    )
    asked = parser.parse_args(argv)
    try:
        asyncio.run(_run(asked))
    except OSError as error:
        print(f"smartex_standins: {_said(error, asked.port)}", file=sys.stderr)
        return 2
    return 0


def _said(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken: stop the other program or set --port"
    return str(error)


async def _run(asked: argparse.Namespace) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if asked.with_parent:
        # A thread, for whatever kind of file the input is. A daemon: nothing else waits for it.
        threading.Thread(target=_await_end, args=(loop, stop), name="parent", daemon=True).start()
    async with serve(asked.data, asked.port, asked.callbacks.rstrip("/"), all_standins()) as serving:
        print(f"phone page  {serving.url}/\nproviders   {serving.providers_file}", flush=True)
        await stop.wait()


def _await_end(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    loop.call_soon_threadsafe(stop.set)


if __name__ == "__main__":
    sys.exit(main())
