"""Calls against a scripted server: what is repeated, what is not, and what the caller sees."""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import grpc
import pytest
import smartex_client
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2  # type: ignore[import-untyped, unused-ignore]
from smartex.matching.v1 import account_pb2 as acc
from smartex.matching.v1 import market_data_pb2 as md
from smartex.matching.v1 import order_entry_pb2 as pb
from smartex.matching.v1 import order_query_pb2 as query
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1 import venue_pb2 as venue
from smartex_client import (
    InvalidInput,
    OffLot,
    OffTick,
    OrderRejected,
    OutcomeUnknown,
    Overloaded,
    PermissionDenied,
    RetryPolicy,
    ServerFault,
    SmartexError,
    Unavailable,
)
from smartex_client.errors import Final, Retryable

PLACE = "OrderEntryService/PlaceOrder"
Exchange = Any


def accepted(request: pb.PlaceOrderRequest) -> pb.PlaceOrderResponse:
    report = types.Report(
        kind=types.REPORT_KIND_ACCEPTED,
        sequence=5,
        instrument_id=request.instrument_id,
        client_order_id=request.client_order_id,
        order_id=1,
        side=request.side,
        price_ticks=request.price_ticks,
        quantity_lots=request.quantity_lots,
        leaves_lots=request.quantity_lots,
    )
    return pb.PlaceOrderResponse(outcome=report)


def wait(**duration: float) -> error_details_pb2.RetryInfo:
    """Advice when to come again."""
    delay = Duration()
    delay.FromTimedelta(timedelta(**duration))
    return error_details_pb2.RetryInfo(retry_delay=delay)


NOT_IN_TIME = wait(hours=1)
"""Whoever is told so gives up at once, with this very failure, however slow the machine is."""


