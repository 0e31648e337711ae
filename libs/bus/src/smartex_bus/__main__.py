"""`python -m smartex_bus letters|show|redrive|close`: the dead letters of a bus, for people."""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from asyncpg import PostgresError
from smartex_store import StoreError

from smartex_bus.api import Bus
from smartex_bus.errors import BusError
from smartex_bus.letters import origin
from smartex_bus.opening import open_bus
from smartex_bus.records import DeadLetter

_WHERE = ("SMARTEX_BUS_URL", "SMARTEX_DATABASE_URL_FILE", "SMARTEX_DATABASE_URL")
_EPILOG = f"""
The bus is --bus, or what the settings of a service say, which are set in its pod:
{", ".join(_WHERE)}.
A URL with a password is better set than given: arguments can be read by every user of the machine.
  SMARTEX_BUS_URL=$(python -m smartex_store --data data psql-url) python -m smartex_bus letters
"""
_PAGE = 50
_SHOWN_BYTES = 512


class _Refused(Exception):  # noqa: N818 - a verdict on what was asked
    """What was asked for cannot be done; the message is for the caller."""


def _bus_url(asked: str | None) -> str:
    if asked is not None:
        return asked
    url, file, database = (os.environ.get(name) for name in _WHERE)
    found = url or (Path(file).read_text().strip() if file else database)
    if not found:
        raise _Refused(f"no bus: give --bus, or set one of {', '.join(_WHERE)}")
    return found


async def _letters(bus: Bus, options: argparse.Namespace) -> int:
    groups = [options.group] if options.group else await bus.dead_letter_groups()
    found: list[DeadLetter] = []
    more: list[str] = []
    for group in groups:
        letters = await bus.dead_letters(group, limit=options.limit + 1, after=options.after)
        found += letters[: options.limit]
        if len(letters) > options.limit:
            more.append(f"letters {group} --after {letters[options.limit - 1].id}")
    if options.json:
        print(json.dumps({"letters": [_described(letter) for letter in found], "more": more}))
        return 0
    for letter in found:
        print(_line(letter))
    for next_page in more:
        print(f"there are more: {next_page}")
    if not found:
        print("no open letters")
    return 0


async def _show(bus: Bus, options: argparse.Namespace) -> int:
    letter = await _letter(bus, options.group, options.id)
    about = _described(letter) | {"value": base64.b64encode(letter.record.value).decode()}
    if options.json:
        print(json.dumps(about))
        return 0
    for name, value in about.items():
        if name != "value":
            print(f"{name:10}  {_harmless(str(value))}")
    print(f"{'value':10}  {_harmless(str(letter.record.value[:_SHOWN_BYTES]))}")
    if len(letter.record.value) > _SHOWN_BYTES:
        print(f"{'':10}  … --json has all {len(letter.record.value)} bytes")
    return 0


async def _redrive(bus: Bus, options: argparse.Namespace) -> int:
    return await _each(bus, options, bus.redrive, "delivered to its group again")


async def _close(bus: Bus, options: argparse.Namespace) -> int:
    return await _each(bus, options, bus.close_letter, "closed")


async def _each(bus: Bus, options: argparse.Namespace, act: Callable[[DeadLetter], Any], done: str) -> int:
    count = 0
    letters = _open(bus, options.group) if options.all else _named(bus, options.group, options.ids)
    async for letter in letters:
        await act(letter)
        count += 1
        if not options.json:
            print(f"{letter.group} {letter.id}  {_place(letter)}  {done}", flush=True)
    if options.json:
        print(json.dumps({"done": count}))
    elif not count:
        print("no open letters")
    return 0


async def _open(bus: Bus, group: str) -> AsyncIterator[DeadLetter]:
    """The letters that are open now; those that come while they are handled, by failing again, are not among them."""
    last = -1
    while page := await bus.dead_letters(group, limit=_PAGE, after=last):
        last = page[-1].id
    at = -1
    while page := await bus.dead_letters(group, limit=_PAGE, after=at):
        for letter in page:
            at = letter.id
            if at > last:
                return
            yield letter


async def _named(bus: Bus, group: str, ids: Sequence[int]) -> AsyncIterator[DeadLetter]:
    for identity in ids:
        yield await _letter(bus, group, identity)


async def _letter(bus: Bus, group: str, identity: int) -> DeadLetter:
    for letter in await bus.dead_letters(group, limit=1, after=identity - 1):
        if letter.id == identity:
            return letter
    raise _Refused(f"group {group} has no open letter {identity}: python -m smartex_bus letters {group}")


def _described(letter: DeadLetter) -> dict[str, Any]:
    record = letter.record
    first = origin(record)
    return {
        "group": letter.group,
        "id": letter.id,
        "reason": letter.reason,
        "time": _time(letter.time_ns),
        "age": round(time.time() - letter.time_ns / 1e9, 1),
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        # Where it was before it was redriven and failed again.
        "origin": {"topic": first[0], "partition": first[1], "offset": first[2]},
        "appended": _time(record.time_ns),
        "key": record.key.decode("utf-8", "backslashreplace"),
        "headers": {
            name: value.decode("utf-8", "backslashreplace") for name, value in record.headers.items()
        },
        "bytes": len(record.value),
    }


def _line(letter: DeadLetter) -> str:
    when = f"{_time(letter.time_ns)} ({_age(time.time() - letter.time_ns / 1e9)} ago)"
    return f"{letter.group} {letter.id}  {when}  {_place(letter)}  {_harmless(letter.reason)}"


def _place(letter: DeadLetter) -> str:
    record = letter.record
    return f"{record.topic}[{record.partition}]@{record.offset}"


def _time(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="milliseconds")


def _age(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _harmless(text: str) -> str:
    """The text on one line, and nothing in it that a terminal obeys: it may hold what somebody sent."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


async def _run(options: argparse.Namespace) -> int:
    async with await open_bus(_bus_url(options.bus)) as bus:
        return int(await options.act(bus, options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m smartex_bus",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bus", metavar="URL", help="kafka://host:port,… or postgresql://…")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(
        name: str, act: Callable[[Bus, argparse.Namespace], Any], words: str
    ) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=words, description=words)
        made.add_argument("--json", action="store_true", help="one JSON object on standard output")
        made.set_defaults(act=act)
        return made

    letters = command("letters", _letters, "list open letters, the oldest first: group, id, when, where, why")
    letters.add_argument("group", nargs="?", help="all groups by default")
    letters.add_argument("--limit", type=_count, default=20, help="letters of each group at most (20)")
    letters.add_argument("--after", type=int, default=-1, metavar="ID", help="go on after this letter")
    show = command("show", _show, "show one letter with its record")
    show.add_argument("group")
    show.add_argument("id", type=int)
    for name, act, words in (
        (
            "redrive",
            _redrive,
            "deliver letters to their group again, and close them; twice if it is cut off between",
        ),
        ("close", _close, "close letters without delivering them: what they stood for was mended otherwise"),
    ):
        one = command(name, act, words)
        one.add_argument("group")
        which = one.add_mutually_exclusive_group(required=True)
        which.add_argument("ids", type=int, nargs="*", default=[], metavar="id")
        which.add_argument("--all", action="store_true", help="all that are open now")
    return parser


def _count(text: str) -> int:
    if not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError("give 1 to 1000")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line, obey, and tell a failure in one line."""
    options = _parser().parse_args(arguments)
    # Standard output is for the answers.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    # The driver says at length what the error says in one line.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        return asyncio.run(_run(options))
    except (_Refused, BusError, StoreError, PostgresError, ValueError, OSError) as error:
        print(f"error: {_harmless(str(error))}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
