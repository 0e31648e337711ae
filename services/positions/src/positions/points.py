"""Accounts in the past, as they were noted at the ends of trading days and now and then between."""

from __future__ import annotations

from typing import Any

from smartex_store import Database

from positions.reporting import Curve

_PAGE = """
    SELECT * FROM positions.points
     WHERE account_id = $1 AND (sequence, day_end) < ($2, $3) AND time_ns < $4 AND (day_end OR NOT $5)
     ORDER BY sequence DESC, day_end DESC LIMIT $6
"""
_CURVE = """
    SELECT growth, time_ns FROM positions.points WHERE account_id = $1 AND day_end
     ORDER BY sequence DESC LIMIT $2
"""
MOST_DAYS = 2000
LAST = 2**63 - 1


class Points:
    """Reads the table of points."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, account_id: int, before: tuple[int, bool], end_ns: int, *, days_only: bool, limit: int
    ) -> list[Any]:
        """Points of an account before a key (sequence, whether it is a day's end) and a time, newest first."""
        return await self._database.fetch(_PAGE, account_id, *before, end_ns, days_only, limit)

    async def curve(self, account_id: int) -> Curve:
        """Growth at the ends of trading days, oldest first."""
        rows = await self._database.fetch(_CURVE, account_id, MOST_DAYS)
        return Curve([row["growth"] for row in reversed(rows)], [row["time_ns"] for row in reversed(rows)])
