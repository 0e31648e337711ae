"""What an operator does about others' orders, through the API of a running pod."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from smartex.matching.v1 import order_entry_pb2 as pb
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1 import venue_pb2
from waiting import until


async def cancel_orders(operator: Any, **fields: Any) -> venue_pb2.CancelOrdersResponse:
    request = venue_pb2.CancelOrdersRequest(**({"request_id": 7} | fields))
    answer: venue_pb2.CancelOrdersResponse = await operator.venue.CancelOrders(
        request, metadata=operator.metadata, timeout=20
    )
    return answer


async def set_state(operator: Any, state: Any, account_id: int = 1) -> None:
    request = venue_pb2.SetAccountStateRequest(account_id=account_id, trading_state=state, request_id=8)
    await operator.venue.SetAccountState(request, metadata=operator.metadata, timeout=20)


async def test_an_account_is_stopped_and_set_free_again(venue: Any, open_market: Any) -> None:
    async with venue.pod("a") as running:
        operator = await open_market(running)
        alice, bob = running.trader(1), running.trader(2)
        call = alice.trade()
        await call.write(pb.TradeRequest(open=pb.TradeOpen()))
        assert (await call.read()).HasField("opened")
        await alice.place(types.SIDE_BUY, 900, 5)
        await bob.place(types.SIDE_BUY, 901, 5)
        await set_state(operator, types.TRADING_STATE_HALTED)
        refused = await alice.place(types.SIDE_BUY, 900, 1)
        assert refused.outcome.reason == types.REASON_ACCOUNT_HALTED
        done = await cancel_orders(operator, account_id=1)
        assert done.cancelled_order_count == 1
        seen: list[types.Report] = []
        while not seen or seen[-1].kind != types.REPORT_KIND_CANCELLED:
            seen += (await call.read()).reports
        assert [report.kind for report in seen] == [
            types.REPORT_KIND_ACCEPTED,
            types.REPORT_KIND_REJECTED,
            types.REPORT_KIND_CANCELLED,
        ]
        assert seen[-1].reason == types.REASON_CANCELLED_BY_OPERATOR
        assert seen[-1].sequence == done.sequence - 1
        account = await alice.get_account()
        assert (account.open_order_count, account.trading_state) == (0, types.TRADING_STATE_HALTED)
        call.cancel()
    # The state outlives a restart, and the other's order was left alone.
    async with venue.pod("a") as running:
        operator, alice, bob = running.operator(), running.trader(1), running.trader(2)
        assert (await bob.get_account()).open_order_count == 1
        refused = await alice.place(types.SIDE_BUY, 900, 1, client_order_id=11)
        assert refused.outcome.reason == types.REASON_ACCOUNT_HALTED
        await set_state(operator, types.TRADING_STATE_OPEN)
        taken = await alice.place(types.SIDE_BUY, 900, 1, client_order_id=12)
        assert taken.outcome.kind == types.REPORT_KIND_ACCEPTED


async def test_a_book_is_cleared_on_both_pods(venue: Any, open_market: Any) -> None:
    async with venue.pod("a") as first, venue.pod("b") as second:
        operator = await open_market(first)
        for account in (1, 2):
            trader = first.trader(account)
            await trader.place(types.SIDE_BUY, 900, 5)
            await trader.place(types.SIDE_SELL, 1100, 5)
        assert (
            await cancel_orders(operator, instrument_id=1, side=types.SIDE_SELL)
        ).cancelled_order_count == 2
        done = await cancel_orders(operator, instrument_id=1)
        assert done.cancelled_order_count == 2
        core = second.pod.replica.core
        await until(lambda: core.sequence >= done.sequence)
        assert core.open_order_count == 0
        assert core.state_hash() == first.pod.replica.core.state_hash()


async def test_what_is_refused_says_why_and_changes_nothing(venue: Any, open_market: Any) -> None:
    async with venue.pod(clock_interval_ms=10_000) as running:
        operator = await open_market(running)
        before = running.pod.replica.core.state_hash()
        cases: list[tuple[Any, str, Any, str]] = [
            (venue_pb2.CancelOrdersRequest(request_id=1), "CancelOrders", "INVALID_ARGUMENT", "account_id"),
            (venue_pb2.CancelOrdersRequest(account_id=1), "CancelOrders", "INVALID_ARGUMENT", "request_id"),
            (
                venue_pb2.CancelOrdersRequest(account_id=1, side=3, request_id=1),  # type: ignore[arg-type]
                "CancelOrders",
                "INVALID_ARGUMENT",
                "side",
            ),
            (
                venue_pb2.CancelOrdersRequest(instrument_id=99, request_id=1),
                "CancelOrders",
                "NOT_FOUND",
                "instrument 99",
            ),
            (
                venue_pb2.SetAccountStateRequest(
                    account_id=1, trading_state=types.TRADING_STATE_CLOSED, request_id=1
                ),
                "SetAccountState",
                "INVALID_ARGUMENT",
                "trading_state",
            ),
            (
                venue_pb2.SetAccountStateRequest(
                    account_id=99, trading_state=types.TRADING_STATE_HALTED, request_id=1
                ),
                "SetAccountState",
                "NOT_FOUND",
                "first deposit",
            ),
        ]
        for request, method, code, text in cases:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await getattr(operator.venue, method)(request, metadata=operator.metadata, timeout=20)
            assert caught.value.code().name == code, request
            assert text in (caught.value.details() or ""), request
        assert running.pod.replica.core.state_hash() == before
