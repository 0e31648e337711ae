"""SQL of conversations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
from smartex_store import Connection, Database

from notifications.domain.talk import Caller, Party, ProposalState

SIGNAL = "notifications_conversations"
"""Channel of NOTIFY: something was said."""

_SEEN = """
    (t.account_id = $1 OR (t.trader = $2 AND EXISTS (
        SELECT FROM notifications.mandates m
         WHERE m.account_id = t.account_id AND m.trader = t.trader AND m.revoke_time IS NULL)))
"""
"""Threads that a caller ($1 account or null, $2 trader or null) may see."""


class TalkStore:
    """Reads; everything that changes takes a connection."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def mandates(self, caller: Caller) -> Sequence[asyncpg.Record]:
        """Mandates given by the account or to the trader, newest first."""
        return await self.database.fetch(
            "SELECT * FROM notifications.mandates WHERE account_id = $1 OR trader = $2 ORDER BY number DESC LIMIT 1000",
            caller.account_id,
            caller.trader,
        )

    async def stands(self, account_id: int, trader: str) -> bool:
        """Whether a mandate stands."""
        found = await self.database.fetchval(
            "SELECT true FROM notifications.mandates WHERE account_id = $1 AND trader = $2 AND revoke_time IS NULL",
            account_id,
            trader,
        )
        return found is not None

    async def thread(self, caller: Caller, thread_id: str) -> asyncpg.Record | None:
        """A thread that the caller may see. No id holds a zero character, which the database refuses to look for."""
        if "\x00" in thread_id:
            return None
        return await self.database.fetchrow(
            f"SELECT * FROM notifications.threads t WHERE t.thread_id = $3 AND {_SEEN}",
            caller.account_id,
            caller.trader,
            thread_id,
        )

    async def threads(self, caller: Caller, before: int, limit: int) -> Sequence[asyncpg.Record]:
        """Threads that the caller may see, last active first, with how many messages of others are unread."""
        return await self.database.fetch(
            f"""
            SELECT t.*, (
                SELECT count(*) FROM notifications.messages m
                 WHERE m.thread_id = t.thread_id AND m.author <> p.party
                   AND m.position > coalesce((SELECT r.position FROM notifications.thread_reads r
                                               WHERE r.thread_id = t.thread_id AND r.party = p.party), 0)) AS unread
              FROM notifications.threads t
             CROSS JOIN LATERAL (SELECT CASE WHEN t.account_id = $1 THEN 1 ELSE 2 END AS party) p
             WHERE {_SEEN} AND t.position < $3 ORDER BY t.position DESC LIMIT $4
            """,
            caller.account_id,
            caller.trader,
            before,
            limit,
        )

    async def messages(self, thread_id: str, before: int, limit: int) -> Sequence[asyncpg.Record]:
        """Messages of a thread with positions below `before`, newest first."""
        return await self.database.fetch(
            f"{_MESSAGES} WHERE m.thread_id = $1 AND m.position < $2 ORDER BY m.position DESC LIMIT $3",
            thread_id,
            before,
            limit,
        )

    async def after(self, caller: Caller, position: int, limit: int) -> Sequence[asyncpg.Record]:
        """Messages of all threads that the caller may see, after a position, oldest first."""
        return await self.database.fetch(
            f"""
            {_MESSAGES} JOIN notifications.threads t ON t.thread_id = m.thread_id
             WHERE m.position > $3 AND {_SEEN} ORDER BY m.position LIMIT $4
            """,
            caller.account_id,
            caller.trader,
            position,
            limit,
        )

    async def search(
        self, caller: Caller, grams: Sequence[str], patterns: Sequence[str], before: int, limit: int
    ) -> Sequence[asyncpg.Record]:
        """Messages that hold all pairs of characters, and then truly the words, newest first."""
        return await self.database.fetch(
            f"""
            {_MESSAGES} JOIN notifications.threads t ON t.thread_id = m.thread_id
             WHERE {_SEEN} AND m.grams @> $3::text[]
               AND lower(normalize(m.text, NFKC)) LIKE ALL ($4::text[]) AND m.position < $5
             ORDER BY m.position DESC LIMIT $6
            """,
            caller.account_id,
            caller.trader,
            list(grams),
            list(patterns),
            before,
            limit,
        )

    async def position(self) -> int:
        """Position of the last message."""
        return int(await self.database.fetchval("SELECT position FROM notifications.talk_head"))

    async def proposal(self, proposal_id: str) -> asyncpg.Record | None:
        """A proposal, whoever's it is."""
        if "\x00" in proposal_id:
            return None
        return await self.database.fetchrow(
            "SELECT * FROM notifications.proposals WHERE proposal_id = $1", proposal_id
        )

    async def open_proposals(self, account_id: int, now: datetime) -> Sequence[asyncpg.Record]:
        """Proposals that an account may answer, newest first."""
        return await self.database.fetch(
            """
            SELECT * FROM notifications.proposals
             WHERE account_id = $1 AND state = 1 AND expire_time > $2 ORDER BY number DESC
            """,
            account_id,
            now,
        )

    async def numbered(self, account_id: int, number: int) -> asyncpg.Record | None:
        """An account's proposal by the number that replies use."""
        return await self.database.fetchrow(
            "SELECT * FROM notifications.proposals WHERE account_id = $1 AND number = $2", account_id, number
        )

    async def unsettled(self) -> Sequence[asyncpg.Record]:
        """Accepted proposals whose orders' outcome is not written."""
        return await self.database.fetch(
            "SELECT * FROM notifications.proposals WHERE state = 2 AND results IS NULL ORDER BY answer_time LIMIT 100"
        )

    async def newest_thread(self, account_id: int) -> asyncpg.Record | None:
        """The thread of an account that was last active and whose trader still has a mandate."""
        return await self.database.fetchrow(
            """
            SELECT t.* FROM notifications.threads t JOIN notifications.mandates m USING (account_id, trader)
             WHERE t.account_id = $1 AND m.revoke_time IS NULL ORDER BY t.position DESC LIMIT 1
            """,
            account_id,
        )


