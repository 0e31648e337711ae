"""Portfolios over gRPC: exact figures, streams, history, the past, and who may see them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from smartex.matching.v1 import types_pb2, venue_pb2
from smartex.positions.v1 import portfolio_pb2
from smartex.positions.v1 import position_service_pb2 as pb
from waiting import until

if TYPE_CHECKING:
    from tests.integration.positions.live.conftest import Exchange

BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL


def held(portfolio: Any, number: int) -> Any:
    return next(one for one in portfolio.positions if one.instrument_id == number)


async def refused(call: Any) -> Any:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value


async def test_a_purchase_by_hand(exchange: Exchange) -> None:
    async with exchange.positions() as (pod, channel):
        alice, bob = exchange.caller(1), exchange.caller(2)
        await bob.place(SELL, 1100, 300)
        await alice.place(BUY, 1100, 300)
        await alice.place(SELL, 1200, 100)
        await exchange.folded(pod)
        portfolio = await exchange.caller(1, at=channel).portfolio()
    # 100,000 deposited at the reference of 10.00 = 1,000,000.00, and 300 × 11.00 = 3,300.00 + 0.03 % (taker) 0.99.
    mine = held(portfolio, 1)
    assert (mine.quantity_lots, mine.available_lots) == (100_300, 100_200)
    assert mine.fifo_cost.amount == "1003300.99"
    assert mine.fees.amount == "0.99"
    # 1,003,300.99 / 100,300 = 10.0030008…
    assert mine.average_cost == "10.003001"
    assert mine.mark.source in (portfolio_pb2.MARK_SOURCE_TRADE, portfolio_pb2.MARK_SOURCE_REFERENCE)
    assert mine.mark.price == "11.00"
    assert mine.value.amount == "1103300.00"
    assert mine.unrealised.amount == "99999.01"
    assert [lot.quantity_lots for lot in mine.lots] == [100_000, 300]
    assert portfolio.cash[0].total.amount == "996699.01"
    # 996,699.01 + 1,103,300.00 + 100,000 × 10.00
    assert portfolio.totals.equity == "3099999.01"
    assert portfolio.totals.net_deposits == "3000000.00"
    assert portfolio.open_orders.order_count == 1
    assert portfolio.open_orders.sell_value == 1200.0
    assert [share.name for share in portfolio.exposure.by_industry] == ["Banks", "Chips"]
    # Chips are in no catalogue: they are called as the instrument calls them.
    assert [share.title.zh for share in portfolio.exposure.by_industry] == ["银行", "Chips"]
    assert [share.title.en for share in portfolio.exposure.by_industry] == ["Banks", "Chips"]
    assert portfolio.exposure.leverage == pytest.approx(2103300.0 / 3099999.01)


async def test_what_was_just_ordered_is_in_the_portfolio_that_waits_for_it(exchange: Exchange) -> None:
    async with exchange.positions() as (pod, channel):
        await exchange.folded(pod)
        alice, reader = exchange.caller(1), exchange.caller(1, at=channel)
        for orders in range(1, 21):
            placed = await alice.place(BUY, 1000, 100)
            request = pb.GetPortfolioRequest(min_sequence=placed.sequence)
            portfolio = (await reader.ask("GetPortfolio", request)).portfolio
            assert portfolio.open_orders.order_count == orders
        behind = await refused(
            reader.ask("GetPortfolio", pb.GetPortfolioRequest(min_sequence=placed.sequence + 10**6))
        )
        assert behind.code() is grpc.StatusCode.UNAVAILABLE
        negative = await refused(reader.ask("GetPortfolio", pb.GetPortfolioRequest(min_sequence=-1)))
        assert negative.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_stream_begins_with_all_and_goes_on_with_what_changed(exchange: Exchange) -> None:
    async with exchange.positions() as (pod, channel):
        await exchange.folded(pod)
        alice, bob = exchange.caller(1), exchange.caller(2)
        reader = exchange.caller(1, at=channel)
        stream = reader.positions.StreamPortfolio(
            pb.StreamPortfolioRequest(interval_ms=20), metadata=reader.metadata
        )
        first = await asyncio.wait_for(stream.read(), 60)
        assert isinstance(first, pb.StreamPortfolioResponse)
        assert first.update == 1
        known = {one.instrument_id: one for one in first.snapshot.positions}
        assert known[1].quantity_lots == 100_000
        await bob.place(SELL, 1050, 70)
        for _ in range(7):
            await alice.place(BUY, 1050, 10)
        updates = [1]
        while known[1].quantity_lots < 100_070:
            message = await asyncio.wait_for(stream.read(), 60)
            assert isinstance(message, pb.StreamPortfolioResponse)
            updates.append(message.update)
            known |= {one.instrument_id: one for one in message.delta.positions}
            totals = message.delta.totals
        assert updates == list(range(1, len(updates) + 1))
        await exchange.folded(pod)
        assert totals.fees == (await reader.portfolio()).totals.fees
        assert known[2].quantity_lots == 100_000
        stream.cancel()


async def test_a_stream_of_an_unknown_interval_is_refused(exchange: Exchange) -> None:
    async with exchange.positions() as (_, channel):
        reader = exchange.caller(1, at=channel)
        stream = reader.positions.StreamPortfolio(
            pb.StreamPortfolioRequest(interval_ms=-1), metadata=reader.metadata
        )
        error = await refused(stream.read())
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_the_past_is_told_and_the_future_is_not(exchange: Exchange) -> None:
    async with exchange.positions() as (pod, channel):
        alice, bob = exchange.caller(1), exchange.caller(2)
        reader = exchange.caller(1, at=channel)
        moments: list[tuple[int, Any]] = []
        for price in (1000, 1010, 1020):
            await bob.place(SELL, price, 10)
            await alice.place(BUY, price, 10)
            await exchange.folded(pod)
            moments.append((pod.book.sequence, await reader.portfolio()))
        for sequence, then in moments:
            past = await reader.ask("GetPortfolioAt", pb.GetPortfolioAtRequest(sequence=sequence))
            assert past.portfolio.sequence == sequence
            assert held(past.portfolio, 1).fifo_cost == held(then, 1).fifo_cost
            assert list(held(past.portfolio, 1).lots) == list(held(then, 1).lots)
            assert past.portfolio.cash == then.cash
        at = pb.GetPortfolioAtRequest()
        at.time.CopyFrom(moments[1][1].time)
        past = await reader.ask("GetPortfolioAt", at)
        assert past.portfolio.sequence == moments[1][0]
        nothing = await refused(reader.ask("GetPortfolioAt", pb.GetPortfolioAtRequest()))
        assert nothing.code() is grpc.StatusCode.INVALID_ARGUMENT
        before = pb.GetPortfolioAtRequest()
        before.time.FromSeconds(1)
        assert (await refused(reader.ask("GetPortfolioAt", before))).code() is grpc.StatusCode.NOT_FOUND


async def test_too_long_a_past_and_a_trimmed_one_are_out_of_range(exchange: Exchange) -> None:
    async with exchange.positions(max_past_events=1000) as (pod, channel):
        await exchange.folded(pod)
        reader = exchange.caller(1, at=channel)
        pod.rewind._max_events = 5
        error = await refused(reader.ask("GetPortfolioAt", pb.GetPortfolioAtRequest(sequence=9)))
        assert error.code() is grpc.StatusCode.OUT_OF_RANGE
        await exchange.market.bus.trim("matching.events.v1", 0, 2)
        error = await refused(reader.ask("GetPortfolioAt", pb.GetPortfolioAtRequest(sequence=9)))
        assert error.code() is grpc.StatusCode.OUT_OF_RANGE


async def test_days_that_end_make_history_in_pages(exchange: Exchange) -> None:
    async with exchange.positions() as (pod, channel):
        operator, reader = exchange.operator(), exchange.caller(1, at=channel)
        for day in range(1, 4):
            roll = venue_pb2.RollTradingDayRequest(trading_day=day, request_id=1000 + day)
            await operator.venue.RollTradingDay(roll, metadata=operator.metadata, timeout=60)
        await exchange.folded(pod)
        request = pb.ListPortfolioHistoryRequest(days_only=True, page_size=2)
        first = await reader.ask("ListPortfolioHistory", request)
        assert [one.trading_day for one in first.points] == [3, 2]
        request.page_token = first.next_page_token
        rest = await reader.ask("ListPortfolioHistory", request)
        assert [one.trading_day for one in rest.points] == [1]
        assert rest.next_page_token == ""
        assert first.points[0].totals.equity == "3000000.00"
        assert first.points[0].growth == 1.0


async def test_nobody_sees_an_account_of_another(exchange: Exchange) -> None:
    async with exchange.positions() as (pod, channel):
        await exchange.folded(pod)
        bob = exchange.caller(2, at=channel)
        other = await refused(bob.portfolio(1))
        nobody = await refused(bob.portfolio(999))
        assert other.code() is nobody.code() is grpc.StatusCode.NOT_FOUND
        assert other.details() == nobody.details()
        supervisor = exchange.caller(0, "operate", "read", at=channel)
        assert (await refused(supervisor.portfolio(1))).code() is grpc.StatusCode.NOT_FOUND
        boss = exchange.caller(0, "admin", "operate", "read", at=channel)
        await boss.ask("AssignSupervisor", pb.AssignSupervisorRequest(supervisor="t0", account_ids=[1]))
        assert (await supervisor.portfolio(1)).account_id == 1
        assert (await refused(supervisor.portfolio(2))).code() is grpc.StatusCode.NOT_FOUND


async def test_an_old_mark_is_shown_as_stale_and_a_middle_is_fresh(exchange: Exchange) -> None:
    async with exchange.positions(stale_seconds=0.3) as (pod, channel):
        alice, bob = exchange.caller(1), exchange.caller(2)
        reader = exchange.caller(1, at=channel)
        await bob.place(SELL, 1000, 10)
        await alice.place(BUY, 1000, 10)
        await exchange.folded(pod)
        await asyncio.sleep(0.4)
        old = await reader.portfolio()
        assert held(old, 1).mark.source == portfolio_pb2.MARK_SOURCE_TRADE
        assert held(old, 1).mark.stale
        assert held(old, 1).mark.age_ms >= 300
        assert old.totals.stale_positions == 1
        # One that never traded has the day's reference, which does not age.
        assert held(old, 2).mark.source == portfolio_pb2.MARK_SOURCE_REFERENCE
        assert not held(old, 2).mark.stale
        await alice.place(BUY, 989, 10)
        await bob.place(SELL, 1000, 10)

        async def middle() -> Any:
            mark = held(await reader.portfolio(), 1).mark
            return mark if mark.source == portfolio_pb2.MARK_SOURCE_MID else None

        assert (await until(middle)).price == "9.945"
