"""Chains: from the event that raised an alert to the fills of the orders that its advice suggested.

Orders of advice carry a mark in their numbers (`_MARK`), so that their events are found among all others without
asking the database about each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray
from smartex.matching.v1.types_pb2 import Instrument
from smartex_store import Connection, Database

from positions.naming import Instruments

_MARK = 0x5AD1 << 48
_MARK_BITS = 0x7FFF << 48
_LOW_BITS = (1 << 48) - 1
ACCEPTED, TRADED = 1, 3

_ORDERS = """
    INSERT INTO positions.steps (trace_id, account_id, kind, subject_id, time_ns, detail)
    SELECT a.trace_id, a.account_id, e.kind, e.client_order_id::text, e.time_ns,
           CASE o.side WHEN 1 THEN 'buy ' ELSE 'sell ' END || o.symbol || ' ' || e.terms
      FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::text[])
           AS e (account_id, client_order_id, kind, time_ns, terms)
      JOIN positions.advice_orders o USING (account_id, client_order_id)
      JOIN positions.advice a USING (advice_id)
"""
_TAKEN = """
    UPDATE positions.advice_orders o SET traded_lots = traded_lots + e.lots
      FROM (SELECT account_id, client_order_id, sum(lots) AS lots
              FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[])
                   AS t (account_id, client_order_id, kind, lots)
             WHERE kind = 'fill' GROUP BY 1, 2) e
     WHERE o.account_id = e.account_id AND o.client_order_id = e.client_order_id
"""
_FIND = """
    SELECT trace_id, account_id FROM positions.steps WHERE trace_id = $1 OR subject_id = $1
     ORDER BY number DESC
"""


@dataclass(frozen=True)
class Step:
    """A link of a chain."""

    trace_id: str
    account_id: int
    kind: str
    subject_id: str
    time_ns: int
    detail: str


def client_order_id(advice_id: str, place: int) -> int:
    """The number of an order of advice: the same whenever the advice is accepted."""
    digest = hashlib.blake2b(f"{advice_id}/{place}".encode(), digest_size=6).digest()
    return _MARK | int.from_bytes(digest, "big") & _LOW_BITS


def of_advice(client_order_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which numbers of orders carry the mark of advice."""
    return np.asarray(client_order_ids & _MARK_BITS == _MARK)


async def record(connection: Connection, steps: Iterable[Step]) -> None:
    """Add steps in the transaction of what happened."""
    await connection.executemany(
        """
        INSERT INTO positions.steps (trace_id, account_id, kind, subject_id, time_ns, detail)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        [(one.trace_id, one.account_id, one.kind, one.subject_id, one.time_ns, one.detail) for one in steps],
    )


async def record_events(
    connection: Connection, events: NDArray[np.void], times_ns: NDArray[np.int64], instruments: Instruments
) -> None:
    """Add the orders and fills among the events that belong to advice, and count what was traded of it."""
    rows = [*_rows(events, times_ns, instruments, ""), *_rows(events, times_ns, instruments, "counter_")]
    if not rows:
        return
    accounts, orders, kinds, moments, lots, terms = (list(column) for column in zip(*rows, strict=True))
    await connection.execute(_ORDERS, accounts, orders, kinds, moments, terms)
    await connection.execute(_TAKEN, accounts, orders, kinds, lots)


def _rows(
    events: NDArray[np.void], times_ns: NDArray[np.int64], instruments: Instruments, side: str
) -> list[tuple[Any, ...]]:
    """(account, client order id, kind, time, lots, terms in words) of one side's orders and trades."""
    kinds = (TRADED,) if side else (ACCEPTED, TRADED)
    chosen = np.flatnonzero(
        of_advice(events[f"{side}client_order_id"].astype(np.int64)) & np.isin(events["kind"], kinds)
    )
    return [
        (
            int(events[f"{side}account_id"][at]),
            int(events[f"{side}client_order_id"][at]),
            "order" if events["kind"][at] == ACCEPTED else "fill",
            int(times_ns[at]),
            int(events["quantity_lots"][at]),
            _terms(instruments.get(int(events["instrument_id"][at])), events[at]),
        )
        for at in chosen
    ]


def _terms(instrument: Instrument | None, event: np.void) -> str:
    """How much at which price, in people's units; in lots and ticks if the instrument is not known."""
    lots, ticks = int(event["quantity_lots"]), int(event["price_ticks"])
    if instrument is None:
        return f"{lots} lots @ {ticks} ticks"
    return f"{lots * Decimal(instrument.lot_size):,f} @ {ticks * Decimal(instrument.tick_size):,f}"


class Chains:
    """Reads chains by any id of theirs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, id_: str) -> Sequence[tuple[str, int]]:
        """Chains (trace, account) that a trace, alert, advice or order belongs to, the newest first."""
        rows = await self._database.fetch(_FIND, id_)
        return list(dict.fromkeys((row["trace_id"], row["account_id"]) for row in rows))

    async def steps(self, trace_id: str, account_id: int) -> Sequence[Step]:
        """The steps of a chain by time."""
        rows = await self._database.fetch(
            """
            SELECT trace_id, account_id, kind, subject_id, time_ns, detail FROM positions.steps
             WHERE trace_id = $1 AND account_id = $2 ORDER BY time_ns, number
            """,
            trace_id,
            account_id,
        )
        return [Step(*row) for row in rows]
