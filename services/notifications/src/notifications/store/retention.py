"""Old notices, and all that hangs on them: inbox entries, deliveries, attempts."""

from __future__ import annotations

from datetime import datetime

from smartex_store import Database

from notifications.store import inbox

# By the delivery's state: what waits (1) or is being sent (2) keeps its notice, and so does what could be replayed.
_OLD = """
    SELECT n.notice_id, n.account_id FROM notifications.notices n
     WHERE n.create_time < $1 AND n.cause_time < $1 AND n.expire_time < $2
       AND NOT EXISTS (SELECT FROM notifications.deliveries d
                        WHERE d.notice_id = n.notice_id AND d.state IN (1, 2))
     ORDER BY n.create_time LIMIT $3
       FOR UPDATE OF n SKIP LOCKED
"""
_DELETE = """
    WITH gone AS (
        DELETE FROM notifications.deliveries WHERE notice_id = ANY($1::text[]) RETURNING delivery_id),
    attempts AS (
        DELETE FROM notifications.attempts a USING gone g WHERE a.delivery_id = g.delivery_id)
    DELETE FROM notifications.notices WHERE notice_id = ANY($1::text[])
"""
_DELETE_ENTRIES = """
    WITH gone AS (
        DELETE FROM notifications.inbox_entries e
         USING unnest($1::bigint[], $2::text[]) AS o (account_id, notice_id)
         WHERE e.account_id = o.account_id AND e.notice_id = o.notice_id
     RETURNING e.account_id, e.read_time IS NULL AND NOT e.superseded AS unread)
    SELECT account_id, count(*) AS unread FROM gone WHERE unread GROUP BY account_id
"""


async def forget(database: Database, before: datetime, now: datetime, limit: int) -> int:
    """Delete up to `limit` notices that came before a time, the oldest first; returns how many."""
    async with database.transaction() as connection:
        rows = await connection.fetch(_OLD, before, now, limit)
        if not rows:
            return 0
        ids, accounts = [row["notice_id"] for row in rows], [row["account_id"] for row in rows]
        counters = await inbox.lock(connection, set(accounts))
        for row in await connection.fetch(_DELETE_ENTRIES, accounts, ids):
            counters[row["account_id"]].unread -= row["unread"]
        await inbox.save(connection, counters)
        await connection.execute(_DELETE, ids)
    return len(rows)
