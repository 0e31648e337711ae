"""`python -m smartex_standins`: all stand-ins on one port, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
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
    asked = parser.parse_args(argv)
    try:
        asyncio.run(_run(asked.data, asked.port, asked.callbacks.rstrip("/")))
    except OSError as error:
        print(f"smartex_standins: {error}", file=sys.stderr)
        return 2
    return 0


async def _run(data: Path, port: int, callbacks: str) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with serve(data, port, callbacks, all_standins()) as serving:
        print(f"phone page  {serving.url}/\nproviders   {serving.providers_file}", flush=True)
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
