"""SQL of advice: given, answered, superseded, expired, settled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
from smartex_store import Connection, Database

from positions.domain.advice import Draft, Order
from positions.domain.outcomes import Basis, Settled
from positions.steps import client_order_id

OPEN, ACCEPTED, DISMISSED, EXPIRED, SUPERSEDED = 1, 2, 3, 4, 5
"""States, as the contract numbers them."""

_GIVE = """
    INSERT INTO positions.advice (advice_id, account_id, kind, subject, severity, state, facts, caveats, what_if, basis,
                                  create_time_ns, expire_time_ns, settle_time_ns, sequence, cause_id, trace_id)
    VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
"""
_ORDER = """
    INSERT INTO positions.advice_orders (advice_id, place, account_id, client_order_id, instrument_id, symbol, side,
                                         quantity_lots, price_ticks)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
_CLOSE = """
    UPDATE positions.advice SET state = $2
     WHERE advice_id IN (SELECT advice_id FROM positions.advice WHERE state = 1 AND {condition}
                            FOR UPDATE SKIP LOCKED)
 RETURNING advice_id, account_id, kind, subject, trace_id
"""
"""Advice that is being answered at this moment is passed over: it is not open any more, and to wait for it could be to
wait for each other."""
_STANDS = "SELECT true FROM positions.alerts WHERE alert_id = $1 AND state <> 3 FOR UPDATE"
_RESTS = """
    SELECT true FROM positions.advice
     WHERE account_id = $1 AND kind = $2 AND subject = $3
       AND (state = 3 AND answer_time_ns > $4 OR state = 2 AND answer_time_ns > $5 OR state = 1 AND $6)
     LIMIT 1
"""
_RECORDS = """
    SELECT kind, count(*) AS given, count(*) FILTER (WHERE state = 2) AS taken,
           count(*) FILTER (WHERE state = 3) AS dismissed, count(*) FILTER (WHERE settled) AS settled,
           count(*) FILTER (WHERE settled AND helped) AS helped
      FROM positions.advice WHERE kind = ANY($1::text[]) OR $1::text[] IS NULL GROUP BY kind ORDER BY kind
"""
_DUE = """
    SELECT a.*, coalesce(o.suggested, 0)::bigint AS suggested, coalesce(o.traded, 0)::bigint AS traded
      FROM positions.advice a
      LEFT JOIN LATERAL (SELECT sum(quantity_lots) AS suggested, sum(traded_lots) AS traded
                           FROM positions.advice_orders WHERE advice_id = a.advice_id) o ON true
     WHERE NOT settled AND settle_time_ns <= $1 ORDER BY settle_time_ns LIMIT $2
"""


@dataclass(frozen=True)
class Given:
    """Advice about to be given: the draft, whose, and when."""

    advice_id: str
    account_id: int
    draft: Draft
    basis: Basis
    create_ns: int
    expire_ns: int
    settle_ns: int
    sequence: int
    cause_id: str
    trace_id: str


@dataclass(frozen=True)
class Pauses:
    """When advice is not repeated: after a dismissal, after it was accepted, and while it is open (`keep_open`; else
    the newer one takes its place)."""

    dismissed_after_ns: int
    accepted_after_ns: int
    keep_open: bool


