"""What providers said became of messages that they took."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from smartex_store import Connection, Database

from notifications.domain.sending import ChannelKind

_APPLY = """
    UPDATE notifications.deliveries d
       SET state = CASE WHEN r.delivered THEN 4 ELSE 8 END, receipt = r.detail, receipt_time = r.time,
           state_reason = CASE WHEN r.delivered THEN '' ELSE 'RECEIPT ' || r.detail END
      FROM notifications.receipts r
     WHERE r.channel = $1 AND r.provider_id = ANY($2::text[]) AND d.channel = r.channel
       AND d.provider_id = r.provider_id AND d.state = 3
 RETURNING d.delivery_id, d.notice_id, d.account_id, d.address_id, d.fallback, r.delivered
"""

_LATE = """
    SELECT r.channel, r.provider_id FROM notifications.receipts r
      JOIN notifications.deliveries d USING (channel, provider_id)
     WHERE r.time > $1 AND d.provider_id <> '' AND d.state = 3 LIMIT 500
"""


async def keep(
    connection: Connection,
    channel: ChannelKind,
    provider_id: str,
    delivered: bool,
    detail: str,
    now: datetime,
) -> bool:
    """Keep a receipt; False if it had come before. It may come before its attempt is recorded."""
    tag = await connection.execute(
        "INSERT INTO notifications.receipts VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        channel,
        provider_id,
        delivered,
        detail[:200],
        now,
    )
    return tag == "INSERT 0 1"


async def apply(connection: Connection, channel: ChannelKind, provider_ids: list[str]) -> list[Any]:
    """Apply the receipts that are there to deliveries that were sent; returns those deliveries."""
    return await connection.fetch(_APPLY, channel, provider_ids)


async def late(connection: Connection, since: datetime) -> dict[ChannelKind, list[str]]:
    """Return the receipts since a time that wait to be applied.

    Of a receipt that is kept and an attempt that is recorded at the same moment, neither sees the other.
    """
    found: dict[ChannelKind, list[str]] = {}
    for row in await connection.fetch(_LATE, since):
        found.setdefault(ChannelKind(row["channel"]), []).append(row["provider_id"])
    return found


async def first_time(connection: Connection, key: str, now: datetime) -> bool:
    """Note an event of a callback; False if it came before."""
    tag = await connection.execute(
        "INSERT INTO notifications.callback_events VALUES ($1, $2) ON CONFLICT DO NOTHING", key, now
    )
    return tag == "INSERT 0 1"


async def forget(database: Database, events_before: datetime, receipts_before: datetime) -> None:
    """Drop keys of events that no provider tells again, and receipts that their deliveries have kept."""
    await database.execute("DELETE FROM notifications.callback_events WHERE time < $1", events_before)
    await database.execute("DELETE FROM notifications.receipts WHERE time < $1", receipts_before)
