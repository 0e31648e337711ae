"""OrderQueryService and the ledger of AccountService: contract in, query, contract out."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
import grpc
from smartex.matching.v1 import order_query_pb2_grpc
from smartex.matching.v1.account_pb2 import (
    LedgerEntry,
    ListLedgerEntriesRequest,
    ListLedgerEntriesResponse,
)
from smartex.matching.v1.order_query_pb2 import (
    GetOrderRequest,
    GetOrderResponse,
    ListFillsRequest,
    ListFillsResponse,
    ListOrdersRequest,
    ListOrdersResponse,
)
from smartex.matching.v1.types_pb2 import Fill, Money, Order, OrderStatus, Side
from smartex_chassis import InvalidInput, NotFound, principal
from smartex_chassis.pages import make_token, page_size, read_token

from matching.history.money import money, tick_value
from matching.history.queries import PARTS, FillFilter, OrderFilter, Queries
from matching.history.sources import Catalogue
from matching.times import nanoseconds, stamp

SERVICE = "smartex.matching.v1.OrderQueryService"
SCOPES = {f"/{SERVICE}/{name}": "read" for name in ("GetOrder", "ListOrders", "ListFills")}
_STATUSES = frozenset(OrderStatus.values()) - {0}
_MOST_STATUSES = 32


class OrderQueryApi(order_query_pb2_grpc.OrderQueryServiceServicer):
    """Answers from the tables, and only of the caller's account."""

    def __init__(self, queries: Queries, catalogue: Catalogue) -> None:
        self._queries = queries
        self._catalogue = catalogue

    def register(self, server: grpc.aio.Server) -> None:
        """Add the service to a server."""
        order_query_pb2_grpc.add_OrderQueryServiceServicer_to_server(self, server)

    async def GetOrder(  # noqa: N802
        self, request: GetOrderRequest, context: object
    ) -> GetOrderResponse:
        """One order."""
        account = principal(context).require_account()
        for name in ("order_id", "client_order_id", "min_sequence"):
            if getattr(request, name) < 0:
                raise InvalidInput(f"{name} must not be negative", field=name)
        if bool(request.order_id) == bool(request.client_order_id):
            raise InvalidInput("give order_id or client_order_id, one of the two", field="order_id")
        await self._queries.position(request.min_sequence)
        row = await self._queries.order(account, request.order_id, request.client_order_id)
        if row is None:
            raise NotFound(
                "this account has no such order: look at its number, or ask with min_sequence if it is new",
                reason="ORDER_NOT_FOUND",
            )
        return GetOrderResponse(order=self._order(row))

    async def ListOrders(  # noqa: N802
        self, request: ListOrdersRequest, context: object
    ) -> ListOrdersResponse:
        """Orders, newest first."""
        account = principal(context).require_account()
        size = page_size(request.page_size)
        wanted = OrderFilter(
            instrument_id=request.instrument_id or None,
            side=_known(request.side, Side.values(), "side") or None,
            statuses=_statuses(request.statuses),
            start_ns=nanoseconds(request, "start_time"),
            end_ns=nanoseconds(request, "end_time"),
        )
        scope = ("orders", account, wanted)
        key = read_token(scope, request.page_token)
        sequence = await self._position(request.min_sequence)
        found = await self._queries.orders(account, wanted, key[0] if key else None, size + 1)
        page = found[:size]
        return ListOrdersResponse(
            orders=[self._order(row) for row in page],
            next_page_token=make_token(scope, page[-1]["created_sequence"]) if len(found) > size else "",
            sequence=sequence,
        )

    async def ListFills(  # noqa: N802
        self, request: ListFillsRequest, context: object
    ) -> ListFillsResponse:
        """Fills, newest first."""
        account = principal(context).require_account()
        if request.order_id < 0:
            raise InvalidInput("order_id must not be negative", field="order_id")
        size = page_size(request.page_size)
        wanted = FillFilter(
            order_id=request.order_id or None,
            instrument_id=request.instrument_id or None,
            start_ns=nanoseconds(request, "start_time"),
            end_ns=nanoseconds(request, "end_time"),
        )
        scope = ("fills", account, wanted)
        key = read_token(scope, request.page_token, seconds=PARTS)
        sequence = await self._position(request.min_sequence)
        if _impossible(request.instrument_id):
            return ListFillsResponse(sequence=sequence)
        found = await self._queries.fills(account, wanted, key, size + 1)
        page = found[:size]
        return ListFillsResponse(
            fills=[self._fill(row) for row in page],
            next_page_token=make_token(scope, page[-1]["sequence"], page[-1]["part"])
            if len(found) > size
            else "",
            sequence=sequence,
        )

    async def list_ledger_entries(
        self, request: ListLedgerEntriesRequest, context: object
    ) -> ListLedgerEntriesResponse:
        """AccountService.ListLedgerEntries: the caller's, or with scope `operate` any account's."""
        caller = principal(context)
        if request.account_id and request.account_id != caller.account_id:
            caller.require_scope("operate")
            account = request.account_id
        elif request.account_id:
            account = request.account_id
        else:
            account = caller.require_account()
        size = page_size(request.page_size)
        scope = ("ledger", account, request.currency_code, request.instrument_id)
        key = read_token(scope, request.page_token, seconds=PARTS)
        currency = self._in_currency(request.currency_code) if request.currency_code else None
        await self._position(request.min_sequence)
        if _impossible(request.instrument_id):
            return ListLedgerEntriesResponse()
        found = await self._queries.ledger(account, currency, request.instrument_id or None, key, size + 1)
        page = found[:size]
        return ListLedgerEntriesResponse(
            entries=[self._entry(row) for row in page],
            next_page_token=make_token(scope, page[-1]["sequence"], page[-1]["part"])
            if len(found) > size
            else "",
        )

    async def _position(self, min_sequence: int) -> int:
        if min_sequence < 0:
            raise InvalidInput("min_sequence must not be negative", field="min_sequence")
        return await self._queries.position(min_sequence)

    def _in_currency(self, code: str) -> tuple[Sequence[int], Sequence[int]]:
        """Numbers of the currency and of the instruments that trade in it."""
        number = self._catalogue.currency_id(code)
        if number is None:
            raise InvalidInput(f"{code[:16]!r} is no currency of this venue", field="currency_code")
        return [number], [each.instrument_id for each in self._catalogue.all() if each.currency_code == code]

    def _code(self, instrument_id: int) -> str:
        instrument = self._catalogue.get(instrument_id)
        return instrument.currency_code if instrument else ""

    def _scaled(self, instrument_id: int, value: int) -> Money:
        """A sum of price × lots as money."""
        instrument = self._catalogue.get(instrument_id)
        return money(self._code(instrument_id), int(value) * tick_value(instrument))

    def _order(self, row: asyncpg.Record) -> Order:
        instrument = row["instrument_id"]
        order = Order(
            order_id=row["order_id"],
            client_order_id=row["client_order_id"],
            instrument_id=instrument,
            side=row["side"],
            order_type=row["order_type"],
            time_in_force=row["time_in_force"],
            price_ticks=row["price_ticks"],
            quantity_lots=row["quantity_lots"],
            leaves_lots=row["leaves_lots"],
            executed_lots=row["executed_lots"],
            executed_value=self._scaled(instrument, row["executed_value"]),
            fees=money(self._code(instrument), row["fees_micros"]),
            status=row["status"],
            reason=row["reason"],
            sequence=row["sequence"],
        )
        stamp(order.create_time, row["create_time_ns"])
        stamp(order.update_time, row["update_time_ns"])
        if row["expire_time_ns"]:
            stamp(order.expire_time, row["expire_time_ns"])
        return order

    def _fill(self, row: asyncpg.Record) -> Fill:
        code = self._code(row["instrument_id"])
        fill = Fill(
            trade_id=row["sequence"],
            order_id=row["order_id"],
            client_order_id=row["client_order_id"],
            instrument_id=row["instrument_id"],
            side=row["side"],
            price_ticks=row["price_ticks"],
            quantity_lots=row["quantity_lots"],
            liquidity=row["part"],
            fee=money(code, row["fee_micros"]),
            tax=money(code, row["tax_micros"]),
        )
        stamp(fill.trade_time, row["time_ns"])
        return fill

    def _entry(self, row: asyncpg.Record) -> LedgerEntry:
        entry = LedgerEntry(
            sequence=row["sequence"],
            kind=row["kind"],
            quantity_lots=row["lots"],
            order_id=row["order_id"],
            request_id=row["request_id"],
        )
        stamp(entry.entry_time, row["time_ns"])
        instrument = row["instrument_id"]
        if instrument > 0:
            entry.instrument_id = instrument
        if not row["is_cash"]:
            return entry
        if instrument < 0:  # plain cash: the number of its currency, see _LEDGER
            entry.cash.CopyFrom(money(self._catalogue.currency_code(-instrument - 1), int(row["cash"])))
        elif row["kind"] == 3:
            entry.cash.CopyFrom(self._scaled(instrument, row["cash"]))
        else:
            entry.cash.CopyFrom(money(self._code(instrument), int(row["cash"])))
        return entry


def _impossible(instrument_id: int) -> bool:
    """Whether no instrument has that number."""
    return instrument_id > 65_535


def _known(value: int, known: Sequence[int], field: str) -> int:
    if value not in known:
        raise InvalidInput(f"{field} is {value}, which is none", field=field)
    return value


def _statuses(asked: Sequence[int]) -> tuple[int, ...]:
    if len(asked) > _MOST_STATUSES:
        raise InvalidInput(f"statuses: give at most {_MOST_STATUSES}", field="statuses")
    for at, value in enumerate(asked):
        if value not in _STATUSES:
            raise InvalidInput(f"{value} is no status", field=f"statuses[{at}]")
    return tuple(sorted(set(asked)))
