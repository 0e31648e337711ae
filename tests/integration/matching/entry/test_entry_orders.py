"""Orders through gRPC, on both engines."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from plain_instrument import plain_instrument
from smartex.matching.v1 import account_pb2 as acc
from smartex.matching.v1 import order_entry_pb2 as pb
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1 import venue_pb2

STILL_MS = 10_000
"""Between two ticks of a pod whose state is compared: the market's time is part of its hash, and would go on."""


async def test_place_trade_amend_cancel(venue: Any, open_market: Any) -> None:
    async with venue.pod() as running:
        await open_market(running)
        alice, bob = running.trader(1), running.trader(2)

        resting = await alice.place(types.SIDE_SELL, 1000, 10)
        assert resting.outcome.kind == types.REPORT_KIND_ACCEPTED
        assert resting.outcome.leaves_lots == 10

        taken = await bob.place(types.SIDE_BUY, 1001, 4)
        assert taken.outcome.kind == types.REPORT_KIND_ACCEPTED
        (fill,) = taken.reports
        assert (fill.kind, fill.price_ticks, fill.quantity_lots) == (types.REPORT_KIND_FILLED, 1000, 4)
        assert fill.liquidity == types.LIQUIDITY_TAKER
        assert fill.fee_micros == 4 * 1000 * 10_000 * 100 // 1_000_000

        amended = await alice.entry.AmendOrder(
            pb.AmendOrderRequest(
                client_order_id=1, request_id=5, quantity_lots=8, create_time_ns=resting.outcome.event_time_ns
            ),
            metadata=alice.metadata,
        )
        assert amended.outcome.kind == types.REPORT_KIND_AMENDED
        assert amended.outcome.kept_priority
        assert amended.outcome.leaves_lots == 4

        cancelled = await alice.entry.CancelOrder(
            pb.CancelOrderRequest(client_order_id=1), metadata=alice.metadata
        )
        assert cancelled.outcome.kind == types.REPORT_KIND_CANCELLED
        assert cancelled.outcome.quantity_lots == 4

        account = await bob.get_account()
        assert account.holdings[0].total_lots == 1_000_004
        assert account.cash[0].total.amount == "999959.996"


async def test_an_answer_tells_of_its_own_order_alone(venue: Any, open_market: Any) -> None:
    """Not of another order of the account that it met; each of these brings several events about."""
    async with venue.pod() as running:
        await open_market(running)
        alice, bob = running.trader(1), running.trader(2)
        await alice.place(types.SIDE_SELL, 1000, 5)
        await bob.place(types.SIDE_SELL, 1000, 3)
        met = await alice.place(
            types.SIDE_BUY, 1000, 8, self_trade_prevention=types.SELF_TRADE_PREVENTION_CANCEL_OLDEST
        )
        assert (met.outcome.kind, met.outcome.client_order_id) == (types.REPORT_KIND_ACCEPTED, 2)
        (fill,) = met.reports
        assert (fill.kind, fill.quantity_lots, fill.leaves_lots) == (types.REPORT_KIND_FILLED, 3, 5)

        await bob.place(types.SIDE_SELL, 1010, 2)
        moved = await alice.entry.AmendOrder(
            pb.AmendOrderRequest(
                client_order_id=2, request_id=1, price_ticks=1010, create_time_ns=met.outcome.event_time_ns
            ),
            metadata=alice.metadata,
        )
        assert moved.outcome.kind == types.REPORT_KIND_AMENDED
        assert [(each.kind, each.quantity_lots) for each in moved.reports] == [(types.REPORT_KIND_FILLED, 2)]

        await alice.place(types.SIDE_BUY, 900, 1)
        gone = await alice.entry.MassCancel(pb.MassCancelRequest(request_id=2), metadata=alice.metadata)
        assert gone.outcome.kind == types.REPORT_KIND_MASS_CANCELLED
        assert (gone.outcome.quantity_lots, gone.outcome.request_id) == (2, 2)
        refused = await alice.entry.CancelOrder(
            pb.CancelOrderRequest(client_order_id=2, request_id=3), metadata=alice.metadata
        )
        assert (refused.outcome.kind, refused.outcome.request_id) == (types.REPORT_KIND_CANCEL_REJECTED, 3)


