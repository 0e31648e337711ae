"""Receipts of providers, whichever way they come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from smartex_chassis import counter
from smartex_store import Connection

from notifications.domain.sending import ChannelKind
from notifications.engine.recording import Recorder
from notifications.store import addresses, receipts

_receipts = counter(
    "notifications_receipts_total", "Receipts of providers, by channel and what they say", ("channel", "kind")
)


@dataclass(frozen=True)
class Receipt:
    """What a provider says became of a message. `gone`: the address is of no use any more."""

    channel: ChannelKind
    provider_id: str
    delivered: bool
    detail: str
    gone: bool = False


class Receipts:
    """Keeps receipts and applies them; a repeat, or one of an unknown message, has no effect."""

    def __init__(self, recorder: Recorder, clock: Callable[[], datetime]) -> None:
        self._recorder = recorder
        self._clock = clock

    async def take(self, connection: Connection, receipt: Receipt) -> None:
        """Take one in, within the transaction of the callback that brought it."""
        now = self._clock()
        if not receipt.provider_id or len(receipt.provider_id) > 256:
            return
        if not await receipts.keep(
            connection, receipt.channel, receipt.provider_id, receipt.delivered, receipt.detail, now
        ):
            return
        _receipts.labels(receipt.channel, "delivered" if receipt.delivered else "failed").inc()
        if receipt.gone:
            await self._remove_address(connection, receipt, now)
        await self._recorder.apply_receipts(connection, receipt.channel, [receipt.provider_id])

    async def _remove_address(self, connection: Connection, receipt: Receipt, now: datetime) -> None:
        rows = await connection.fetch(
            "SELECT DISTINCT address_id FROM notifications.deliveries WHERE channel = $1 AND provider_id = $2",
            receipt.channel,
            receipt.provider_id,
        )
        ids = [row["address_id"] for row in rows]
        await addresses.remove(connection, ids, f"RECEIPT {receipt.detail}"[:200], now)
