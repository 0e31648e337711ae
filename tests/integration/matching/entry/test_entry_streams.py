"""The Trade stream: batches in, reports out, nothing lost and nothing twice."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import pytest
from refusals import reason
from smartex.matching.v1 import order_entry_pb2 as pb
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1 import venue_pb2
from smartex.matching.v1.log_pb2 import COMMAND_KIND_CLOCK, COMMAND_KIND_PLACE
from smartex.matching.v1.market_data_pb2 import Channel, SubscribeRequest
from smartex.matching.v1.market_data_pb2_grpc import MarketDataServiceStub

EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]


def order(client_order_id: int, side: int, price: int, lots: int = 1, **changes: Any) -> pb.OrderCommand:
    fields: dict[str, Any] = {
        "kind": COMMAND_KIND_PLACE,
        "instrument_id": 1,
        "client_order_id": client_order_id,
        "side": side,
        "order_type": types.ORDER_TYPE_LIMIT,
        "time_in_force": types.TIME_IN_FORCE_GTC,
        "price_ticks": price,
        "quantity_lots": lots,
        "create_time_ns": time.time_ns(),
    }
    return pb.OrderCommand(**(fields | changes))


async def opened(call: Any, **settings: int) -> pb.TradeOpened:
    await call.write(pb.TradeRequest(open=pb.TradeOpen(**settings)))
    response = await call.read()
    assert response.HasField("opened")
    told: pb.TradeOpened = response.opened
    return told


async def reports(call: Any, count: int) -> list[types.Report]:
    found: list[types.Report] = []
    async with asyncio.timeout(60):
        while len(found) < count:
            response = await call.read()
            assert response is not EOF, await call.code()
            found += response.reports
    return found


async def refused(call: Any) -> grpc.aio.AioRpcError:
    async with asyncio.timeout(60):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await to_the_end(call)
    return caught.value


async def failure(call: Any) -> grpc.StatusCode:
    return (await refused(call)).code()


async def to_the_end(call: Any) -> None:
    while await call.read() is not EOF:
        pass


async def test_outcomes_in_order_and_fills_for_both_sides(venue: Any, open_market: Any) -> None:
    async with venue.pod() as running:
        await open_market(running)
        maker, taker = running.trader(1).trade(), running.trader(2).trade()
        await opened(maker)
        await opened(taker)
        await maker.write(
            pb.TradeRequest(commands=[order(i, types.SIDE_SELL, 1000 + i, 2) for i in range(1, 6)])
        )
        accepted = await reports(maker, 5)
        assert [report.client_order_id for report in accepted] == [1, 2, 3, 4, 5]
        assert {report.kind for report in accepted} == {types.REPORT_KIND_ACCEPTED}

        ioc = order(9, types.SIDE_BUY, 1002, 5, time_in_force=types.TIME_IN_FORCE_IOC)
        await taker.write(pb.TradeRequest(commands=[ioc]))
        took = await reports(taker, 4)
        assert [report.kind for report in took] == [
            types.REPORT_KIND_ACCEPTED,
            types.REPORT_KIND_FILLED,
            types.REPORT_KIND_FILLED,
            types.REPORT_KIND_CANCELLED,
        ]
        made = await reports(maker, 2)
        assert [(report.client_order_id, report.leaves_lots) for report in made] == [(1, 0), (2, 0)]
        assert [report.trade_id for report in made] == [report.trade_id for report in took[1:3]]
        assert {report.liquidity for report in made} == {types.LIQUIDITY_MAKER}
        await maker.done_writing()
        assert await maker.read() is EOF


async def test_a_stream_resumes_without_a_gap(venue: Any, open_market: Any) -> None:
    # So few events stay in memory that most of what was missed comes from the event log.
    async with venue.pod(kept_events=50) as running:
        await open_market(running)
        alice = running.trader(1)
        call = alice.trade()
        await opened(call)
        sent = 0
        for _ in range(20):
            batch = [order(sent + i, types.SIDE_BUY, 900) for i in range(1, 21)]
            await call.write(pb.TradeRequest(commands=batch))
            sent += 20
        seen = await reports(call, 400)
        assert [report.client_order_id for report in seen] == list(range(1, 401))
        await running.pod.publisher.flush()

        for fresh_count, missed_after in enumerate((0, 100, 399), start=1):
            again = alice.trade()
            resume = seen[missed_after].sequence
            await again.write(pb.TradeRequest(open=pb.TradeOpen(resume_sequence=resume)))
            assert (await again.read()).HasField("opened")
            fresh = await alice.place(types.SIDE_BUY, 901, 1, client_order_id=1000 + missed_after)
            expected = [report.sequence for report in seen[missed_after + 1 :]]
            missed = await reports(again, len(expected) + fresh_count)
            sequences = [report.sequence for report in missed]
            assert sequences == sorted(set(sequences))
            assert sequences[: len(expected)] == expected
            assert sequences[-1] == fresh.outcome.sequence
            again.cancel()


async def test_who_has_seen_more_than_there_is_is_told(venue: Any, open_market: Any) -> None:
    """As after a restore from an older backup."""
    async with venue.pod() as running:
        await open_market(running)
        alice = running.trader(1)
        ahead = running.pod.replica.core.sequence + 7
        trade = alice.trade()
        await trade.write(pb.TradeRequest(open=pb.TradeOpen(resume_sequence=ahead)))
        data, metadata = MarketDataServiceStub(running.channel), running.operator().metadata
        subscriptions = [
            data.Subscribe(SubscribeRequest(channel=channel, resume_sequence=ahead), metadata=metadata)
            for channel in (Channel.CHANNEL_L3, Channel.CHANNEL_TRADES)
        ]
        for call in (trade, *subscriptions):
            error = await refused(call)
            assert (error.code(), reason(error)) == (grpc.StatusCode.OUT_OF_RANGE, "RESUME_AHEAD")


async def test_malformed_messages_end_the_stream(venue: Any, open_market: Any) -> None:
    async with venue.pod() as running:
        await open_market(running)
        alice = running.trader(1)
        without_open = alice.trade()
        await without_open.write(pb.TradeRequest(commands=[order(1, types.SIDE_BUY, 900)]))
        assert await failure(without_open) == grpc.StatusCode.INVALID_ARGUMENT

        foreign = alice.trade()
        await opened(foreign)
        await foreign.write(
            pb.TradeRequest(commands=[order(1, types.SIDE_BUY, 900, kind=COMMAND_KIND_CLOCK)])
        )
        assert await failure(foreign) == grpc.StatusCode.INVALID_ARGUMENT

        raw = running.channel.stream_stream("/smartex.matching.v1.OrderEntryService/Trade")(
            metadata=alice.metadata
        )
        await raw.write(pb.TradeRequest(open=pb.TradeOpen()).SerializeToString())
        await raw.read()
        await raw.write(b"\xff\xff\xff")
        assert await failure(raw) == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_slow_reader_is_cut_and_others_are_not_slowed(venue: Any, open_market: Any) -> None:
    async with venue.pod(stream_queue_bytes=200_000) as running:
        await open_market(running)
        alice = running.trader(1)
        slow, writer = alice.trade(), alice.trade()
        await opened(slow)
        await opened(writer)
        sent = 0
        while sent < 60_000:
            await writer.write(
                pb.TradeRequest(
                    commands=[
                        order(sent + i, types.SIDE_BUY, 900, time_in_force=types.TIME_IN_FORCE_IOC)
                        for i in range(1, 501)
                    ]
                )
            )
            sent += 500
            await reports(writer, 1000)
        assert await failure(slow) == grpc.StatusCode.RESOURCE_EXHAUSTED

        # So is one that comes back and does not read what it missed: not only when it has read all of that.
        again = alice.trade()
        await opened(again, resume_sequence=1)
        streams = running.pod.hub.streams_of(1)
        async with asyncio.timeout(60):
            while running.pod.hub.streams_of(1) == streams:
                commands = [
                    order(sent + i, types.SIDE_BUY, 900, time_in_force=types.TIME_IN_FORCE_IOC)
                    for i in range(1, 501)
                ]
                await writer.write(pb.TradeRequest(commands=commands))
                sent += 500
                await reports(writer, 1000)
        error = await refused(again)
        assert (error.code(), reason(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER")


async def test_silence_cancels_the_orders_of_a_session(venue: Any, open_market: Any) -> None:
    async with venue.pod() as running:
        operator = await open_market(running)
        alice = running.trader(1)
        call = alice.trade()
        await opened(call, session_id=7, cancel_on_disconnect_ms=300)
        await call.write(pb.TradeRequest(commands=[order(1, types.SIDE_BUY, 900)]))
        await reports(call, 1)
        await alice.place(types.SIDE_BUY, 901, 1, client_order_id=2)
        await asyncio.sleep(1.0)  # far more than the grace time: the beats keep the session
        assert (await alice.get_account()).open_order_count == 2
        sessions = await operator.venue.ListSessions(
            venue_pb2.ListSessionsRequest(), metadata=operator.metadata
        )
        assert [session.session_id for session in sessions.sessions] == [7]
        call.cancel()
        async with asyncio.timeout(60):
            while (await alice.get_account()).open_order_count != 1:
                await asyncio.sleep(0.05)


async def test_no_account_takes_all_sessions(venue: Any, open_market: Any) -> None:
    """They outlive their streams."""
    async with venue.pod(max_sessions_per_account=2) as running:
        await open_market(running)
        alice, bob = running.trader(1), running.trader(2)
        for number in (1, 2):
            call = alice.trade()
            await opened(call, session_id=number, cancel_on_disconnect_ms=60_000)
            call.cancel()
        third, again, other = alice.trade(), alice.trade(), bob.trade()
        await third.write(pb.TradeRequest(open=pb.TradeOpen(session_id=3, cancel_on_disconnect_ms=60_000)))
        assert await failure(third) == grpc.StatusCode.RESOURCE_EXHAUSTED
        await opened(again, session_id=2, cancel_on_disconnect_ms=60_000)
        await opened(other, session_id=4, cancel_on_disconnect_ms=60_000)
        again.cancel()
        other.cancel()


async def test_overload_is_told_with_advice(venue: Any, open_market: Any) -> None:
    async with venue.pod(order_rate=0.001, order_burst=3.0) as running:
        await open_market(running)
        alice = running.trader(1)
        for _ in range(3):
            await alice.place(types.SIDE_BUY, 900, 1)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await alice.place(types.SIDE_BUY, 900, 1)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        trailing: Any = caught.value.trailing_metadata()
        details = dict(trailing)["grpc-status-details-bin"]
        assert b"RetryInfo" in details
        assert b"RATE_LIMITED" in details
        bob = running.trader(2)  # another account is not concerned
        assert (await bob.place(types.SIDE_BUY, 900, 1)).outcome.kind == types.REPORT_KIND_ACCEPTED
