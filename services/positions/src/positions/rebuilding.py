"""`python -m positions rebuild`: folds the log anew and compares the book with its rows, or writes them anew."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from smartex_chassis import SmartexError, StartupError, load

from positions.domain.book import changes
from positions.domain.book.changes import (
    ACCOUNT_FIELDS,
    HEADER_FIELDS,
    HOLDING_FIELDS,
    INSTRUMENT_FIELDS,
    ORDER_FIELDS,
    Rows,
)
from positions.rewind import Moment
from positions.settings import PositionsSettings
from positions.store import SCHEMA, BookStore
from positions.wiring import Pod

_MOST_TOLD = 20
_BOOK = (
    "accounts",
    "holdings",
    "open_orders",
    "instruments",
    "fills",
    "points",
    "checkpoints",
    "checkpoint_parts",
)
_BEGIN = """
    UPDATE positions.projection
       SET sequence = DEFAULT, time_ns = DEFAULT, day = DEFAULT, arriving = DEFAULT, arriving_type = DEFAULT,
           next_offset = DEFAULT, epoch = epoch + 1, lease_until = DEFAULT
"""
"""What alerts were judged by stays, so that nothing is told again."""


async def main(arguments: Sequence[str]) -> int:
    """Compare, or with --write begin anew; the exit code is 1 if rows and log differ."""
    asked = _parser().parse_args(arguments)
    try:
        pod = await Pod.open(load(PositionsSettings, max_past_events=2**62))
    except StartupError as error:
        print(error.message)
        return error.exit_code
    try:
        return await (_begin_anew(pod) if asked.write else _compare(pod))
    except SmartexError as error:
        print(error.message)
        return 1
    finally:
        await pod.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="positions rebuild")
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--check", action="store_true", help="compare the rows with the log (default)")
    asked.add_argument(
        "--write",
        action="store_true",
        help="empty the book's tables: the pods fold the log anew by themselves",
    )
    return parser


async def _begin_anew(pod: Pod) -> int:
    """Empty the tables and take the lease away, so that whoever writes reads everything back: nothing."""
    async with pod.database.transaction() as connection:
        await connection.execute(_BEGIN)
        await connection.execute(f"TRUNCATE {', '.join(f'{SCHEMA}.{table}' for table in _BOOK)}")
    print("the book begins anew: running pods fold the log from its beginning")
    return 0


async def _compare(pod: Pod) -> int:
    found = await differences(pod)
    for line in found[:_MOST_TOLD]:
        print(line)
    if len(found) > _MOST_TOLD:
        print(f"… and {len(found) - _MOST_TOLD} more")
    print("rows and log are equal" if not found else f"{len(found)} differences")
    return 1 if found else 0


async def differences(pod: Pod) -> list[str]:
    """How the rows differ from a fold of the log up to their position, a line each."""
    await pod.definitions.load()
    saved = await BookStore(pod.database, pod.settings.shard, "", 0).load()
    rows = saved.rows
    book = await pod.rewind.book(Moment(sequence=int(rows.header["sequence"])), from_beginning=True)
    return list(compare(rows, changes.all_rows(book.tables)))


def compare(kept: Rows, made: Rows) -> Iterator[str]:
    """How two books differ, a line each."""
    for name in HEADER_FIELDS:
        if kept.header[name] != made.header[name]:
            yield f"{name}: rows {kept.header[name]}, log {made.header[name]}"
    yield from _table("account", kept.accounts, made.accounts, ACCOUNT_FIELDS, "account_id")
    yield from _table("holding", kept.holdings, made.holdings, HOLDING_FIELDS, "")
    yield from _table("order", _by_id(kept.orders), _by_id(made.orders), ORDER_FIELDS, "order_id")
    yield from _instruments(kept, made)
    for name in ("cash", "lots"):
        if not np.array_equal(getattr(kept, name), getattr(made, name)):
            yield f"{name} differ"


def _by_id(orders: Any) -> Any:
    return orders[np.argsort(orders["order_id"])]


def _instruments(kept: Rows, made: Rows) -> Iterator[str]:
    """Instruments that the log has not moved have no row."""
    wanted = np.isin(made.instrument_numbers, kept.instrument_numbers)
    yield from _table("instrument", kept.instruments, made.instruments[wanted], INSTRUMENT_FIELDS, "")


def _table(what: str, kept: Any, made: Any, fields: Sequence[str], key: str) -> Iterator[str]:
    if len(kept) != len(made):
        yield f"{what}s: {len(kept)} rows, {len(made)} in the log"
        return
    for name in fields:
        for at in np.flatnonzero(kept[name] != made[name]):
            which = kept[key][at] if key else f"at place {at}"
            yield f"{what} {which}: {name} is {kept[name][at]}, by the log {made[name][at]}"
