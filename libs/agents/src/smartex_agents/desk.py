"""A participant's place in the market: its trade stream, what rests there, and what it has bought and sold."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
from smartex.matching.v1 import log_pb2 as log
from smartex.matching.v1 import types_pb2 as types
from smartex_client import COMMAND_DTYPE, Market, TradeStream

from .quoting import Quote
from .taking import Intent

GONE_AFTER_SECONDS = 5.0
"""Silence after which the venue cancels a market maker's quotes."""


class Desk:
    """Sends orders over one trade stream and keeps account of them from its reports.

    `resting[instrument_id]` are its open orders by client order id, `position[instrument_id]` the lots bought less
    those sold since the start.
    """

    def __init__(self, market: Market, *, cancel_on_disconnect: bool) -> None:
        self._market = market
        self._stream: TradeStream = market.trade_stream(
            cancel_on_disconnect=GONE_AFTER_SECONDS if cancel_on_disconnect else None
        )
        self._reader: asyncio.Task[None] | None = None
        self.resting: defaultdict[int, dict[int, Quote]] = defaultdict(dict)
        self.position: defaultdict[int, int] = defaultdict(int)
        self.rejected: defaultdict[int, int] = defaultdict(int)
        """Rejections by reason."""

    async def __aenter__(self) -> Self:
        # What an earlier run left would stand beside the new orders, unknown to us.
        await self._market.mass_cancel()
        await self._stream.__aenter__()
        self._reader = asyncio.create_task(self._read(), name="desk-reports")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        await self._stream.close()

    async def change(self, instrument_id: int, cancels: Sequence[int], quotes: Sequence[Quote]) -> int:
        """Cancel orders, then place quotes that only rest; waits for the outcomes. The number of commands."""
        rows = self._rows(instrument_id, cancels, quotes)
        rows["time_in_force"][len(cancels) :] = types.TIME_IN_FORCE_GTC
        rows["post_only"][len(cancels) :] = types.POST_ONLY_SLIDE
        return await self._send(rows)

    async def trade(self, instrument_id: int, intent: Intent, cancels: Sequence[int] = ()) -> int:
        """Send an order, after cancelling others; waits for the outcomes. The number of commands."""
        quote = Quote(intent.side, intent.price, intent.lots)
        rows = self._rows(instrument_id, cancels, [quote])
        rows["time_in_force"][len(cancels) :] = intent.time_in_force
        return await self._send(rows)

    def oldest(self, instrument_id: int, keep: int) -> list[int]:
        """The oldest open orders of an instrument beyond the `keep` newest."""
        orders = list(self.resting[instrument_id])
        return orders[: max(0, len(orders) - keep)]

    def _rows(self, instrument_id: int, cancels: Sequence[int], quotes: Sequence[Quote]) -> Any:
        rows: Any = np.zeros(len(cancels) + len(quotes), COMMAND_DTYPE)
        rows["instrument_id"] = instrument_id
        taken, placed = rows[: len(cancels)], rows[len(cancels) :]
        taken["kind"] = log.COMMAND_KIND_CANCEL
        taken["client_order_id"] = cancels
        if quotes:
            placed["kind"] = log.COMMAND_KIND_PLACE
            placed["client_order_id"] = np.arange(len(quotes)) + self._market.fresh_ids(len(quotes))
            placed["side"] = [quote.side for quote in quotes]
            placed["order_type"] = types.ORDER_TYPE_LIMIT
            placed["price_ticks"] = [quote.price for quote in quotes]
            placed["quantity_lots"] = [quote.lots for quote in quotes]
            placed["self_trade_prevention"] = types.SELF_TRADE_PREVENTION_CANCEL_OLDEST
        return rows

    async def _send(self, rows: Any) -> int:
        if len(rows):
            await self._stream.send(rows)
            await self._stream.drain()
        return len(rows)

    async def _read(self) -> None:
        async for rows in self._stream.batches():
            self.see(rows.view(np.recarray))

    def see(self, reports: Iterable[Any]) -> None:
        """Take reports in."""
        for report in reports:
            orders = self.resting[int(report.instrument_id)]
            key, kind = int(report.client_order_id), report.kind
            if kind == types.REPORT_KIND_ACCEPTED and not report.repeated:
                if report.leaves_lots:
                    orders[key] = Quote(int(report.side), int(report.price_ticks), int(report.leaves_lots))
            elif kind == types.REPORT_KIND_FILLED:
                bought = report.side == types.SIDE_BUY
                lots = int(report.quantity_lots)
                self.position[int(report.instrument_id)] += lots if bought else -lots
                # An arriving order's acceptance has said already what rests in the end.
                if report.liquidity == types.LIQUIDITY_MAKER:
                    self._left(orders, key, int(report.leaves_lots))
            elif kind == types.REPORT_KIND_CANCELLED:
                self._left(orders, key, int(report.leaves_lots))
            elif kind == types.REPORT_KIND_CANCEL_REJECTED:
                # It was gone already; such a report does not say from which book.
                for orders in self.resting.values():
                    orders.pop(key, None)
            elif kind == types.REPORT_KIND_REJECTED:
                self.rejected[int(report.reason)] += 1

    @staticmethod
    def _left(orders: dict[int, Quote], key: int, lots: int) -> None:
        order = orders.get(key)
        if order is not None and lots:
            orders[key] = Quote(order.side, order.price, lots)
        elif order is not None:
            del orders[key]
