"""SQL of the queries: newest first, by key, one index each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
from smartex_chassis import Unavailable
from smartex_store import Database

_LARGEST = 2**63 - 1
_FIRST_LOOK_SECONDS = 0.005
_LONGEST_LOOK_SECONDS = 0.1
_FIRST_SECONDS = 8.0

_FILL_COLUMNS = """
    SELECT sequence, time_ns, instrument_id, price_ticks, quantity_lots, {side} AS side,
           {role}_order_id AS order_id, {role}_client_order_id AS client_order_id,
           {role}_fee_micros AS fee_micros, {tax} AS tax_micros, {part} AS part
      FROM matching.trades
     WHERE {role}_account_id = $1 AND (sequence, {part}) < ($2::bigint, $3::int)
"""
MAKER, TAKER = 1, 2
_MAKER_FILLS = _FILL_COLUMNS.format(
    role="maker", side="3 - taker_side", tax="CASE WHEN taker_side = 1 THEN tax_micros ELSE 0 END", part=MAKER
)
_TAKER_FILLS = _FILL_COLUMNS.format(
    role="taker", side="taker_side", tax="CASE WHEN taker_side = 2 THEN tax_micros ELSE 0 END", part=TAKER
)

DEPOSIT, WITHDRAWAL, TRADE, FEE, TAX = 1, 2, 3, 4, 5
PARTS = range(10 * TAKER + 5)
"""What `part` can be in the key of a fill or of a movement."""
# The ledger is no table: a movement follows from a trade or a transfer. `part` orders those of one event, so
# that (sequence, part) is a key: 10 times the role in a trade, and the kind of entry.
_LEDGER_OF_TRADES = """
    SELECT f.sequence, f.time_ns, e.kind, f.instrument_id, f.{role}_order_id AS order_id,
           0::bigint AS request_id, e.cash, e.lots, e.is_cash, e.part
      FROM (SELECT *, {buyer} AS buys FROM matching.trades
             WHERE {role}_account_id = $1 AND sequence <= $2 AND shard = $5
               AND ($6::int IS NULL OR instrument_id = $6)
               AND ($8::int[] IS NULL OR instrument_id = ANY($8))
             ORDER BY sequence DESC LIMIT $4 + 1) f
     CROSS JOIN LATERAL (VALUES
           (3, CASE WHEN buys THEN -1 ELSE 1 END * price_ticks::numeric * quantity_lots, 0::bigint, TRUE,
            {number}0 + 4),
           (3, 0, CASE WHEN buys THEN quantity_lots ELSE -quantity_lots END, FALSE, {number}0 + 3),
           (4, -{role}_fee_micros, 0, TRUE, {number}0 + 2),
           (5, CASE WHEN buys THEN 0 ELSE -tax_micros END, 0, TRUE, {number}0 + 1)
         ) AS e (kind, cash, lots, is_cash, part)
     WHERE (f.sequence, e.part) < ($2::bigint, $3::int) AND (e.cash <> 0 OR e.lots <> 0)
       AND ($8::int[] IS NULL OR e.is_cash)
"""
_LEDGER = f"""
    SELECT * FROM (
        ({_LEDGER_OF_TRADES.format(role="taker", number=TAKER, buyer="taker_side = 1")})
        UNION ALL
        ({_LEDGER_OF_TRADES.format(role="maker", number=MAKER, buyer="taker_side = 2")})
        UNION ALL
        (SELECT sequence, time_ns, CASE WHEN amount_micros + quantity_lots > 0 THEN 1 ELSE 2 END,
                CASE WHEN amount_micros <> 0 THEN -currency_id - 1 ELSE instrument_id END, 0, request_id,
                amount_micros, quantity_lots, amount_micros <> 0, 0
           FROM matching.transfers
          WHERE account_id = $1 AND (sequence, 0) < ($2::bigint, $3::int) AND shard = $5
            AND ($6::int IS NULL OR instrument_id = $6)
            AND ($7::int[] IS NULL OR (amount_micros <> 0 AND currency_id = ANY($7)))
          ORDER BY sequence DESC LIMIT $4)
    ) entries
    ORDER BY sequence DESC, part DESC LIMIT $4
