"""The engine's side of deliveries: what is due, what is begun, and what became of it.

A delivery that is being sent is held under a lease. Its attempt is written before the provider is called, so that a
crash leaves an attempt without an outcome, which says that the message may have been sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from smartex_store import Connection, Database

from notifications.domain.checks import Hold
from notifications.domain.rate import WINDOW
from notifications.domain.retry import Verdict
from notifications.domain.sending import ChannelKind

_CANDIDATES = """
    WITH candidates AS (
        SELECT c.delivery_id FROM unnest(ARRAY[4, 3, 2, 1]::smallint[]) AS u (urgency)
         CROSS JOIN LATERAL (
               SELECT delivery_id, due_time FROM notifications.deliveries
                WHERE channel = $1 AND urgency = u.urgency AND state = 1 AND digest_of IS NULL AND due_time <= $2
                ORDER BY due_time LIMIT $3) c
         ORDER BY u.urgency DESC, c.due_time LIMIT $3)
"""
_JOINED = """
    SELECT d.*, n.content, a.sealed, a.state AS address_state, a.code_nonce, p.content AS preferences
      FROM notifications.deliveries d
      JOIN notifications.notices n USING (notice_id)
      LEFT JOIN notifications.addresses a USING (address_id)
      LEFT JOIN notifications.preferences p ON p.account_id = d.account_id
"""
# What readers got within the last hour comes along: another statement would cost as much as this one.
_CLAIM = f"""
    {_CANDIDATES},
    claimed AS (
        {_JOINED}
         WHERE d.delivery_id IN (SELECT delivery_id FROM candidates) AND d.state = 1
           FOR UPDATE OF d SKIP LOCKED),
    paces AS (
        SELECT account_id, count(*) AS sent_count, min(last_attempt_time) AS sent_first_time
          FROM notifications.deliveries
         WHERE channel = $1 AND account_id = ANY(ARRAY(SELECT account_id FROM claimed)) AND last_attempt_time > $4
           AND state IN (2, 3, 4) AND urgency < 4 AND NOT direct AND digest_of IS NULL
         GROUP BY account_id)
    SELECT * FROM claimed LEFT JOIN paces USING (account_id) ORDER BY urgency DESC, due_time
"""
_GATHER = """
    WITH free AS (
        SELECT d.delivery_id, l.lead
          FROM unnest($1::text[], $2::bigint[], $3::text[]) AS l (lead, account_id, address_id)
          JOIN notifications.deliveries d USING (account_id, address_id)
         WHERE d.gathered AND d.state = 1 AND d.digest_of IS NULL AND d.due_time <= $4
           AND d.tries = 0 AND NOT d.maybe_sent
           AND d.delivery_id <> ALL ($1) AND d.expire_time > $4
           FOR UPDATE OF d SKIP LOCKED)
    UPDATE notifications.deliveries d SET digest_of = f.lead
      FROM free f WHERE d.delivery_id = f.delivery_id
"""
_MEMBERS = """
    SELECT d.delivery_id, d.digest_of, n.content FROM notifications.deliveries d
      JOIN notifications.notices n USING (notice_id)
     WHERE d.digest_of = ANY($1::text[]) AND d.state = 1 AND d.expire_time > $2 ORDER BY d.number
"""
_HOLD = """
    WITH held AS (
        UPDATE notifications.deliveries d
           SET state = h.state, state_reason = h.reason, due_time = coalesce(h.due_time, d.due_time)
          FROM unnest($1::text[], $2::smallint[], $3::text[], $4::timestamptz[])
               AS h (delivery_id, state, reason, due_time)
         WHERE d.delivery_id = h.delivery_id
     RETURNING d.delivery_id)
    UPDATE notifications.deliveries m SET digest_of = NULL
      FROM held WHERE m.digest_of = held.delivery_id AND m.state = 1
"""
_BEGIN = """
    WITH begun AS (
        UPDATE notifications.deliveries d
           SET state = 2, state_reason = '', attempt = attempt + 1, tries = tries + 1, holder = $2,
               lease_until = $4, last_attempt_time = $3, first_attempt_time = coalesce(first_attempt_time, $3)
         WHERE delivery_id = ANY($1::text[])
     RETURNING d.delivery_id, d.attempt, d.channel)
    INSERT INTO notifications.attempts (delivery_id, number, channel, time)
    SELECT delivery_id, attempt, channel, $3 FROM begun
