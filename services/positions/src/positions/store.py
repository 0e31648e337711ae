"""SQL of the book: rows and position in one transaction, fenced by the writer's epoch; and read back at a start."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from smartex_store import Connection, Database

from positions.domain.book.changes import (
    ACCOUNT_FIELDS,
    HEADER_FIELDS,
    HOLDING_FIELDS,
    INSTRUMENT_FIELDS,
    ORDER_FIELDS,
    SAVED_LOT,
    Rows,
)
from positions.domain.book.tables import ACCOUNT, CURRENCIES, FILL, HEADER, HOLDING, INSTRUMENT, ORDER
from positions.intake import POINT, Batch

SCHEMA = "positions"

_TAKE = """
    UPDATE positions.projection
       SET holder = $2, epoch = epoch + 1, lease_until = now() + make_interval(secs => $3)
     WHERE shard = $1 AND (lease_until < now() OR holder = $2)
 RETURNING epoch
"""
_MOVE = """
    UPDATE positions.projection
       SET sequence = $3, time_ns = $4, day = $5, arriving = $6, arriving_type = $7, next_offset = $8,
           judged = greatest(judged, $3)
     WHERE shard = $1 AND epoch = $2
"""
_EXTEND = """
    UPDATE positions.projection SET lease_until = clock_timestamp() + make_interval(secs => $3)
     WHERE shard = $1 AND epoch = $2
"""
_RELEASE = "UPDATE positions.projection SET lease_until = '-infinity' WHERE shard = $1 AND epoch = $2"


class LeaseLost(Exception):  # noqa: N818 - it is an end, not a fault
    """Another pod writes the book now; what was not committed is void."""


@dataclass(frozen=True)
class Saved:
    """The book as it was written, where the log goes on after it, and the last event that alerts were judged by: that
    one lies ahead where the book is rebuilt."""

    rows: Rows
    next_offset: int
    judged: int


class BookStore:
    """The tables of one shard's book. `holder` is unique to this process."""

    def __init__(self, database: Database, shard: int, holder: str, lease_seconds: float) -> None:
        self._database = database
        self._shard = shard
        self._holder = holder
        self._lease = lease_seconds

    async def take(self) -> int | None:
        """Become the writer if nobody is, or stay it: the epoch to write in. None if another pod writes."""
        await self._database.execute(
            "INSERT INTO positions.projection (shard) VALUES ($1) ON CONFLICT DO NOTHING", self._shard
        )
        epoch: int | None = await self._database.fetchval(_TAKE, self._shard, self._holder, self._lease)
        return epoch

    async def extend(self, epoch: int, connection: Connection | None = None) -> None:
        """Stay the writer for another lease, in a transaction if one is given. LeaseLost if another took over."""
        by = self._database if connection is None else connection
        if await by.execute(_EXTEND, self._shard, epoch, self._lease) != "UPDATE 1":
            raise LeaseLost

    async def release(self, epoch: int) -> None:
        """Let another pod write at once."""
        await self._database.execute(_RELEASE, self._shard, epoch)

    async def load(self) -> Saved:
        """Position and rows of one moment; an empty book where there are none."""
        async with self._database.transaction(isolation="repeatable_read", readonly=True) as connection:
            head = await connection.fetchrow(
                f"SELECT {', '.join(HEADER_FIELDS)}, next_offset, judged FROM positions.projection WHERE shard = $1",
                self._shard,
            )
            accounts = await _read(connection, "accounts", "place", ACCOUNT_FIELDS, "cash")
            holdings = await _read(connection, "holdings", "place", HOLDING_FIELDS, "lots")
            orders = await _read(connection, "open_orders", "order_id", ORDER_FIELDS)
            instruments = await _read(connection, "instruments", "number", INSTRUMENT_FIELDS, "number")
        rows = await asyncio.to_thread(_rows, head, accounts, holdings, orders, instruments)
        return Saved(rows, head["next_offset"], head["judged"]) if head is not None else Saved(rows, 0, 0)

    async def write(self, connection: Connection, epoch: int, batch: Batch, merges: Sequence[Merge]) -> None:
        """Move the position and write what changed, as `merges_of` made it. LeaseLost if another pod took over."""
        # A pod that is stopped here must not keep its row locks for long: another is waiting for them.
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '5s'")
        head = [int(batch.rows.header[name]) for name in HEADER_FIELDS]
        # First, so that a pod that lost its lease stops before it writes, and two never write at once.
        moved = await connection.execute(_MOVE, self._shard, epoch, *head, batch.next_offset)
        if moved != "UPDATE 1":
            raise LeaseLost
        if len(batch.rows.gone):
            await connection.execute(
                "DELETE FROM positions.open_orders WHERE order_id = ANY($1::bigint[])",
                batch.rows.gone.tolist(),
            )
        for merge in merges:
            await _merge(connection, merge)
        # Last, for what took long must not have used the lease up.
        await connection.execute(_EXTEND, self._shard, epoch, self._lease)


