"""`python -m smartex_store --data DIR run|psql-url|psql`: the embedded server, for people."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from . import binaries
from .cluster import running_url
from .embedded import EmbeddedPostgres
from .errors import ServerError, StoreError
from .folder import DataFolder


async def _run(data: Path, port: int | None) -> None:
    stopping = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stopping.set)
    async with EmbeddedPostgres(data, port=port) as server:
        watching = asyncio.create_task(server.watch())
        leaving = asyncio.create_task(stopping.wait())
        done, rest = await asyncio.wait({watching, leaving}, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        for task in done:
            task.result()


def _url(data: Path) -> str:
    url = running_url(data)
    if url is None:
        raise ServerError(f"no server runs on {data}: start the program first, or use the command run")
    return url


def _psql(data: Path, arguments: list[str]) -> None:
    """Become psql. The URL goes by the environment: arguments can be read by every user of the machine."""
    major = DataFolder(data).major() or binaries.NEWEST_MAJOR
    psql = binaries.locate(major, binaries.RunAs()).program("psql")
    os.execve(psql, [psql, *arguments], os.environ | {"PGSERVICEFILE": os.devnull} | _environment(_url(data)))


def _environment(url: str) -> dict[str, str]:
    """The variables of libpq for a URL of ours."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    user, _, secret = parts.netloc.rpartition("@")[0].partition(":")
    return {
        "PGUSER": user,
        "PGPASSWORD": unquote(secret),
        "PGDATABASE": parts.path.lstrip("/"),
        "PGHOST": query["host"][0],
        "PGPORT": query["port"][0],
    }


def main() -> int:
    """Parse the command line, obey, and tell a failure in one line."""
    parser = argparse.ArgumentParser(prog="python -m smartex_store", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the server until SIGINT or SIGTERM")
    run.add_argument("--port", type=int, help="also listen on 127.0.0.1 at this port")
    commands.add_parser("psql-url", help="print the URL, with the password, of the running server")
    psql = commands.add_parser("psql", help="open psql on the running server; arguments after -- go to psql")
    psql.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    try:
        if options.command == "run":
            asyncio.run(_run(options.data, options.port))
        elif options.command == "psql-url":
            print(_url(options.data))
        else:
            _psql(options.data, options.arguments)
    except (StoreError, PermissionError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
