"""Inboxes: entries, their positions, and what is unread."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smartex_store import Connection, Database

from notifications.domain.supersede import Key
from notifications.store.notices import tell

_LOCK = """
    INSERT INTO notifications.inboxes AS i (account_id, position, unread)
    SELECT account_id, 0, 0 FROM unnest($1::bigint[]) AS a (account_id) ORDER BY account_id
        ON CONFLICT (account_id) DO UPDATE SET position = i.position
 RETURNING account_id, position, unread
"""
_SAVE = """
    UPDATE notifications.inboxes i SET position = c.position, unread = c.unread
      FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS c (account_id, position, unread)
     WHERE i.account_id = c.account_id
"""
_INSERT = """
    INSERT INTO notifications.inbox_entries
           (account_id, notice_id, arrival, position, title, body, superseded, supersede_key, create_time)
    SELECT e.account_id, e.notice_id, e.position, e.position, e.title, e.body, e.superseded, e.key, $7
      FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::boolean[], $8::text[])
           AS e (account_id, notice_id, position, title, body, superseded, key)
"""
_STANDING = """
    SELECT e.account_id, e.notice_id, e.read_time IS NULL AS unread
      FROM unnest($1::bigint[], $2::text[], $3::text[]) AS k (account_id, supersede_key, newest)
      JOIN notifications.inbox_entries e USING (account_id, supersede_key)
     WHERE NOT e.superseded AND e.supersede_key <> '' AND e.notice_id <> k.newest
     ORDER BY e.account_id, e.arrival
"""
_SUPERSEDE = """
    UPDATE notifications.inbox_entries e SET superseded = true, position = c.position
      FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS c (account_id, notice_id, position)
     WHERE e.account_id = c.account_id AND e.notice_id = c.notice_id
"""
_TO_READ = """
    SELECT notice_id, superseded FROM notifications.inbox_entries
     WHERE account_id = $1 AND read_time IS NULL AND (notice_id = ANY($2::text[]) OR arrival <= $3)
     ORDER BY arrival
"""
_READ = """
    UPDATE notifications.inbox_entries e SET read_time = $4, position = c.position
      FROM unnest($2::text[], $3::bigint[]) AS c (notice_id, position)
     WHERE e.account_id = $1 AND e.notice_id = c.notice_id
"""
_COLUMNS = """
    e.position, e.arrival, e.notice_id, e.title, e.body, e.create_time, e.read_time, e.superseded,
    n.kind, n.urgency, n.content, n.expire_time, n.trace_id
"""
_PAGE = f"""
    SELECT {_COLUMNS} FROM notifications.inbox_entries e JOIN notifications.notices n USING (notice_id)
     WHERE e.account_id = $1 AND e.arrival < $2 AND (NOT $3 OR (e.read_time IS NULL AND NOT e.superseded))
     ORDER BY e.arrival DESC LIMIT $4
"""
_SINCE = f"""
    SELECT {_COLUMNS} FROM notifications.inbox_entries e JOIN notifications.notices n USING (notice_id)
     WHERE e.account_id = $1 AND e.position > $2 ORDER BY e.position LIMIT $3
"""


@dataclass
class Counter:
    """Where an inbox stands while its row is locked."""

    position: int
    unread: int

    def next(self) -> int:
        """Return the position of another change."""
        self.position += 1
        return self.position


@dataclass(frozen=True)
class Entry:
    """A new entry."""

    account_id: int
    notice_id: str
    position: int
    title: str
    body: str
    superseded: bool
    supersede_key: str


async def lock(connection: Connection, accounts: Collection[int]) -> dict[int, Counter]:
    """Lock inboxes, in the order of their accounts, for the rest of the transaction."""
    rows = await connection.fetch(_LOCK, sorted(accounts))
    return {row["account_id"]: Counter(row["position"], row["unread"]) for row in rows}


async def save(connection: Connection, counters: dict[int, Counter]) -> None:
    """Write where locked inboxes stand now."""
    await connection.execute(
        _SAVE,
        list(counters),
        [counter.position for counter in counters.values()],
        [counter.unread for counter in counters.values()],
    )


async def insert(connection: Connection, entries: Sequence[Entry], now: datetime) -> None:
    """Add entries."""
    if not entries:
        return
    await connection.execute(
        _INSERT,
        [entry.account_id for entry in entries],
        [entry.notice_id for entry in entries],
        [entry.position for entry in entries],
        [entry.title for entry in entries],
        [entry.body for entry in entries],
        [entry.superseded for entry in entries],
        now,
        [entry.supersede_key for entry in entries],
    )


async def supersede(
    connection: Connection, counters: dict[int, Counter], newest: Iterable[tuple[Key, str]]
) -> None:
    """Mark the entries of keys as superseded, but for the newest notice of each; their inboxes are locked."""
    keys = [(account, key, notice_id) for (account, key), notice_id in newest]
    if not keys:
        return
    accounts, names, newest_ids = (list(column) for column in zip(*keys, strict=True))
    rows = await connection.fetch(_STANDING, accounts, names, newest_ids)
    changes = []
    for row in rows:
        counter = counters[row["account_id"]]
        counter.unread -= int(row["unread"])
        changes.append((row["account_id"], row["notice_id"], counter.next()))
    if changes:
        await connection.execute(_SUPERSEDE, *(list(column) for column in zip(*changes, strict=True)))


class Inbox:
    """Reads inboxes, and marks what was read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, account_id: int, *, before: int, limit: int, unread_only: bool) -> list[Any]:
        """Entries that arrived before a position, newest first."""
        return await self._database.fetch(_PAGE, account_id, before, unread_only, limit)

    async def since(self, account_id: int, position: int, limit: int) -> list[Any]:
        """Entries that changed after a position, in the order of their changes."""
        return await self._database.fetch(_SINCE, account_id, position, limit)

    async def standing(self, account_id: int) -> Counter:
        """Where an inbox stands."""
        row = await self._database.fetchrow(
            "SELECT position, unread FROM notifications.inboxes WHERE account_id = $1", account_id
        )
        return Counter(row["position"], row["unread"]) if row is not None else Counter(0, 0)

    async def mark_read(
        self, account_id: int, notice_ids: Sequence[str], up_to_position: int, now: datetime
    ) -> int:
        """Mark entries as read, those named and those that arrived up to a position; returns what is unread."""
        async with self._database.transaction() as connection:
            counters = await lock(connection, [account_id])
            counter = counters[account_id]
            rows = await connection.fetch(_TO_READ, account_id, list(notice_ids), up_to_position)
            if rows:
                ids = [row["notice_id"] for row in rows]
                await connection.execute(_READ, account_id, ids, [counter.next() for _ in rows], now)
                counter.unread -= sum(not row["superseded"] for row in rows)
                await save(connection, counters)
                await tell(connection, [account_id])
        return counter.unread