async def test_repeat_gives_the_first_outcome(venue: Any, open_market: Any) -> None:
    async with venue.pod() as running:
        await open_market(running)
        alice = running.trader(1)
        first = await alice.place(types.SIDE_BUY, 900, 5, client_order_id=77)
        again = await alice.place(types.SIDE_BUY, 900, 5, client_order_id=77)
        assert again.outcome.repeated
        assert again.outcome.order_id == first.outcome.order_id
        assert (await alice.get_account()).open_order_count == 1


def dollars(amount: str) -> types.Money:
    return types.Money(currency_code="USD", amount=amount)


def in_another_currency() -> types.Instrument:
    instrument = plain_instrument()
    instrument.symbol, instrument.currency_code = "YUAN", "CNY"
    return instrument


async def test_a_number_of_another_deposit_is_refused(venue: Any, open_market: Any) -> None:
    """Two operators count from one: the second must not be told that its money is there."""
    async with venue.pod() as running:
        operator = await open_market(running)
        made = Timestamp()
        made.GetCurrentTime()
        usual: dict[str, Any] = {"account_id": 1, "cash": dollars("5"), "request_id": 900}

        async def move(kind: str = "Deposit", **changes: Any) -> Any:
            message = acc.DepositRequest if kind == "Deposit" else acc.WithdrawRequest
            request = message(create_time=made, **(usual | changes))
            return await getattr(operator.account, kind)(request, metadata=operator.metadata, timeout=60)

        await operator.venue.DefineInstrument(
            venue_pb2.DefineInstrumentRequest(instrument=in_another_currency(), request_id=2),
            metadata=operator.metadata,
            timeout=60,
        )
        assert not (await move()).repeated
        assert (await move()).repeated
        shares = acc.ShareAmount(instrument_id=1, quantity_lots=5)
        for kind, changes in (
            ("Deposit", {"account_id": 2}),
            ("Deposit", {"cash": dollars("6")}),
            ("Deposit", {"cash": None, "shares": shares}),
            ("Withdraw", {"cash": dollars("7")}),
            ("Withdraw", {}),
            ("Deposit", {"cash": types.Money(currency_code="CNY", amount="5")}),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await move(kind, **changes)
            assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION, changes
            assert "900" in (caught.value.details() or "")
        assert (await move()).repeated
        far = {"request_id": 901, "cash": dollars("999999999")}
        for account_id, told in ((1, "too little free cash"), (1, "too little free cash"), (2, "another")):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await move("Withdraw", account_id=account_id, **far)
            assert told in (caught.value.details() or "")


async def test_malformed_requests_leave_the_state_alone(venue: Any, open_market: Any) -> None:
    async with venue.pod(clock_interval_ms=STILL_MS) as running:
        operator = await open_market(running)
        alice = running.trader(1)
        before = await operator.state_hash()
        for changes in (
            {"client_order_id": 0},
            {"instrument_id": 0},
            {"side": 0},
            {"side": 77},
            {"order_type": 0},
            {"time_in_force": 0},
            {"price_ticks": -1},
            {"quantity_lots": 0},
            {"create_time_ns": 0},
            {"min_quantity_lots": -5},
            {"expire_time_ns": -5},
            {"post_only": 9},
            {"self_trade_prevention": 9},
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await alice.place(**({"side": 1, "price": 900, "lots": 1} | changes))
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT, changes
            assert next(iter(changes)) in (caught.value.details() or "")
        after = await operator.state_hash()
        assert after.state_hash == before.state_hash
        assert after.sequence == before.sequence


async def test_a_restart_brings_everything_back(venue: Any, open_market: Any) -> None:
    async with venue.pod("a", clock_interval_ms=STILL_MS) as running:
        operator = await open_market(running)
        await running.trader(1).place(types.SIDE_BUY, 900, 5)
        before = await operator.state_hash()
    assert list((venue.folder / "a").glob("*.snapshot"))
    async with venue.pod("a", clock_interval_ms=STILL_MS) as running:
        after = await running.operator().state_hash()
        assert after.state_hash == before.state_hash
        assert (await running.trader(1).get_account()).open_order_count == 1
    async with venue.pod("new", clock_interval_ms=STILL_MS) as running:
        assert (await running.operator().state_hash()).state_hash == before.state_hash
