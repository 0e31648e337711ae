"""Notices as they came."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from smartex_store import Connection

from notifications.domain.notice import Notice
from notifications.domain.supersede import Key, Newest

DUE = "notifications_due"
INBOX = "notifications_inbox"
TEMPLATES = "notifications_templates"
"""Channels of NOTIFY: deliveries may be due, inboxes changed (accounts joined by commas, or `*`), templates."""

_MOST_NAMED = 500

_INSERT = """
    INSERT INTO notifications.notices
           (notice_id, account_id, kind, urgency, cause_time, expire_time, supersede_key, withdrawn, card_id,
            trace_id, content, create_time)
    SELECT n.*, $12::timestamptz
      FROM unnest($1::text[], $2::bigint[], $3::text[], $4::smallint[], $5::timestamptz[], $6::timestamptz[],
                  $7::text[], $8::boolean[], $9::text[], $10::text[], $11::bytea[]) AS n
     ORDER BY 1
        ON CONFLICT (notice_id) DO NOTHING
 RETURNING notice_id
"""
_NEWEST = """
    SELECT DISTINCT ON (n.account_id, n.supersede_key)
           n.account_id, n.supersede_key, n.notice_id, n.cause_time, n.withdrawn
      FROM unnest($1::bigint[], $2::text[]) AS k (account_id, supersede_key)
      JOIN notifications.notices n USING (account_id, supersede_key)
     WHERE n.supersede_key <> '' AND n.notice_id <> ALL($3::text[])
     ORDER BY n.account_id, n.supersede_key, n.cause_time DESC, n.create_time DESC
"""


@dataclass(frozen=True)
class Taken:
    """A notice and its message as bytes."""

    notice: Notice
    content: bytes


async def insert(connection: Connection, taken: Sequence[Taken], now: datetime) -> set[str]:
    """Write notices; returns the ids of those that were not known."""
    notices = [one.notice for one in taken]
    rows = await connection.fetch(
        _INSERT,
        [notice.notice_id for notice in notices],
        [notice.account_id for notice in notices],
        [notice.kind for notice in notices],
        [int(notice.urgency) for notice in notices],
        [notice.cause_time for notice in notices],
        [notice.expire_time for notice in notices],
        [notice.supersede_key for notice in notices],
        [notice.withdrawn for notice in notices],
        [notice.card.id for notice in notices],
        [notice.trace_id for notice in notices],
        [one.content for one in taken],
        now,
    )
    return {row["notice_id"] for row in rows}


async def newest(connection: Connection, keys: Collection[Key], but: Collection[str]) -> dict[Key, Newest]:
    """Return the newest notice of each key, those named apart."""
    if not keys:
        return {}
    accounts, names = zip(*sorted(keys), strict=True)
    rows = await connection.fetch(_NEWEST, list(accounts), list(names), list(but))
    return {
        (row["account_id"], row["supersede_key"]): Newest(
            row["notice_id"], row["cause_time"], row["withdrawn"]
        )
        for row in rows
    }


async def tell(connection: Connection, accounts: Collection[int] = (), *, due: bool = False) -> None:
    """Wake the engine and the streams of inboxes once the transaction is committed."""
    if due:
        await connection.execute("SELECT pg_notify($1, '')", DUE)
    if accounts:
        named = ",".join(map(str, sorted(accounts))) if len(accounts) <= _MOST_NAMED else "*"
        await connection.execute("SELECT pg_notify($1, $2)", INBOX, named)
