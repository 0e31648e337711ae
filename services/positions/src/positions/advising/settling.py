"""Settling advice once its horizon is over: what its trades would have been worth, and whether it helped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
from smartex_store import Database

from positions.accounts import Accounts
from positions.advising.store import AdviceStore, read_basis
from positions.domain.advice.habits import better
from positions.domain.habits import Harm
from positions.domain.outcomes import Basis, Settled, settle, taken_share
from positions.prices import Prices

_BATCH = 200

_EQUIVALENT = """
    SELECT coalesce(sum(least(o.quantity_lots, f.lots)), 0)::bigint
      FROM (SELECT instrument_id, side, sum(quantity_lots) AS quantity_lots FROM positions.advice_orders
             WHERE advice_id = $1 GROUP BY 1, 2) o
      JOIN LATERAL (SELECT coalesce(sum(quantity_lots), 0) AS lots FROM positions.fills
                     WHERE account_id = $2 AND instrument_id = o.instrument_id AND side = o.side
                       AND time_ns >= $3 AND time_ns < $4) f ON true
"""


class Settling:
    """Settles what is due, a batch at a time."""

    def __init__(
        self,
        database: Database,
        store: AdviceStore,
        prices: Prices,
        accounts: Accounts,
        clock: Callable[[], int],
    ) -> None:
        self._database = database
        self._store = store
        self._prices = prices
        self._accounts = accounts
        self._clock = clock

    async def settle_due(self) -> int:
        """Settle a batch; returns how many there were."""
        rows = await self._store.due(self._clock(), _BATCH)
        for row in rows:
            outcome = await self._outcome(row)
            await self._store.settle(row["advice_id"], outcome, await self._taken(row), self._clock())
        return len(rows)

    async def _outcome(self, row: asyncpg.Record) -> Settled:
        if row["kind"].startswith("habit_"):
            return await self._habit_outcome(row)
        basis = read_basis(row["basis"])
        return settle(row["kind"], basis, await self._paths(row, basis))

    async def _habit_outcome(self, row: asyncpg.Record) -> Settled:
        """Whether the habit's figure of now lies further from harm than the one that was told."""
        now = await self._database.fetchval(
            "SELECT value FROM positions.habit_figures WHERE account_id = $1 AND key = $2",
            row["account_id"],
            row["subject"],
        )
        before = float(row["facts"]["value"])
        return Settled(0.0, now is not None and better(before, float(now), Harm.ABOVE, None))

    async def _paths(self, row: asyncpg.Record, basis: Basis) -> Mapping[int, Sequence[float]]:
        """Each instrument's price when the advice was given, and its closes over the horizon; the mark of now if the
        last day has no close yet."""
        given = _day(row["create_time_ns"])
        closes = await self._prices.closes(sorted(basis.prices), since=given)
        last = _day(row["settle_time_ns"])
        kept = [at for at, day in enumerate(closes.days) if given < day <= last]
        marks = {asset.instrument_id: asset.unit_price for asset in self._accounts.listed()}
        paths = {}
        for number, price in basis.prices.items():
            column = closes.prices[kept, closes.instrument_ids.index(number)]
            paths[number] = _filled(price, column.tolist(), marks.get(number, price))
        return paths

    async def _taken(self, row: asyncpg.Record) -> float:
        """Lots traded of the orders, or as much that the account traded alike while the advice was open."""
        alike = await self._database.fetchval(
            _EQUIVALENT, row["advice_id"], row["account_id"], row["create_time_ns"], row["expire_time_ns"]
        )
        return taken_share(row["suggested"], max(row["traded"], alike))


def _filled(first: float, closes: Sequence[Any], mark: float) -> list[float]:
    """A path without holes: a day without a close keeps the price before it; without any day, the mark of now."""
    path = [first]
    for close in closes:
        path.append(close if close == close else path[-1])
    return path if len(path) > 1 else [first, mark]


def _day(time_ns: int) -> Any:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).date()