class AdviceStore:
    """The tables of advice and its orders."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def give(self, connection: Connection, given: Given) -> None:
        """Write advice and its orders."""
        draft = given.draft
        await connection.execute(
            _GIVE,
            given.advice_id,
            given.account_id,
            draft.kind,
            draft.subject,
            int(draft.severity),
            dict(draft.facts),
            list(draft.caveats),
            [[one.key, one.unit, one.before, one.after] for one in draft.what_if],
            _basis(given.basis),
            given.create_ns,
            given.expire_ns,
            given.settle_ns,
            given.sequence,
            given.cause_id,
            given.trace_id,
        )
        await write_orders(connection, given.advice_id, given.account_id, draft.orders)

    async def rests(self, account_id: int, draft: Draft, pauses: Pauses) -> bool:
        """Whether the same was answered lately or is open: then it is not said again."""
        found = await self._database.fetchval(
            _RESTS,
            account_id,
            draft.kind,
            draft.subject,
            pauses.dismissed_after_ns,
            pauses.accepted_after_ns,
            pauses.keep_open,
        )
        return found is not None

    async def get(self, advice_id: str) -> asyncpg.Record | None:
        """One piece of advice. No id holds a zero character, which the database refuses to look for."""
        if "\x00" in advice_id:
            return None
        return await self._database.fetchrow("SELECT * FROM positions.advice WHERE advice_id = $1", advice_id)

    async def page(
        self, account_id: int, *, open_only: bool, before: int, limit: int
    ) -> list[asyncpg.Record]:
        """Advice of an account with a number below `before`, newest first."""
        return await self._database.fetch(
            """
            SELECT * FROM positions.advice WHERE account_id = $1 AND number < $2 AND (state = 1 OR NOT $3)
             ORDER BY number DESC LIMIT $4
            """,
            account_id,
            before,
            open_only,
            limit,
        )

    async def orders(self, advice_ids: Sequence[str]) -> Mapping[str, list[asyncpg.Record]]:
        """Orders by advice, in their order."""
        rows = await self._database.fetch(
            "SELECT * FROM positions.advice_orders WHERE advice_id = ANY($1::text[]) ORDER BY advice_id, place",
            list(advice_ids),
        )
        found: dict[str, list[asyncpg.Record]] = {advice_id: [] for advice_id in advice_ids}
        for row in rows:
            found[row["advice_id"]].append(row)
        return found

    async def records(self, kinds: Sequence[str] | None = None) -> Mapping[str, Mapping[str, Any]]:
        """Counts by kind."""
        rows = await self._database.fetch(_RECORDS, None if kinds is None else list(kinds))
        return {row["kind"]: dict(row) for row in rows}

    async def answer(
        self, connection: Connection, advice_id: str, state: int, now_ns: int, reason: str = ""
    ) -> asyncpg.Record | None:
        """Accept or dismiss; None if it is not open any more."""
        return await connection.fetchrow(
            """
            UPDATE positions.advice SET state = $2, answer_time_ns = $3, dismiss_reason = $4
             WHERE advice_id = $1 AND state = 1 AND expire_time_ns > $3 RETURNING *
            """,
            advice_id,
            state,
            now_ns,
            reason,
        )

    async def due(self, now_ns: int, limit: int) -> list[asyncpg.Record]:
        """Advice whose horizon is over and that is not settled, with the lots suggested and traded."""
        return await self._database.fetch(_DUE, now_ns, limit)

    async def settle(self, advice_id: str, settled: Settled, taken: float, now_ns: int) -> None:
        """Write the outcome, once."""
        await self._database.execute(
            """
            UPDATE positions.advice
               SET settled = true, settled_ns = $2, taken_share = $3, benefit = $4, helped = $5
             WHERE advice_id = $1 AND NOT settled
            """,
            advice_id,
            now_ns,
            taken,
            settled.benefit,
            settled.helped,
        )


async def write_orders(
    connection: Connection, advice_id: str, account_id: int, orders: Iterable[Order]
) -> None:
    """Write the orders of advice, in place of those it had."""
    await connection.execute("DELETE FROM positions.advice_orders WHERE advice_id = $1", advice_id)
    rows: list[tuple[Any, ...]] = [
        (
            advice_id,
            place,
            account_id,
            client_order_id(advice_id, place),
            order.asset.instrument_id,
            order.asset.symbol,
            order.side,
            order.lots,
            order.price_ticks,
        )
        for place, order in enumerate(orders)
    ]
    await connection.executemany(_ORDER, rows)


async def stands(connection: Connection, alert_id: str) -> bool:
    """Whether an alert stands; it stays so until the end of the transaction. Ask before anything else is locked: the
    consumer takes alerts before advice too."""
    return await connection.fetchval(_STANDS, alert_id) is not None


async def supersede(connection: Connection, account_id: int, kind: str, subject: str) -> list[asyncpg.Record]:
    """Close the open advice of a kind on a subject, for newer takes its place."""
    condition = "account_id = $1 AND kind = $3 AND subject = $4"
    return await connection.fetch(_CLOSE.format(condition=condition), account_id, SUPERSEDED, kind, subject)


async def supersede_causes(connection: Connection, cause_ids: Sequence[str]) -> list[asyncpg.Record]:
    """Close the open advice of alerts that are over."""
    return await connection.fetch(
        _CLOSE.format(condition="cause_id = ANY($1::text[])"), list(cause_ids), SUPERSEDED
    )


async def expire(connection: Connection, now_ns: int) -> list[asyncpg.Record]:
    """Close the open advice whose time has passed."""
    return await connection.fetch(_CLOSE.format(condition="expire_time_ns <= $1"), now_ns, EXPIRED)


def read_basis(stored: Mapping[str, Any]) -> Basis:
    """The portfolio that advice was given for."""
    return Basis(
        {int(number): value for number, value in stored["values"].items()},
        {int(number): value for number, value in stored["trades"].items()},
        {int(number): value for number, value in stored["prices"].items()},
        stored["cash"],
        stored["costs"],
    )


def _basis(basis: Basis) -> dict[str, Any]:
    return {
        "values": {str(number): value for number, value in basis.values.items()},
        "trades": {str(number): value for number, value in basis.trades.items()},
        "prices": {str(number): value for number, value in basis.prices.items()},
        "cash": basis.cash,
        "costs": basis.costs,
    }