_MESSAGES = """
    SELECT m.position, m.thread_id, m.author, m.origin, m.text, m.card, m.create_time, p.proposal_id, p.content,
           p.state, p.results, p.expire_time, p.number
      FROM notifications.messages m LEFT JOIN notifications.proposals p ON p.proposal_id = m.proposal_id
"""


async def grant(connection: Connection, account_id: int, trader: str, now: datetime) -> Any:
    """Let a mandate stand; the one that stands already, if there is one."""
    await connection.execute(
        """
        INSERT INTO notifications.mandates (account_id, trader, grant_time) VALUES ($1, $2, $3)
            ON CONFLICT (account_id, trader) WHERE revoke_time IS NULL DO NOTHING
        """,
        account_id,
        trader,
        now,
    )
    return await connection.fetchrow(
        "SELECT * FROM notifications.mandates WHERE account_id = $1 AND trader = $2 AND revoke_time IS NULL",
        account_id,
        trader,
    )


async def revoke(connection: Connection, account_id: int, trader: str, now: datetime) -> Any:
    """End a mandate, and take back what its trader proposed and nobody answered; None if none stands."""
    row = await connection.fetchrow(
        """
        UPDATE notifications.mandates SET revoke_time = $3
         WHERE account_id = $1 AND trader = $2 AND revoke_time IS NULL RETURNING *
        """,
        account_id,
        trader,
        now,
    )
    if row is not None:
        await connection.execute(
            "UPDATE notifications.proposals SET state = $3 WHERE account_id = $1 AND trader = $2 AND state = 1",
            account_id,
            trader,
            int(ProposalState.WITHDRAWN),
        )
    return row


async def lock_mandate(connection: Connection, account_id: int, trader: str) -> bool:
    """Hold a standing mandate until the transaction ends, so that it cannot end midway; False if none stands."""
    found = await connection.fetchval(
        """
        SELECT true FROM notifications.mandates
         WHERE account_id = $1 AND trader = $2 AND revoke_time IS NULL FOR SHARE
        """,
        account_id,
        trader,
    )
    return found is not None


async def next_position(connection: Connection) -> int:
    """The next position; held until the transaction ends."""
    return int(
        await connection.fetchval(
            "UPDATE notifications.talk_head SET position = position + 1 RETURNING position"
        )
    )