"""
_BEGIN_MEMBERS = """
    UPDATE notifications.deliveries SET state = 2, state_reason = 'in the digest ' || digest_of, lease_until = $2
     WHERE delivery_id = ANY($1::text[])
"""
# A verdict of an attempt that is not the last one any more came too late: another pod has gone on.
_ENDED = """
    WITH results AS (
        SELECT * FROM unnest($1::text[], $2::int[], $3::smallint[], $4::text[], $5::timestamptz[], $6::text[],
                             $7::boolean[], $8::text[], $9::bigint[])
               AS r (delivery_id, attempt, state, reason, due_time, provider_id, maybe_sent, outcome, duration_ms)),
    attempts AS (
        UPDATE notifications.attempts a
           SET duration_ms = r.duration_ms, outcome = r.outcome, provider_id = r.provider_id,
               maybe_sent = r.maybe_sent
          FROM results r WHERE a.delivery_id = r.delivery_id AND a.number = r.attempt),
    ended AS (
        UPDATE notifications.deliveries d
           SET state = CASE WHEN r.state = 1 AND d.replaced_by <> '' THEN 6 ELSE r.state END,
               state_reason = CASE WHEN r.state = 1 AND d.replaced_by <> '' THEN d.replaced_by ELSE r.reason END,
               due_time = coalesce(r.due_time, d.due_time), maybe_sent = d.maybe_sent OR r.maybe_sent,
               provider_id = CASE r.provider_id WHEN '' THEN d.provider_id ELSE r.provider_id END,
               lease_until = NULL, holder = ''
          FROM results r
         WHERE d.delivery_id = r.delivery_id AND d.attempt = r.attempt AND d.state = 2
     RETURNING d.delivery_id, d.state, d.channel, r.provider_id, r.reason, r.due_time, r.maybe_sent),
    members AS (
        UPDATE notifications.deliveries m
           SET state = CASE WHEN r.state IN (1, 8) AND m.replaced_by <> '' THEN 6
                            WHEN r.state = 6 THEN 1 ELSE r.state END,
               state_reason = CASE WHEN r.state IN (1, 8) AND m.replaced_by <> '' THEN m.replaced_by
                                   ELSE concat_ws(' ', nullif(r.reason, ''), 'in the digest', r.delivery_id) END,
               due_time = coalesce(r.due_time, m.due_time), lease_until = NULL,
               maybe_sent = m.maybe_sent OR r.maybe_sent,
               digest_of = CASE r.state WHEN 6 THEN NULL ELSE m.digest_of END
          FROM ended r WHERE m.digest_of = r.delivery_id AND m.state = 2)
    SELECT delivery_id, state,
           EXISTS (SELECT FROM notifications.receipts r
                    WHERE r.channel = e.channel AND r.provider_id = e.provider_id) AS has_receipt
      FROM ended e
"""
_INTERRUPTED = f"""
    {_JOINED}
     WHERE d.state = 2 AND d.digest_of IS NULL AND d.channel = ANY($4::text[])
       AND (d.lease_until < $1 OR ($2 <> '' AND d.holder = $2))
     ORDER BY d.number LIMIT $3
       FOR UPDATE OF d SKIP LOCKED
"""
_DIVERTED = f"""
    {_CANDIDATES} {_JOINED}
     WHERE d.delivery_id IN (SELECT delivery_id FROM candidates) AND d.state = 1
       AND d.urgency >= 3 AND d.fallback <> '{{}}'
       FOR UPDATE OF d SKIP LOCKED
"""
# What would have been begun long ago, or was being sent by a pod that is silent, where no pod has the channel any more.
_ORPHANED = f"""
    {_JOINED}
     WHERE d.channel = ANY($1::text[]) AND d.digest_of IS NULL
       AND (d.state = 1 AND d.due_time < $2 OR d.state = 2 AND d.lease_until < $2)
     ORDER BY d.number LIMIT $3
       FOR UPDATE OF d SKIP LOCKED
"""
_SIBLINGS = """
    SELECT 1 FROM notifications.deliveries
     WHERE notice_id = $1 AND delivery_id <> $2 AND channel <> 'inbox' AND state IN (1, 2, 3, 4) LIMIT 1
