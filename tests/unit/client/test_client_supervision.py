"""Positions, notifications and conversations against a scripted exchange: pages, streams that resume, the trace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from smartex.matching.v1 import order_entry_pb2 as entry
from smartex.matching.v1 import types_pb2 as market_types
from smartex.notifications.v1 import notification_service_pb2 as notify_pb
from smartex.positions.v1 import advice_pb2, portfolio_pb2, types_pb2
from smartex.positions.v1 import position_service_pb2 as pb
from smartex_client import model
from smartex_client.cli.advice import _figure
from smartex_client.cli.trace import chain
from smartex_client.errors import NotFound
from smartex_client.positions import changed

POSITIONS = "positions.v1.PositionService"
NOTIFICATIONS = "notifications.v1.NotificationService"


def position(number: int, lots: int, weight: float) -> portfolio_pb2.Position:
    return portfolio_pb2.Position(instrument_id=number, quantity_lots=lots, weight=weight)


def test_a_delta_replaces_what_it_names_and_takes_out_what_is_gone() -> None:
    known = portfolio_pb2.Portfolio(account_id=7, sequence=1)
    known.positions.extend([position(1, 100, 0.4), position(2, 50, 0.2)])
    delta = pb.PortfolioDelta(sequence=5)
    delta.positions.extend([position(1, 0, 0), position(3, 10, 0.3)])
    new = changed(known, delta)
    assert [each.instrument_id for each in new.positions] == [3, 2]
    assert (new.account_id, new.sequence) == (7, 5)
    assert [each.instrument_id for each in known.positions] == [1, 2]


@pytest.mark.parametrize(
    ("unit", "shown"),
    [("share", "54.2 % → 40.0 %"), ("index", "0.542 → 0.400"), ("money", "0.54 → 0.40")],
)
def test_a_figure_is_written_by_its_unit(unit: str, shown: str) -> None:
    assert _figure(advice_pb2.WhatIf(unit=unit, before=0.542, after=0.4)) == shown


async def test_lists_go_over_all_pages(exchange: Any) -> None:
    async def alerts(request: pb.ListAlertsRequest, context: Any) -> pb.ListAlertsResponse:
        page = int(request.page_token or 0)
        found = [advice_pb2.Alert(alert_id=f"{page}-{each}") for each in range(2)]
        return pb.ListAlertsResponse(alerts=found, next_page_token=str(page + 1) if page < 2 else "")

    exchange.answer(f"{POSITIONS}/ListAlerts", pb.ListAlertsRequest, alerts)
    async with exchange.market() as market:
        found = [each.alert_id async for each in market.positions.alerts()]
    assert found == ["0-0", "0-1", "1-0", "1-1", "2-0", "2-1"]


async def test_the_inbox_goes_on_after_the_last_entry_seen(exchange: Any) -> None:
    asked: list[int] = []

    async def stream(
        request: notify_pb.StreamInboxRequest, context: Any
    ) -> AsyncIterator[notify_pb.StreamInboxResponse]:
        asked.append(request.after_position)
        for position_ in range(request.after_position + 1, request.after_position + 3):
            yield notify_pb.StreamInboxResponse(entry=notify_pb.InboxEntry(position=position_))
        await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    exchange.send(f"{NOTIFICATIONS}/StreamInbox", notify_pb.StreamInboxRequest, stream)
    seen = []
    async with exchange.market() as market:
        async for message in market.notifications.live_inbox():
            seen.append(message.entry.position)
            if len(seen) == 6:
                break
    assert seen == [1, 2, 3, 4, 5, 6]
    assert asked == [0, 2, 4]


async def test_a_final_failure_of_a_stream_is_raised(exchange: Any) -> None:
    async def stream(request: Any, context: Any) -> AsyncIterator[pb.StreamPortfolioResponse]:
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such account")
        yield pb.StreamPortfolioResponse()

    exchange.send(f"{POSITIONS}/StreamPortfolio", pb.StreamPortfolioRequest, stream)
    async with exchange.market() as market:
        with pytest.raises(NotFound):
            async for _ in market.positions.live_portfolio():
                pass


async def test_suggested_orders_keep_their_numbers_and_refusals_are_told(exchange: Any) -> None:
    placed: list[entry.PlaceOrderRequest] = []

    async def place(request: entry.PlaceOrderRequest, context: Any) -> entry.PlaceOrderResponse:
        placed.append(request)
        refused = request.client_order_id == 12
        kind = market_types.REPORT_KIND_REJECTED if refused else market_types.REPORT_KIND_ACCEPTED
        reason = market_types.REASON_INSUFFICIENT_FUNDS if refused else market_types.REASON_UNSPECIFIED
        report = market_types.Report(
            kind=kind, instrument_id=7, client_order_id=request.client_order_id, reason=reason
        )
        return entry.PlaceOrderResponse(outcome=report)

    exchange.answer("OrderEntryService/PlaceOrder", entry.PlaceOrderRequest, place)
    orders = [
        types_pb2.OrderSuggestion(
            instrument_id=7, side=2, quantity_lots=5, price_ticks=1000, client_order_id=number
        )
        for number in (11, 12)
    ]
    async with exchange.market() as market:
        found = await market.positions.place_suggested(orders)
    assert [each.client_order_id for each in placed] == [11, 12]
    assert isinstance(found[0][1], model.Order)
    refusal = found[1][1]
    assert isinstance(refusal, model.Report)
    assert refusal.reason == "INSUFFICIENT_FUNDS"


async def test_a_chain_is_read_from_both_services_whichever_knows_the_id(exchange: Any) -> None:
    def step(service: str, kind: str, second: int) -> types_pb2.Step:
        made = types_pb2.Step(service=service, kind=kind)
        made.time.FromSeconds(second)
        return made

    async def positions(request: pb.ListStepsRequest, context: Any) -> pb.ListStepsResponse:
        known = request.id == "trace"
        steps = [step("positions", "alert", 1), step("positions", "fill", 9)] if known else []
        return pb.ListStepsResponse(trace_id="trace" if known else "", steps=steps)

    async def notifications(request: notify_pb.ListStepsRequest, context: Any) -> notify_pb.ListStepsResponse:
        known = request.id in ("trace", "delivery-1")
        steps = [step("notifications", "attempt", 2)] if known else []
        return notify_pb.ListStepsResponse(trace_id="trace" if known else "", steps=steps)

    exchange.answer(f"{POSITIONS}/ListSteps", pb.ListStepsRequest, positions)
    exchange.answer(f"{NOTIFICATIONS}/ListSteps", notify_pb.ListStepsRequest, notifications)
    async with exchange.market() as market:
        trace_id, steps = await chain(market, "delivery-1")
        with pytest.raises(NotFound):
            await chain(market, "nothing")
    assert trace_id == "trace"
    assert [each.kind for each in steps] == ["alert", "attempt", "fill"]