"""


@dataclass(frozen=True)
class OrderFilter:
    """What ListOrders asks for. None: whatever."""

    instrument_id: int | None = None
    side: int | None = None
    statuses: tuple[int, ...] = ()
    start_ns: int | None = None
    end_ns: int | None = None


@dataclass(frozen=True)
class FillFilter:
    """What ListFills asks for. None: whatever."""

    order_id: int | None = None
    instrument_id: int | None = None
    start_ns: int | None = None
    end_ns: int | None = None


class _Conditions:
    """Conditions of a WHERE with their arguments."""

    def __init__(self, *arguments: object) -> None:
        self.arguments: list[object] = list(arguments)
        self.text = ""

    def add(self, condition: str, value: object) -> None:
        """AND a condition with one argument, written {}; nothing if the value is None."""
        if value is not None:
            self.arguments.append(value)
            self.text += f" AND {condition.format(f'${len(self.arguments)}')}"


class Queries:
    """Reads of one shard's history. `head`: sequence of the market's last event."""

    def __init__(
        self, database: Database, shard: int, wait_seconds: float, head: Callable[[], int] = lambda: 0
    ) -> None:
        self._database = database
        self._shard = shard
        self._wait_seconds = wait_seconds
        self._head = head
        self._follows = False

    async def position(self, at_least: int = 0) -> int:
        """Sequence up to which the history goes; waits a little for `at_least`, else Unavailable."""
        if not self._follows:
            await self._wait_for_the_first()
        deadline = time.monotonic() + self._wait_seconds
        pause = _FIRST_LOOK_SECONDS
        while True:
            sequence = await self.reached()
            if sequence >= at_least:
                return sequence
            if time.monotonic() + pause > deadline:
                raise Unavailable(
                    f"the history goes up to {sequence}, {at_least} was asked for: try again in a moment",
                    reason="HISTORY_BEHIND",
                    metadata={"sequence": sequence, "min_sequence": at_least},
                    retry_after=timedelta(milliseconds=500),
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_LOOK_SECONDS)

    async def _wait_for_the_first(self) -> None:
        """Right after a start the process that writes the history still loads: who asks then would miss what they have
        just done. Only one wait, however it ends: a history that is far behind shall be told as it is."""
        head, deadline = self._head(), time.monotonic() + _FIRST_SECONDS
        while not self._follows and time.monotonic() < deadline and await self.reached() < head:
            await asyncio.sleep(_LONGEST_LOOK_SECONDS)
        self._follows = True

    async def reached(self) -> int:
        """Sequence up to which the history goes now."""
        found = await self._database.fetchval(
            "SELECT sequence FROM matching.projection WHERE shard = $1", self._shard
        )
        return int(found or 0)

    async def order(self, account_id: int, order_id: int, client_order_id: int) -> asyncpg.Record | None:
        """The account's order by either number; of a client number used again, the last."""
        if order_id:
            return await self._database.fetchrow(
                """
                SELECT * FROM matching.orders
                 WHERE order_id = $1 AND order_id > 0 AND account_id = $2 AND shard = $3
                """,
                order_id,
                account_id,
                self._shard,
            )
        return await self._database.fetchrow(
            """
            SELECT * FROM matching.orders WHERE account_id = $1 AND client_order_id = $2 AND shard = $3
             ORDER BY order_id > 0 DESC, created_sequence DESC LIMIT 1
            """,
            account_id,
            client_order_id,
            self._shard,
        )

    async def orders(
        self, account_id: int, wanted: OrderFilter, before: int | None, limit: int
    ) -> Sequence[asyncpg.Record]:
        """The account's orders with a created sequence below `before`."""
        where = _Conditions(account_id, _LARGEST if before is None else before, limit, self._shard)
        where.add("instrument_id = {}", wanted.instrument_id)
        where.add("side = {}", wanted.side)
        where.add("create_time_ns >= {}", wanted.start_ns)
        where.add("create_time_ns < {}", wanted.end_ns)
        if wanted.statuses:
            where.add("status = ANY({}::smallint[])", list(wanted.statuses))
            if set(wanted.statuses) <= {1, 2}:
                where.text += " AND open"  # there is an index of the open ones
        return await self._database.fetch(
            f"""
            SELECT * FROM matching.orders
             WHERE account_id = $1 AND created_sequence < $2 AND shard = $4 {where.text}
             ORDER BY created_sequence DESC LIMIT $3
            """,
            *where.arguments,
        )

    async def fills(
        self, account_id: int, wanted: FillFilter, before: tuple[int, int] | None, limit: int
    ) -> Sequence[asyncpg.Record]:
        """The account's fills with a key (trade, part) below `before`; both parts of a trade with itself."""
        where = _Conditions(account_id, *(before or (_LARGEST, 0)), limit, self._shard)
        where.add("instrument_id = {}", wanted.instrument_id)
        where.add("time_ns >= {}", wanted.start_ns)
        where.add("time_ns < {}", wanted.end_ns)
        makers, takers = _MAKER_FILLS, _TAKER_FILLS
        if wanted.order_id is not None:
            where.arguments.append(wanted.order_id)
            makers += f" AND maker_order_id = ${len(where.arguments)}"
            takers += f" AND taker_order_id = ${len(where.arguments)}"
        return await self._database.fetch(_newest_of((makers, takers), where), *where.arguments)

    async def ledger(
        self,
        account_id: int,
        currency: tuple[Sequence[int], Sequence[int]] | None,
        instrument_id: int | None,
        before: tuple[int, int] | None,
        limit: int,
    ) -> Sequence[asyncpg.Record]:
        """Movements with a key (sequence, part) below `before`.

        `currency`: numbers of a currency and of the instruments that trade in it, to get only its cash.
        Cash of trades is in ticks × lots (`scaled`), other cash in micros.
        """
        sequence, part = before or (_LARGEST, 0)
        return await self._database.fetch(
            _LEDGER,
            account_id,
            sequence,
            part,
            limit,
            self._shard,
            instrument_id,
            list(currency[0]) if currency else None,
            list(currency[1]) if currency else None,
        )

    async def transfer(self, account_id: int, request_id: int, sequence: int) -> tuple[int, int, int] | None:
        """The account's last deposit or withdrawal of that number: micros and lots, signed, and the number of the
        currency. None if the history has none and holds `sequence`; Unavailable if it does not come so far in time."""
        known = await self._transfer(account_id, request_id)
        if known is None:
            await self.position(sequence)
            known = await self._transfer(account_id, request_id)
        return known

    async def _transfer(self, account_id: int, request_id: int) -> tuple[int, int, int] | None:
        row = await self._database.fetchrow(
            """
            SELECT amount_micros, quantity_lots, currency_id FROM matching.transfers
             WHERE account_id = $1 AND request_id = $2 AND shard = $3
             ORDER BY sequence DESC LIMIT 1
            """,
            account_id,
            request_id,
            self._shard,
        )
        return None if row is None else (row["amount_micros"], row["quantity_lots"], row["currency_id"])


def _newest_of(selects: Sequence[str], where: _Conditions) -> str:
    """Both selects merged; each gives no more than a page, so the database reads no further."""
    parts = [
        f"({select} AND shard = $5 {where.text} ORDER BY sequence DESC, part DESC LIMIT $4)"
        for select in selects
    ]
    return f"{' UNION ALL '.join(parts)} ORDER BY sequence DESC, part DESC LIMIT $4"