async def test_a_retry_is_the_very_same_request(exchange: Exchange, fail: Any, info: Any) -> None:
    seen: list[pb.PlaceOrderRequest] = []
    metadata: list[dict[str, Any]] = []

    async def place(request: pb.PlaceOrderRequest, context: Any) -> Any:
        seen.append(request)
        metadata.append(dict(context.invocation_metadata()))
        if len(seen) == 1:
            await fail(context, grpc.StatusCode.UNAVAILABLE, "starting", info("STARTING"))
        if len(seen) == 2:
            await fail(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", info("QUEUE_FULL"))
        return accepted(request)

    exchange.answer(PLACE, pb.PlaceOrderRequest, place)
    async with exchange.market() as market:
        order = await market.buy("acme", 100, Decimal("10.50"))
    assert seen[0] == seen[1] == seen[2]
    assert (seen[0].price_ticks, seen[0].quantity_lots) == (1050, 100)
    assert seen[0].create_time_ns > 0
    assert (order.status, order.client_order_id) == ("open", seen[0].client_order_id)
    assert metadata[0]["authorization"] == "Bearer secret"


async def test_advice_to_wait_is_followed(exchange: Exchange, fail: Any, info: Any) -> None:
    times: list[float] = []

    async def place(request: pb.PlaceOrderRequest, context: Any) -> Any:
        times.append(time.monotonic())
        if len(times) == 1:
            advice = wait(milliseconds=150)
            await fail(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", info("RATE_LIMITED"), advice)
        return accepted(request)

    exchange.answer(PLACE, pb.PlaceOrderRequest, place)
    async with exchange.market() as market:
        await market.buy("ACME", 1, 1)
    assert times[1] - times[0] >= 0.15


async def test_time_that_is_up_tells_whether_the_order_may_stand(
    exchange: Exchange, fail: Any, info: Any
) -> None:
    async def silent(request: pb.PlaceOrderRequest, context: Any) -> Any:
        await asyncio.sleep(600)

    async def refusing(request: pb.PlaceOrderRequest, context: Any) -> Any:
        await fail(context, grpc.StatusCode.UNAVAILABLE, "draining", info("DRAINING"), NOT_IN_TIME)

    async with exchange.market() as market:
        await market.instrument("ACME")  # which takes its time
        patient, market._connection.retry = market._connection.retry, RetryPolicy(0.3, attempt_deadline=0.1)
        exchange.answer(PLACE, pb.PlaceOrderRequest, silent)
        with pytest.raises(OutcomeUnknown, match="repeat with the same id") as unknown:
            await market.buy("ACME", 1, 1, client_order_id=42)
        assert unknown.value.metadata["client_order_id"] == "42"
        exchange.answer("MarketDataService/GetBook", md.GetBookRequest, silent)
        with pytest.raises(Unavailable, match="no answer"):
            await market.book("ACME")
        market._connection.retry = patient
        exchange.answer(PLACE, pb.PlaceOrderRequest, refusing)
        with pytest.raises(Unavailable, match="draining"):
            await market.buy("ACME", 1, 1)


async def test_nobody_there_is_told(exchange: Exchange) -> None:
    market = smartex_client.connect("127.0.0.1:1", retry=RetryPolicy(deadline=1.0))
    async with market:
        with pytest.raises(Unavailable, match="no exchange answers") as error:
            await market.book(7)
    assert error.value.reason == "UNREACHABLE"


async def test_streams_that_never_began_tell_it_as_soon_as_calls_do() -> None:
    async with smartex_client.connect("127.0.0.1:1", retry=RetryPolicy(deadline=0.2)) as market:
        for stream in (market.notifications.live_inbox(), market.subscribe(), market.trade_stream()):
            async with asyncio.timeout(60):
                with pytest.raises(Unavailable, match="no exchange answers") as error:
                    await (anext(stream) if hasattr(stream, "__anext__") else stream.__aenter__())
            assert error.value.reason == "UNREACHABLE"


async def test_an_unknown_outcome_names_its_request(exchange: Exchange, fail: Any, info: Any) -> None:
    seen: list[int] = []

    async def lost(request: Any, context: Any) -> None:
        seen.append(request.request_id)
        await fail(context, grpc.StatusCode.UNAVAILABLE, "gone", info("CONNECTION_LOST"), NOT_IN_TIME)

    exchange.answer("AccountService/Deposit", acc.DepositRequest, lost)
    exchange.answer("VenueService/SetTradingState", venue.SetTradingStateRequest, lost)
    exchange.answer("OrderEntryService/CancelOrder", pb.CancelOrderRequest, lost)
    async with exchange.market() as market:
        for work in (market.venue.deposit(1, 5, "CNY"), market.venue.halt(), market.cancel(5)):
            seen.clear()
            with pytest.raises(OutcomeUnknown) as unknown:
                await work
            assert unknown.value.metadata == {"request_id": str(seen[0])}
            assert str(seen[0]) in str(unknown.value)


CODES: list[tuple[grpc.StatusCode, type[SmartexError], type[SmartexError]]] = [
    (grpc.StatusCode.INVALID_ARGUMENT, InvalidInput, Final),
    (grpc.StatusCode.OUT_OF_RANGE, InvalidInput, Final),
    (grpc.StatusCode.NOT_FOUND, smartex_client.NotFound, Final),
    (grpc.StatusCode.UNAUTHENTICATED, smartex_client.Unauthenticated, Final),
    (grpc.StatusCode.PERMISSION_DENIED, PermissionDenied, Final),
    (grpc.StatusCode.FAILED_PRECONDITION, smartex_client.FailedPrecondition, Final),
    (grpc.StatusCode.INTERNAL, ServerFault, Final),
    (grpc.StatusCode.UNIMPLEMENTED, ServerFault, Final),
    (grpc.StatusCode.UNAVAILABLE, Unavailable, Retryable),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, Overloaded, Retryable),
    (grpc.StatusCode.DEADLINE_EXCEEDED, Unavailable, Retryable),
]


@pytest.mark.parametrize(("code", "kind", "family"), CODES)
async def test_each_failure_has_its_error(
    exchange: Exchange,
    fail: Any,
    info: Callable[..., Any],
    code: grpc.StatusCode,
    kind: type[SmartexError],
    family: type[SmartexError],
) -> None:
    calls = 0

    async def book(request: Any, context: Any) -> None:
        nonlocal calls
        calls += 1
        bad = error_details_pb2.BadRequest(
            field_violations=[
                error_details_pb2.BadRequest.FieldViolation(field="depth", description="too deep")
            ]
        )
        await fail(context, code, "what to do", info("SOME_REASON", incident="abc"), bad, NOT_IN_TIME)

    exchange.answer("MarketDataService/GetBook", md.GetBookRequest, book)
    async with exchange.market() as market:
        with pytest.raises(family) as error:
            await market.book("ACME")
    assert type(error.value) is kind
    assert calls == 1
    if family is Final:
        assert (error.value.reason, str(error.value)) == ("SOME_REASON", "what to do")
        assert error.value.metadata == {"incident": "abc"}
    if isinstance(error.value, InvalidInput):
        assert error.value.field == "depth"


async def test_a_rejection_carries_its_numbers(exchange: Exchange) -> None:
    async def place(request: pb.PlaceOrderRequest, context: Any) -> Any:
        report = types.Report(
            kind=types.REPORT_KIND_REJECTED,
            reason=types.REASON_INSUFFICIENT_FUNDS,
            required=1_234_000_000,
            available=1_000_000_000,
        )
        return pb.PlaceOrderResponse(outcome=report)

    exchange.answer(PLACE, pb.PlaceOrderRequest, place)
    async with exchange.market() as market:
        with pytest.raises(smartex_client.InsufficientFunds) as error:
            await market.buy("ACME", 1, 1)
    assert str(error.value) == "needs 1,234.00 CNY, free 1,000.00"
    assert (error.value.required, error.value.available) == (Decimal("1234.00"), Decimal("1000.00"))
    assert isinstance(error.value, OrderRejected)


async def test_what_cannot_be_said_never_reaches_the_exchange(exchange: Exchange) -> None:
    async with exchange.market() as market:
        with pytest.raises(OffTick):
            await market.buy("ACME", 1, "0.001")
        with pytest.raises(InvalidInput, match="min_quantity 0 must") as least:
            await market.buy("ACME", 1, 1, tif="ioc", min_quantity=0)
        assert least.value.field == "min_quantity"
        with pytest.raises(OffLot, match="min_quantity") as off:
            await market.buy("ACME", 1, 1, tif="ioc", min_quantity="0.5")
        assert off.value.field == "min_quantity"
        for wrong in (
            {"tif": "forever"},
            {"post_only": "maybe"},
            {"self_trade": "x"},
            {"client_order_id": 0},
            {"client_order_id": 2**63},
        ):
            with pytest.raises(InvalidInput):
                await market.buy("ACME", 1, 1, **wrong)
        with pytest.raises(InvalidInput, match="nothing to change"):
            await market.amend(5)


async def test_amounts_that_an_answer_does_not_tell_are_none(exchange: Exchange) -> None:
    order: dict[str, Any] = {"instrument_id": 7, "order_id": 5, "side": types.SIDE_BUY, "price_ticks": 100}

    async def find(request: Any, context: Any) -> query.GetOrderResponse:
        return query.GetOrderResponse(order=types.Order(order_id=5, instrument_id=7))

    async def cancel(request: Any, context: Any) -> pb.CancelOrderResponse:
        kind = types.REPORT_KIND_CANCELLED
        return pb.CancelOrderResponse(outcome=types.Report(kind=kind, quantity_lots=150, **order))

    async def amend(request: Any, context: Any) -> pb.AmendOrderResponse:
        changed = types.Report(kind=types.REPORT_KIND_AMENDED, quantity_lots=200, leaves_lots=120, **order)
        fill = types.Report(kind=types.REPORT_KIND_FILLED, quantity_lots=30, **order)
        return pb.AmendOrderResponse(outcome=changed, reports=[fill])

    exchange.answer("OrderQueryService/GetOrder", query.GetOrderRequest, find)
    exchange.answer("OrderEntryService/CancelOrder", pb.CancelOrderRequest, cancel)
    exchange.answer("OrderEntryService/AmendOrder", pb.AmendOrderRequest, amend)
    async with exchange.market() as market:
        amended = await market.amend(5, price=1)
        cancelled = await market.cancel(5)
    # 50 had traded before, 30 did now: what the first were worth is in the history only.
    assert (amended.quantity, amended.filled_quantity, amended.value, amended.fees) == (200, 80, None, None)
    assert (cancelled.quantity, cancelled.filled_quantity, cancelled.open_quantity) == (None, None, 0)
    assert (cancelled.status, cancelled.value) == ("cancelled", None)


async def test_plain_code_trades(exchange: Exchange) -> None:
    async def place(request: pb.PlaceOrderRequest, context: Any) -> Any:
        return accepted(request)

    async def trades(request: md.ListTradesRequest, context: Any) -> md.ListTradesResponse:
        first = int(request.page_token or 0)
        page = [md.Trade(trade_id=first + place, instrument_id=7, quantity_lots=1) for place in range(2)]
        return md.ListTradesResponse(trades=page, next_page_token=str(first + 2) if first < 4 else "")

    exchange.answer(PLACE, pb.PlaceOrderRequest, place)
    exchange.answer("MarketDataService/ListTrades", md.ListTradesRequest, trades)

    def plain() -> None:
        with smartex_client.connect_sync(exchange.url) as market:
            assert market.buy("ACME", 3, "1.00").open_quantity == 3
            assert [each.trade_id for each in market.trades("ACME")] == [0, 1, 2, 3, 4, 5]
            assert [each.trade_id for each in market.trades("ACME", limit=3)] == [0, 1, 2]
            with pytest.raises(OffTick):
                market.buy("ACME", 3, "1.001")

    await asyncio.to_thread(plain)