@dataclass(frozen=True)
class Merge:
    """Rows for a table: over those with the same key; without a key, beside those that are there."""

    table: str
    columns: Sequence[str]
    key: str
    rows: Sequence[tuple[Any, ...]]


def merges_of(batch: Batch) -> list[Merge]:
    """What a batch writes. Slow where much changed: call it in a thread."""
    rows = batch.rows
    accounts = zip(
        rows.account_places.tolist(),
        _tuples(rows.accounts, ACCOUNT_FIELDS),
        (each.tobytes() for each in rows.cash.astype("<i8")),
        strict=True,
    )
    holdings = zip(
        rows.holding_places.tolist(), _tuples(rows.holdings, HOLDING_FIELDS), _packed(rows), strict=True
    )
    instruments = zip(
        rows.instrument_numbers.tolist(), _tuples(rows.instruments, INSTRUMENT_FIELDS), strict=True
    )
    points = [row for part in batch.points for row in part.tolist()]
    return [
        Merge(
            "accounts",
            ("place", *ACCOUNT_FIELDS, "cash"),
            "place",
            [(at, *row, cash) for at, row, cash in accounts],
        ),
        Merge(
            "holdings",
            ("place", *HOLDING_FIELDS, "lots"),
            "place",
            [(at, *row, lots) for at, row, lots in holdings],
        ),
        Merge("open_orders", ORDER_FIELDS, "order_id", _tuples(rows.orders, ORDER_FIELDS)),
        Merge(
            "instruments", ("number", *INSTRUMENT_FIELDS), "number", [(at, *row) for at, row in instruments]
        ),
        Merge("fills", FILL.names or (), "", rows.fills.tolist()),
        Merge("points", POINT.names or (), "", points),
    ]


def _tuples(rows: Any, fields: Sequence[str]) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = rows[list(fields)].tolist()
    return found


def _packed(rows: Rows) -> Iterable[bytes]:
    """The lots of each holding."""
    edges = np.concatenate([[0], np.cumsum(rows.holdings["lot_count"])]).tolist()
    return [rows.lots[begin:end].tobytes() for begin, end in pairwise(edges)]


async def _merge(connection: Connection, merge: Merge) -> None:
    if not merge.rows:
        return
    table, names = merge.table, ", ".join(merge.columns)
    # A table that stays for the session: to make one each time would fill PostgreSQL's own catalogue with the dead.
    await connection.execute(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS new_{table} (LIKE positions.{table}) ON COMMIT DELETE ROWS"
    )
    await connection.copy_records_to_table(f"new_{table}", records=merge.rows, columns=merge.columns)
    sets = ", ".join(f"{name} = excluded.{name}" for name in merge.columns if name != merge.key)
    done = f"({merge.key}) DO UPDATE SET {sets}" if merge.key else "DO NOTHING"
    await connection.execute(
        f"INSERT INTO positions.{table} ({names}) SELECT {names} FROM new_{table} ON CONFLICT {done}"
    )


async def _read(
    connection: Connection, table: str, order: str, fields: Sequence[str], *more: str
) -> list[Any]:
    names = ", ".join((*fields, *more))
    return await connection.fetch(f"SELECT {names} FROM positions.{table} ORDER BY {order}")


def _rows(
    head: Any, accounts: list[Any], holdings: list[Any], orders: list[Any], instruments: list[Any]
) -> Rows:
    return Rows(
        header=_header(head),
        account_places=np.arange(len(accounts)),
        accounts=_array(accounts, ACCOUNT, ACCOUNT_FIELDS),
        cash=np.frombuffer(b"".join(row["cash"] for row in accounts), "<i8").reshape(-1, CURRENCIES),
        holding_places=np.arange(len(holdings)),
        holdings=_array(holdings, HOLDING, HOLDING_FIELDS),
        lots=np.frombuffer(b"".join(row["lots"] for row in holdings), SAVED_LOT),
        orders=_array(orders, ORDER, ORDER_FIELDS),
        instrument_numbers=np.array([row["number"] for row in instruments], np.int64),
        instruments=_array(instruments, INSTRUMENT, INSTRUMENT_FIELDS),
        gone=np.zeros(0, np.int64),
        fills=np.zeros(0, FILL),
    )


def _array(records: Sequence[Any], like: np.dtype[Any], fields: Sequence[str]) -> Any:
    dtype = np.dtype([(name, like[name]) for name in fields])
    return np.array([tuple(record[name] for name in fields) for record in records], dtype)


def _header(record: Any) -> Any:
    head = np.zeros(1, HEADER)[0]
    head["day"] = 1
    for name in HEADER_FIELDS if record is not None else ():
        head[name] = record[name]
    return head
