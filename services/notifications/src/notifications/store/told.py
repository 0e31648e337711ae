"""Deliveries as their readers see them, with every attempt; and dead ones sent again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum, auto
from typing import Any

from smartex_store import Database

from notifications.domain.notice import State
from notifications.domain.sending import ChannelKind
from notifications.store.notices import tell

_NEWER = """
    SELECT 1 FROM notifications.notices n JOIN notifications.notices own ON own.notice_id = $1
     WHERE n.account_id = own.account_id AND n.supersede_key = own.supersede_key AND own.supersede_key <> ''
       AND n.notice_id <> own.notice_id AND n.cause_time > own.cause_time LIMIT 1
"""
_REPLAY = """
    UPDATE notifications.deliveries
       SET state = 1, state_reason = 'REPLAYED', due_time = $2, tries = 0, maybe_sent = false,
           first_attempt_time = NULL, digest_of = NULL, gathered = false
     WHERE delivery_id = $1 RETURNING *
"""
_ATTEMPTS = (
    "SELECT * FROM notifications.attempts WHERE delivery_id = ANY($1::text[]) ORDER BY delivery_id, number"
)
_WAITING = """
    SELECT channel, count(*) AS waiting FROM notifications.deliveries WHERE state = 1 GROUP BY channel
"""
_ATTEMPTED = """
    SELECT channel, count(*) FILTER (WHERE outcome = 'SENT') AS sent,
           count(*) FILTER (WHERE outcome NOT IN ('SENT', '')) AS failed
      FROM notifications.attempts WHERE time > $1 GROUP BY channel
"""


class NotReplayed(Enum):
    """Why a delivery is not sent again."""

    UNKNOWN = auto()
    NOT_DEAD = auto()
    EXPIRED = auto()
    SUPERSEDED = auto()


class DeliveryReader:
    """Reads deliveries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, account_id: int, notice_id: str, state: int, *, before: int, limit: int
    ) -> list[Any]:
        """Deliveries below a number, newest first; 0 or the empty text filters nothing."""
        conditions, arguments = ["number < $1"], [before, limit]
        for column, value in (("account_id", account_id), ("notice_id", notice_id), ("state", state)):
            if value:
                arguments.append(value)  # type: ignore[arg-type]
                conditions.append(f"{column} = ${len(arguments)}")
        return await self._database.fetch(
            f"SELECT * FROM notifications.deliveries WHERE {' AND '.join(conditions)} ORDER BY number DESC LIMIT $2",
            *arguments,
        )

    async def attempts(self, delivery_ids: Sequence[str]) -> dict[str, list[Any]]:
        """The attempts of deliveries, by delivery, the first one first."""
        rows = await self._database.fetch(_ATTEMPTS, list(delivery_ids))
        found: dict[str, list[Any]] = {}
        for row in rows:
            found.setdefault(row["delivery_id"], []).append(row)
        return found

    async def replay(self, delivery_id: str, now: datetime) -> tuple[Any, list[Any]] | NotReplayed:
        """Send a dead delivery again, under its own id.

        Returns the delivery and its attempts as this left them: it may be on its way a moment later.
        """
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(
                "SELECT notice_id, state, expire_time FROM notifications.deliveries WHERE delivery_id = $1 FOR UPDATE",
                delivery_id,
            )
            if row is None:
                return NotReplayed.UNKNOWN
            if row["state"] != State.DEAD:
                return NotReplayed.NOT_DEAD
            if row["expire_time"] <= now:
                return NotReplayed.EXPIRED
            if await connection.fetchval(_NEWER, row["notice_id"]):
                return NotReplayed.SUPERSEDED
            replayed = await connection.fetchrow(_REPLAY, delivery_id, now)
            attempts = await connection.fetch(_ATTEMPTS, [delivery_id])
            await tell(connection, due=True)
        return replayed, attempts

    async def channel_counts(self, since: datetime) -> dict[ChannelKind, dict[str, int]]:
        """What waits on each channel, and what was sent and failed since a time."""
        counts: dict[ChannelKind, dict[str, int]] = {}
        for row in await self._database.fetch(_WAITING):
            counts.setdefault(ChannelKind(row["channel"]), {})["waiting"] = row["waiting"]
        for row in await self._database.fetch(_ATTEMPTED, since):
            own = counts.setdefault(ChannelKind(row["channel"]), {})
            own |= {"sent_last_hour": row["sent"], "failed_last_hour": row["failed"]}
        return counts
