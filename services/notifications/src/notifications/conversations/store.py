"""What is read of conversations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg
from smartex_store import Database

from notifications.domain.talk import Caller, Party

SIGNAL = "notifications_conversations"
"""Channel of NOTIFY: something was said."""

_SEEN = """
    (t.account_id = $1 OR (t.trader = $2 AND EXISTS (
        SELECT FROM notifications.mandates m
         WHERE m.account_id = t.account_id AND m.trader = t.trader AND m.revoke_time IS NULL)))
"""
"""Threads that a caller ($1 account or null, $2 trader or null) may see."""


class TalkStore:
    """Reads; what changes is in `writing`."""

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
            f"{MESSAGES} WHERE m.thread_id = $1 AND m.position < $2 ORDER BY m.position DESC LIMIT $3",
            thread_id,
            before,
            limit,
        )

    async def after(self, caller: Caller, position: int, limit: int) -> Sequence[asyncpg.Record]:
        """Messages of all threads that the caller may see, after a position, oldest first."""
        return await self.database.fetch(
            f"""
            {MESSAGES} JOIN notifications.threads t ON t.thread_id = m.thread_id
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
            {MESSAGES} JOIN notifications.threads t ON t.thread_id = m.thread_id
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

    async def is_last_word(self, proposal: asyncpg.Record) -> bool:
        """Whether no trader has said anything to the investor since a proposal."""
        later = await self.database.fetchval(
            """
            SELECT true FROM notifications.messages m JOIN notifications.threads t USING (thread_id)
             WHERE t.account_id = $1 AND m.author = $2
               AND m.position > (SELECT position FROM notifications.messages
                                  WHERE thread_id = $3 AND proposal_id = $4)
             LIMIT 1
            """,
            proposal["account_id"],
            int(Party.TRADER),
            proposal["thread_id"],
            proposal["proposal_id"],
        )
        return later is None

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


MESSAGES = """
    SELECT m.position, m.thread_id, m.author, m.origin, m.text, m.card, m.create_time, p.proposal_id, p.content,
           p.state, p.results, p.expire_time, p.number
      FROM notifications.messages m LEFT JOIN notifications.proposals p ON p.proposal_id = m.proposal_id
"""
