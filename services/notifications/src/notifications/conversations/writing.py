"""SQL of what changes in conversations; every function takes part in its caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
from smartex_store import Connection

from notifications.conversations.store import MESSAGES, SIGNAL
from notifications.domain.talk import Party, ProposalState


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
    return await connection.fetchrow(f"{MESSAGES} WHERE m.request_key = $1", request_key)


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
    return await connection.fetchrow(f"{MESSAGES} WHERE m.position = $1", position)


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
