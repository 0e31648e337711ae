"""The morning's digest: a notice for each account with holdings, once a day, at a time of the venue's zone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import numpy as np
from smartex.notifications.v1.notice_pb2 import Notice
from smartex_store import Database

from positions import notices, outbox
from positions.domain.alerts.measure import look_closely
from positions.domain.book import Book
from positions.domain.book.valuing import Freshness
from positions.notices import Worth

CHUNK = 1000

_COUNTS = """
    SELECT a.account_id,
           (SELECT count(*) FROM positions.alerts WHERE account_id = a.account_id AND state <> 3) AS alerts,
           (SELECT count(*) FROM positions.advice WHERE account_id = a.account_id AND state = 1) AS advice
      FROM unnest($1::bigint[]) AS a (account_id)
"""


class Digest:
    """Sends the digest. Asking again on the same day sends nothing twice."""

    def __init__(
        self,
        database: Database,
        book: Book,
        freshness: Callable[[], Freshness],
        at: time,
        zone: ZoneInfo,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._book = book
        self._freshness = freshness
        self._at = at
        self._zone = zone
        self._wake = wake
        self._sent: date | None = None

    async def send_due(self) -> int:
        """Send today's if its time has come; returns to how many accounts."""
        now_ns = self._freshness().now_ns
        now = datetime.fromtimestamp(now_ns / 1e9, UTC).astimezone(self._zone)
        if now.time() < self._at or self._sent == now.date():
            return 0
        sent = 0
        for first in range(0, self._book.accounts, CHUNK):
            sent += await self._send(first, now.date(), now_ns)
        self._sent = now.date()
        return sent

    async def _send(self, first: int, today: date, now_ns: int) -> int:
        places = np.arange(first, min(first + CHUNK, self._book.accounts))
        freshness = self._freshness()
        figures, rows = look_closely(self._book, places, freshness)
        held = np.bincount(rows["row"], minlength=len(places))
        wanted = {int(row["account_id"]): at for at, row in enumerate(figures) if held[at]}
        async with self._database.transaction() as connection:
            told_rows = await connection.fetch(
                """
                INSERT INTO positions.digests (account_id, date) SELECT unnest($1::bigint[]), $2
                    ON CONFLICT DO NOTHING RETURNING account_id
                """,
                list(wanted),
                today,
            )
            new = [row["account_id"] for row in told_rows]
            counts = {row["account_id"]: row for row in await connection.fetch(_COUNTS, new)}
            told = [
                self._notice(
                    figures[wanted[number]], int(held[wanted[number]]), dict(counts[number]), today, now_ns
                )
                for number in new
            ]
            await outbox.put(connection, told)
        self._wake()
        return len(new)

    def _notice(
        self, figures: np.void, count: int, counts: Mapping[str, int], today: date, now_ns: int
    ) -> Notice:
        told = {"holdings": count, "standing_alerts": counts["alerts"], "open_advice": counts["advice"]}
        return notices.of_digest(
            int(figures["account_id"]),
            today.isoformat(),
            Worth(self._book.listing.base, float(figures["equity"])),
            float(figures["profit_today"]),
            told,
            now_ns,
        )