"""


@dataclass(frozen=True)
class Ended:
    """An attempt that has ended."""

    delivery_id: str
    attempt: int
    verdict: Verdict
    outcome: str
    provider_id: str = ""
    maybe_sent: bool = False
    duration_ms: int = 0


@dataclass(frozen=True)
class Told:
    """Where a delivery stands whose attempt has ended."""

    state: int
    has_receipt: bool
    """Whether the provider's receipt came before the attempt was recorded."""


class Queue:
    """What the engine asks of the table. Every method works within the transaction of its connection."""

    def __init__(self, database: Database, holder: str, lease: timedelta) -> None:
        self.database = database
        self._holder = holder
        self._lease = lease

    async def due(self, connection: Connection, channel: ChannelKind, limit: int, now: datetime) -> list[Any]:
        """Lock what is due on a channel, the most urgent first, with what its readers got in the last hour."""
        return await connection.fetch(_CLAIM, channel, now, limit, now - WINDOW)

    async def diverted(
        self, connection: Connection, channel: ChannelKind, limit: int, now: datetime
    ) -> list[Any]:
        """Lock what presses on a channel that rests, and has another channel to go to."""
        return await connection.fetch(_DIVERTED, channel, now, limit)

    async def interrupted(
        self, connection: Connection, channels: Sequence[ChannelKind], now: datetime, *, mine: bool
    ) -> list[Any]:
        """Lock what was being sent by a pod that is silent; with `mine` also by this pod before it was restarted."""
        return await connection.fetch(
            _INTERRUPTED, now, self._holder if mine else "", 200, [str(one) for one in channels]
        )

    async def orphaned(
        self, connection: Connection, channels: Sequence[ChannelKind], now: datetime
    ) -> list[Any]:
        """Lock what waits, or was being sent, on channels that this pod has not, and that no other pod took up for as
        long as a lease."""
        return await connection.fetch(_ORPHANED, [str(one) for one in channels], now - self._lease, 200)

    async def gather(self, connection: Connection, leads: Sequence[Any], now: datetime) -> None:
        """Put what waits for the same digest behind its lead."""
        await connection.execute(
            _GATHER,
            [lead["delivery_id"] for lead in leads],
            [lead["account_id"] for lead in leads],
            [lead["address_id"] for lead in leads],
            now,
        )

    async def members(self, connection: Connection, leads: Sequence[str], now: datetime) -> list[Any]:
        """What the digests of these deliveries list beside themselves."""
        return await connection.fetch(_MEMBERS, list(leads), now)

    async def hold(self, connection: Connection, held: Sequence[tuple[str, Hold]]) -> None:
        """Keep deliveries from being sent; what stood behind one in a digest is free again."""
        if held:
            await connection.execute(
                _HOLD,
                [one for one, _ in held],
                [int(hold.state) for _, hold in held],
                [hold.reason for _, hold in held],
                [hold.due_time for _, hold in held],
            )

    async def begin(
        self, connection: Connection, ids: Sequence[str], members: Sequence[str], now: datetime
    ) -> None:
        """Write that an attempt begins."""
        if ids:
            await connection.execute(_BEGIN, list(ids), self._holder, now, now + self._lease)
        if members:
            await connection.execute(_BEGIN_MEMBERS, list(members), now + self._lease)

    async def end(self, connection: Connection, ended: Sequence[Ended]) -> dict[str, Told]:
        """Write what became of attempts; returns where each delivery stands that still was its attempt's to tell."""
        rows = await connection.fetch(
            _ENDED,
            [one.delivery_id for one in ended],
            [one.attempt for one in ended],
            [int(one.verdict.state) for one in ended],
            [one.verdict.reason for one in ended],
            [one.verdict.due_time for one in ended],
            [one.provider_id for one in ended],
            [one.maybe_sent for one in ended],
            [one.outcome for one in ended],
            [one.duration_ms for one in ended],
        )
        return {row["delivery_id"]: Told(row["state"], row["has_receipt"]) for row in rows}

    async def has_siblings(self, connection: Connection, notice_id: str, delivery_id: str) -> bool:
        """Whether a notice is sent, or may be, by another delivery."""
        return bool(await connection.fetchval(_SIBLINGS, notice_id, delivery_id))

    async def members_of(self, connection: Connection, lead: str) -> list[Any]:
        """A lead and what its digest listed."""
        return await connection.fetch(
            f"{_JOINED} WHERE d.digest_of = $1 OR d.delivery_id = $1 ORDER BY d.number", lead
        )