async def open_thread(
    connection: Connection,
    thread_id: str,
    account_id: int,
    trader: str,
    title: str,
    about: bytes | None,
    opener: str,
    request_id: int,
    now: datetime,
) -> Any:
    """Open a thread; the first one of the same request."""
    position = await next_position(connection)
    await connection.execute(
        """
        INSERT INTO notifications.threads (thread_id, account_id, trader, title, about, opener, request_id, create_time,
                                           active_time, position)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9) ON CONFLICT (opener, request_id) DO NOTHING
        """,
        thread_id,
        account_id,
        trader,
        title,
        about,
        opener,
        request_id,
        now,
        position,
    )
    return await connection.fetchrow(
        "SELECT * FROM notifications.threads WHERE opener = $1 AND request_id = $2", opener, request_id
    )


async def said_before(connection: Connection, request_key: str) -> Any:
    """The message of a request that was carried out before, or None: until the transaction ends nobody else asks."""
    await connection.execute("SELECT pg_advisory_xact_lock(7403, hashtext($1))", request_key)
    return await connection.fetchrow(f"{_MESSAGES} WHERE m.request_key = $1", request_key)


async def say(
    connection: Connection,
    thread_id: str,
    author: Party,
    origin: str,
    text: str,
    card: bytes | None,
    proposal_id: str | None,
    request_key: str,
    grams: Sequence[str],
    now: datetime,
) -> Any:
    """Add a message, and tell every pod."""
    position = await next_position(connection)
    await connection.execute(
        """
        INSERT INTO notifications.messages (position, thread_id, author, origin, text, card, proposal_id, request_key,
                                            grams, create_time)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """,
        position,
        thread_id,
        int(author),
        origin,
        text,
        card,
        proposal_id,
        request_key,
        list(grams),
        now,
    )
    await connection.execute(
        "UPDATE notifications.threads SET active_time = $2, position = $3 WHERE thread_id = $1",
        thread_id,
        now,
        position,
    )
    await connection.execute("SELECT pg_notify($1, $2)", SIGNAL, str(position))
    return await connection.fetchrow(f"{_MESSAGES} WHERE m.position = $1", position)


async def propose(
    connection: Connection,
    proposal_id: str,
    thread: asyncpg.Record,
    content: bytes,
    now: datetime,
    expire_time: datetime,
    trace_id: str,
) -> int:
    """Write a proposal; the number that replies name it by."""
    # The thread's row orders proposals of an account's threads well enough: a clash of numbers fails and is repeated.
    return int(
        await connection.fetchval(
            """
            INSERT INTO notifications.proposals (proposal_id, thread_id, account_id, trader, number, content, state,
                                                 create_time, expire_time, trace_id)
            SELECT $1, $2, $3, $4, coalesce(max(number), 0) + 1, $5, 1, $6, $7, $8
              FROM notifications.proposals WHERE account_id = $3
         RETURNING number
            """,
            proposal_id,
            thread["thread_id"],
            thread["account_id"],
            thread["trader"],
            content,
            now,
            expire_time,
            trace_id,
        )
    )


async def answer(connection: Connection, proposal_id: str, state: ProposalState, now: datetime) -> Any:
    """Answer an open proposal; None if it is closed or its time has passed."""
    return await connection.fetchrow(
        """
        UPDATE notifications.proposals SET state = $2, answer_time = $3
         WHERE proposal_id = $1 AND state = 1 AND expire_time > $3 RETURNING *
        """,
        proposal_id,
        int(state),
        now,
    )


async def settle(connection: Connection, proposal_id: str, results: bytes) -> bool:
    """Write what became of a proposal's orders; False if that was written before."""
    done = await connection.execute(
        "UPDATE notifications.proposals SET results = $2 WHERE proposal_id = $1 AND results IS NULL",
        proposal_id,
        results,
    )
    return bool(done == "UPDATE 1")


async def mark_read(connection: Connection, thread_id: str, party: Party, position: int) -> None:
    """Note how far a party has read."""
    await connection.execute(
        """
        INSERT INTO notifications.thread_reads (thread_id, party, position) VALUES ($1, $2, $3)
            ON CONFLICT (thread_id, party) DO UPDATE
           SET position = greatest(thread_reads.position, excluded.position)
        """,
        thread_id,
        int(party),
        position,
    )


async def record_step(
    connection: Connection,
    trace_id: str,
    account_id: int,
    kind: str,
    subject_id: str,
    time: datetime,
    detail: str,
) -> None:
    """Add a link of a chain."""
    await connection.execute(
        """
        INSERT INTO notifications.steps (trace_id, account_id, kind, subject_id, time, detail)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        trace_id,
        account_id,
        kind,
        subject_id,
        time,
        detail,
    )
