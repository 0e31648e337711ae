"""Chains: from a notice to its deliveries, attempts, receipts and reading; and what other parts add."""

from __future__ import annotations

from typing import Any

from smartex_store import Database

_FIND = """
    SELECT trace_id, account_id FROM notifications.notices
     WHERE trace_id = $1 OR notice_id = $1 OR (card_id = $1 AND card_id <> '')
     UNION
    SELECT trace_id, account_id FROM notifications.deliveries WHERE delivery_id = $1
     UNION
    SELECT trace_id, account_id FROM notifications.steps WHERE trace_id = $1 OR subject_id = $1
"""
_STEPS = """
    SELECT 1 AS place, 'notice' AS kind, notice_id AS subject_id, create_time AS time,
           kind || CASE WHEN withdrawn THEN ', withdrawn' ELSE '' END AS detail
      FROM notifications.notices WHERE trace_id = $1 AND account_id = $2
     UNION ALL
    SELECT 2, 'delivery', delivery_id, create_time, concat_ws(' ', channel, nullif(state_reason, ''))
      FROM notifications.deliveries WHERE trace_id = $1 AND account_id = $2
     UNION ALL
    SELECT 3, 'attempt', delivery_id, a.time,
           concat_ws(' ', a.channel, '#' || a.number, coalesce(nullif(a.outcome, ''), 'under way'),
                     CASE WHEN a.maybe_sent THEN 'perhaps sent' END)
      FROM notifications.attempts a JOIN notifications.deliveries d USING (delivery_id)
     WHERE d.trace_id = $1 AND d.account_id = $2
     UNION ALL
    SELECT 4, 'receipt', delivery_id, receipt_time, channel || ' ' || receipt
      FROM notifications.deliveries WHERE trace_id = $1 AND account_id = $2 AND receipt_time IS NOT NULL
     UNION ALL
    SELECT 5, 'read', notice_id, e.read_time, 'inbox'
      FROM notifications.inbox_entries e JOIN notifications.notices n USING (account_id, notice_id)
     WHERE n.trace_id = $1 AND n.account_id = $2 AND e.read_time IS NOT NULL
     UNION ALL
    SELECT 6, kind, subject_id, time, detail FROM notifications.steps WHERE trace_id = $1 AND account_id = $2
     ORDER BY time, place LIMIT 10000
"""


class Chains:
    """Reads chains by any id of theirs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, id_: str) -> list[tuple[str, int]]:
        """Chains (trace, account) that a trace, notice, delivery, card or answer belongs to."""
        rows = await self._database.fetch(_FIND, id_)
        return [(row["trace_id"], row["account_id"]) for row in rows]

    async def steps(self, trace_id: str, account_id: int) -> list[Any]:
        """The steps of a chain by time."""
        return await self._database.fetch(_STEPS, trace_id, account_id)
