"""What became of orders, and what accounts hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from smartex.matching.v1 import account_pb2 as acc
from smartex.matching.v1 import order_query_pb2 as query
from smartex.matching.v1 import types_pb2 as types

from . import model
from .base import PAGE, Face
from .convert import from_lots, from_money, from_ns, in_range, to_ns
from .translate import ZERO, past_fill, past_order
from .words import value, word


class Queries(Face):
    """Orders, fills, balances and ledger of the caller. Lists come newest first, page after page."""

    async def get_order(
        self, order_id: int = 0, *, client_order_id: int = 0, min_sequence: int = 0
    ) -> model.Order:
        """An order by the venue's number or by yours. NotFound also for other people's.

        `min_sequence` (an outcome's `sequence`) waits for the history to be that far.
        """
        found = await self._find_order(order_id, client_order_id, min_sequence)
        return past_order(await self._catalogue.get(found.instrument_id), found)

    async def orders(
        self,
        instrument: str | int | None = None,
        *,
        side: str | None = None,
        status: str | Sequence[str] = (),
        start: datetime | None = None,
        end: datetime | None = None,
        min_sequence: int = 0,
    ) -> AsyncIterator[model.Order]:
        """The caller's orders that match, newest first."""
        words = [status] if isinstance(status, str) else list(status)
        request = query.ListOrdersRequest(
            instrument_id=await self._number(instrument),
            side=value(types.Side, side, "side"),  # type: ignore[arg-type]
            statuses=[value(types.OrderStatus, each, "status") for each in words],  # type: ignore[misc]
            page_size=PAGE,
            min_sequence=in_range(min_sequence, "min_sequence"),
        )
        if start is not None:
            request.start_time.FromNanoseconds(to_ns(start, "start"))
        if end is not None:
            request.end_time.FromNanoseconds(to_ns(end, "end"))
        while True:
            page = await self._connection.read(
                "OrderQueryService/ListOrders", request, query.ListOrdersResponse
            )
            for order in page.orders:
                yield past_order(await self._catalogue.get(order.instrument_id), order)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def fills(
        self, instrument: str | int | None = None, *, order_id: int = 0, min_sequence: int = 0
    ) -> AsyncIterator[model.Fill]:
        """The caller's fills that match, newest first."""
        number = await self._number(instrument)
        async for fill in self._fill_pages(order_id, min_sequence, number):
            yield past_fill(await self._catalogue.get(fill.instrument_id), fill)

    async def account(self, account_id: int = 0) -> model.Account:
        """Cash and holdings, from the market itself; operators name an account."""
        request = acc.GetAccountRequest(account_id=in_range(account_id, "account", 32))
        answer = await self._connection.read("AccountService/GetAccount", request, acc.GetAccountResponse)
        await self._catalogue.ensure({each.instrument_id for each in answer.holdings})
        return model.Account(
            account_id=answer.account_id,
            cash=tuple(
                model.Cash(
                    each.total.currency_code,
                    from_money(each.total),
                    from_money(each.held),
                    from_money(each.free),
                )
                for each in answer.cash
            ),
            holdings=tuple([await self._holding(each) for each in answer.holdings]),
            open_orders=answer.open_order_count,
            sequence=answer.sequence,
            state=word(types.TradingState, answer.trading_state),
        )

    async def ledger(
        self,
        account_id: int = 0,
        *,
        currency: str = "",
        instrument: str | int | None = None,
        min_sequence: int = 0,
    ) -> AsyncIterator[model.LedgerEntry]:
        """What moved an account's balances, newest first; operators name an account."""
        request = acc.ListLedgerEntriesRequest(
            account_id=in_range(account_id, "account", 32),
            currency_code=currency,
            instrument_id=await self._number(instrument),
            page_size=PAGE,
            min_sequence=in_range(min_sequence, "min_sequence"),
        )
        while True:
            page = await self._connection.read(
                "AccountService/ListLedgerEntries", request, acc.ListLedgerEntriesResponse
            )
            for entry in page.entries:
                yield await self._entry(entry)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def _holding(self, holding: acc.Holding) -> model.Holding:
        instrument = await self._catalogue.get(holding.instrument_id)
        return model.Holding(
            symbol=instrument.symbol,
            total=from_lots(instrument, holding.total_lots),
            held=from_lots(instrument, holding.held_lots),
            bought_today=from_lots(instrument, holding.bought_today_lots),
            available=from_lots(instrument, holding.available_lots),
        )

    async def _entry(self, entry: acc.LedgerEntry) -> model.LedgerEntry:
        instrument = await self._catalogue.get(entry.instrument_id) if entry.instrument_id else None
        return model.LedgerEntry(
            sequence=entry.sequence,
            kind=word(acc.LedgerEntryKind, entry.kind),
            currency=entry.cash.currency_code,
            amount=from_money(entry.cash),
            symbol=instrument.symbol if instrument else "",
            quantity=from_lots(instrument, entry.quantity_lots) if instrument else ZERO,
            order_id=entry.order_id,
            request_id=entry.request_id,
            time=from_ns(entry.entry_time.ToNanoseconds()),
        )
