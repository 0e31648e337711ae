"""The market as conversations need it: its instruments, and placing what an investor accepted.

Each call brings a token of a few seconds' life.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from smartex.matching.v1 import account_pb2 as accounts
from smartex.matching.v1 import account_pb2_grpc as accounts_rpc
from smartex.matching.v1 import market_data_pb2 as market
from smartex.matching.v1 import market_data_pb2_grpc as market_rpc
from smartex.matching.v1 import order_entry_pb2 as entry
from smartex.matching.v1 import order_entry_pb2_grpc as entry_rpc
from smartex.matching.v1 import order_query_pb2 as query
from smartex.matching.v1 import order_query_pb2_grpc as query_rpc
from smartex.matching.v1 import types_pb2 as types
from smartex.notifications.v1 import conversation_service_pb2 as pb
from smartex.positions.v1.types_pb2 import OrderSuggestion
from smartex_chassis import FailedPrecondition, LocalIssuer, PeerTls, Unavailable, peer_channel

_TOKEN_LIFE = timedelta(seconds=30)
_CALL_SECONDS = 3.0
_TRIES = 4
_PAUSE_SECONDS = 0.3
_PAGE = 1000
_PASSING = frozenset(
    (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)
)


class Placing:
    """Acts for an investor at the market. `keys` is the folder of an issuer whose key the market believes."""

    def __init__(self, exchange_url: str, keys: Path | None, tls: PeerTls | None = None) -> None:
        self._url = exchange_url
        self._tls = tls
        self._issuer = LocalIssuer(keys) if keys is not None else None
        self._channel: grpc.aio.Channel | None = None

    async def start(self) -> None:
        """Nothing: the connection is made with the first order."""

    async def stop(self) -> None:
        """Let go of the connection."""
        if self._channel is not None:
            await self._channel.close(None)

    def check(self) -> None:
        """Raise FailedPrecondition if this service may place no orders."""
        if self._issuer is None or not self._url:
            raise FailedPrecondition(
                "orders cannot be placed from here: set SMARTEX_DELEGATION_KEYS and SMARTEX_EXCHANGE_URL",
                reason="DELEGATION_MISSING",
            )

    async def instruments(self, numbers: AbstractSet[int]) -> dict[int, types.Instrument]:
        """Instruments by number, as the market has them now; those that it does not know are left out."""
        stub = market_rpc.MarketDataServiceStub(self._open())  # type: ignore[no-untyped-call, unused-ignore]
        request, found = market.ListInstrumentsRequest(page_size=_PAGE), dict[int, types.Instrument]()
        while True:
            page: market.ListInstrumentsResponse = await self._call(stub.ListInstruments, request, None)
            found |= {one.instrument_id: one for one in page.instruments if one.instrument_id in numbers}
            if not page.next_page_token or len(found) == len(numbers):
                return found
            request.page_token = page.next_page_token

    async def place(
        self, account_id: int, orders: Sequence[OrderSuggestion], in_time: Callable[[], bool]
    ) -> list[pb.OrderResult]:
        """Place orders in their order; what became of each. An order placed before gives its first outcome.

        Unavailable if the market does not answer, or if it is so slow that the time to place them is over: what was
        placed so far is found again by the numbers.
        """
        stub = entry_rpc.OrderEntryServiceStub(self._open())  # type: ignore[no-untyped-call, unused-ignore]
        placed: list[pb.OrderResult] = []
        for order in orders:
            if not in_time():
                raise market_away()
            placed.append(await self._place(stub, account_id, order))
        return placed

    async def _place(self, stub: Any, account_id: int, order: OrderSuggestion) -> pb.OrderResult:
        try:
            answer: entry.PlaceOrderResponse = await self._call(stub.PlaceOrder, _request(order), account_id)
        except grpc.aio.AioRpcError as error:
            # The market will never take this order; the others are none the worse for it.
            return pb.OrderResult(client_order_id=order.client_order_id, reason=error.code().name)
        if answer.outcome.repeated and answer.outcome.kind != types.REPORT_KIND_REJECTED:
            # A repeat tells nothing of what the order has traded.
            return await self._find(account_id, order, answer.outcome.sequence)
        return _result(answer.outcome, answer.reports)

    async def look_up(self, account_id: int, orders: Sequence[OrderSuggestion]) -> list[pb.OrderResult]:
        """What became of orders that may have been placed; nothing is placed. Unavailable while the history does not
        hold all that has happened up to now, for it would not know of an order that stands."""
        stub = accounts_rpc.AccountServiceStub(self._open())  # type: ignore[no-untyped-call, unused-ignore]
        now: accounts.GetAccountResponse = await self._call(
            stub.GetAccount, accounts.GetAccountRequest(), account_id
        )
        return [await self._find(account_id, order, now.sequence) for order in orders]

    async def _find(self, account_id: int, order: OrderSuggestion, sequence: int) -> pb.OrderResult:
        stub = query_rpc.OrderQueryServiceStub(self._open())  # type: ignore[no-untyped-call, unused-ignore]
        request = query.GetOrderRequest(client_order_id=order.client_order_id, min_sequence=sequence)
        try:
            answer: query.GetOrderResponse = await self._call(stub.GetOrder, request, account_id)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return pb.OrderResult(client_order_id=order.client_order_id, reason="NOT_PLACED")
        found = answer.order
        rejected = found.status == types.ORDER_STATUS_REJECTED
        return pb.OrderResult(
            client_order_id=order.client_order_id,
            order_id=found.order_id,
            accepted=not rejected,
            reason=_reason(found.reason) if rejected else "",
            filled_lots=found.executed_lots,
        )

    def _open(self) -> grpc.aio.Channel:
        self.check()
        if self._channel is None:
            # Each call brings its own token; without one there is none to fall back on.
            self._channel = peer_channel(self._url, lambda: "", tls=self._tls)
        return self._channel

    async def _call(self, method: Any, request: Any, account_id: int | None) -> Any:
        """Call for an account, or for nobody what everybody may read."""
        assert self._issuer is not None
        scope = "read" if account_id is None else "trade"
        for attempt in range(_TRIES):
            token = self._issuer.issue(
                subject="notifications", account_id=account_id, scopes=(scope,), ttl=_TOKEN_LIFE
            )
            try:
                return await method(
                    request, timeout=_CALL_SECONDS, metadata=(("authorization", f"Bearer {token}"),)
                )
            except grpc.aio.AioRpcError as error:
                if error.code() not in _PASSING:
                    raise
                if attempt == _TRIES - 1:
                    raise market_away() from error
            await asyncio.sleep(_PAUSE_SECONDS * 2**attempt)
        raise AssertionError("unreachable")


def market_away() -> Unavailable:
    """The error of a market that does not answer, or not in time."""
    return Unavailable(
        "the market does not answer: ask again in a moment, no order is placed twice",
        reason="MARKET_AWAY",
        retry_after=timedelta(seconds=1),
    )


def _request(order: OrderSuggestion) -> entry.PlaceOrderRequest:
    return entry.PlaceOrderRequest(
        client_order_id=order.client_order_id,
        instrument_id=order.instrument_id,
        side=order.side,  # type: ignore[arg-type]
        order_type=types.ORDER_TYPE_LIMIT,
        time_in_force=types.TIME_IN_FORCE_DAY,
        price_ticks=order.price_ticks,
        quantity_lots=order.quantity_lots,
        create_time_ns=time.time_ns(),
    )


def _result(outcome: types.Report, reports: Sequence[types.Report]) -> pb.OrderResult:
    rejected = outcome.kind == types.REPORT_KIND_REJECTED
    filled = sum(each.quantity_lots for each in reports if each.kind == types.REPORT_KIND_FILLED)
    return pb.OrderResult(
        client_order_id=outcome.client_order_id,
        order_id=outcome.order_id,
        accepted=not rejected,
        reason=_reason(outcome.reason) if rejected else "",
        filled_lots=filled,
    )


def _reason(number: int) -> str:
    return types.Reason.Name(number).removeprefix("REASON_")  # type: ignore[arg-type]
