"""Deliveries: made with their notice, claimed by the engine, and what became of every attempt."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from smartex_store import Connection

from notifications.domain.decide import Planned
from notifications.domain.notice import Notice, State
from notifications.domain.sending import ChannelKind, Urgency
from notifications.domain.supersede import Key, Newest, reason

_NAMESPACE: Final = uuid.UUID("8f2d3c1e-5b0a-4a57-9d27-0c8a6f1e77b4")

_INSERT = """
    INSERT INTO notifications.deliveries
           (delivery_id, notice_id, account_id, channel, address_id, kind, urgency, state, state_reason,
            due_time, expire_time, supersede_key, gathered, direct, fallback, trace_id, create_time)
    SELECT d.delivery_id, d.notice_id, d.account_id, d.channel, d.address_id, d.kind, d.urgency, d.state,
           d.state_reason, d.due_time, d.expire_time, d.supersede_key, d.gathered, d.direct,
           string_to_array(d.fallback, ','), d.trace_id, $17::timestamptz
      FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::smallint[],
                  $8::smallint[], $9::text[], $10::timestamptz[], $11::timestamptz[], $12::text[],
                  $13::boolean[], $14::boolean[], $15::text[], $16::text[])
           AS d (delivery_id, notice_id, account_id, channel, address_id, kind, urgency, state, state_reason,
                 due_time, expire_time, supersede_key, gathered, direct, fallback, trace_id)
        ON CONFLICT (delivery_id) DO NOTHING
"""
# What is on its way is only marked: its attempt's end reads the mark.
_SUPERSEDE = """
    WITH replaced AS (
        UPDATE notifications.deliveries d
           SET replaced_by = k.reason,
               state = CASE d.state WHEN 1 THEN 6 ELSE d.state END,
               state_reason = CASE d.state WHEN 1 THEN k.reason ELSE d.state_reason END
          FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[])
               AS k (account_id, supersede_key, notice_id, reason)
         WHERE d.account_id = k.account_id AND d.supersede_key = k.supersede_key
           AND d.supersede_key <> '' AND d.state IN (1, 2) AND d.notice_id <> k.notice_id
     RETURNING d.delivery_id, d.state)
    UPDATE notifications.deliveries m SET digest_of = NULL
      FROM replaced r WHERE r.state = 6 AND m.digest_of = r.delivery_id AND m.state = 1
"""


@dataclass(frozen=True)
class Row:
    """A delivery as it is made."""

    delivery_id: str
    notice_id: str
    account_id: int
    channel: ChannelKind
    address_id: str
    kind: str
    urgency: Urgency
    state: State
    state_reason: str
    due_time: datetime
    expire_time: datetime
    supersede_key: str
    gathered: bool
    direct: bool
    fallback: tuple[ChannelKind, ...]
    trace_id: str


def delivery_id(notice_id: str, channel: ChannelKind, address_id: str) -> str:
    """Return the id of a delivery: one notice goes to one address once."""
    return uuid.uuid5(_NAMESPACE, f"{notice_id}|{channel}|{address_id}").hex


def row_of(notice: Notice, plan: Planned, *, direct: bool = False) -> Row:
    """Return the delivery of a plan."""
    return Row(
        delivery_id(notice.notice_id, plan.channel, plan.address_id),
        notice.notice_id,
        notice.account_id,
        plan.channel,
        plan.address_id,
        notice.kind,
        notice.urgency,
        plan.state,
        plan.reason,
        plan.due_time,
        notice.expire_time,
        notice.supersede_key,
        plan.gathered,
        direct,
        plan.fallback,
        notice.trace_id,
    )


async def insert(connection: Connection, rows: Sequence[Row], now: datetime) -> None:
    """Add deliveries; one that is there stays as it is."""
    if not rows:
        return
    await connection.execute(
        _INSERT,
        [row.delivery_id for row in rows],
        [row.notice_id for row in rows],
        [row.account_id for row in rows],
        [str(row.channel) for row in rows],
        [row.address_id for row in rows],
        [row.kind for row in rows],
        [int(row.urgency) for row in rows],
        [int(row.state) for row in rows],
        [row.state_reason for row in rows],
        [row.due_time for row in rows],
        [row.expire_time for row in rows],
        [row.supersede_key for row in rows],
        [row.gathered for row in rows],
        [row.direct for row in rows],
        [",".join(row.fallback) for row in rows],
        [row.trace_id for row in rows],
        now,
    )


async def supersede(connection: Connection, newest: Mapping[Key, Newest]) -> None:
    """Withdraw what waits of these keys, but for the newest notice of each."""
    if not newest:
        return
    await connection.execute(
        _SUPERSEDE,
        [account for account, _ in newest],
        [key for _, key in newest],
        [one.notice_id for one in newest.values()],
        [reason(one) for one in newest.values()],
    )
