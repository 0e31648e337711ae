"""Streams that break at the worst moments, against a scripted server."""

import asyncio
from typing import Any

import grpc
import numpy as np
import pytest
from dead_line import line_to
from smartex.matching.v1 import log_pb2 as log
from smartex.matching.v1 import market_data_pb2 as md
from smartex.matching.v1 import order_entry_pb2 as pb
from smartex.matching.v1 import types_pb2 as types
from smartex_client import COMMAND_DTYPE, Final, InvalidInput, LocalBook, NewOrder, Unavailable
from smartex_client.commands import REPORTS
from smartex_client.connection import OPTIONS

TRADE = "OrderEntryService/Trade"
SUBSCRIBE = "MarketDataService/Subscribe"
Exchange = Any
EOF: Any = vars(grpc.aio)["EOF"]


class Account:
    """What the venue remembers of one account, over connections."""

    def __init__(self) -> None:
        self.reports: list[types.Report] = []
        self.placed: dict[int, int] = {}
        self.cancels = 0

    def report(self, **fields: Any) -> None:
        self.reports.append(types.Report(sequence=len(self.reports) + 1, instrument_id=7, **fields))

    def apply(self, command: pb.OrderCommand) -> None:
        if command.kind == log.COMMAND_KIND_PLACE:
            number = command.client_order_id
            repeated = number in self.placed
            self.placed.setdefault(number, len(self.placed) + 1)
            self.report(
                kind=types.REPORT_KIND_ACCEPTED,
                client_order_id=number,
                order_id=self.placed[number],
                repeated=repeated,
            )
        elif command.client_order_id in self.placed:
            self.cancels += 1
            self.report(
                kind=types.REPORT_KIND_CANCELLED,
                request_id=command.request_id,
                reason=types.REASON_CANCELLED_BY_OWNER,
            )
        else:
            self.report(kind=types.REPORT_KIND_CANCEL_REJECTED, request_id=command.request_id)


def venue(account: Account, breaks: list[str]) -> Any:
    """A Trade handler; each connection breaks as `breaks` says: "unread", "unanswered", or "" for never."""

    async def trade(requests: Any, context: Any) -> None:
        how = breaks.pop(0) if breaks else ""
        first = pb.TradeRequest.FromString(await context.read())
        sent = len(account.reports)
        await context.write(
            pb.TradeResponse(opened=pb.TradeOpened(sequence=max(sent, 1), window=1000)).SerializeToString()
        )
        if first.open.resume_sequence:
            sent = first.open.resume_sequence
        while True:
            if sent < len(account.reports):
                await context.write(pb.TradeResponse(reports=account.reports[sent:]).SerializeToString())
                sent = len(account.reports)
            message = await context.read()
            if message is EOF:
                return
            if how == "unread":
                await context.abort(grpc.StatusCode.UNAVAILABLE, "gone before it was read")
            for command in pb.TradeRequest.FromString(message).commands:
                account.apply(command)
            if how == "unanswered":
                await context.abort(grpc.StatusCode.UNAVAILABLE, "gone before it was answered")

    return trade


def rows(kinds: list[int], first: int) -> Any:
    made = np.zeros(len(kinds), COMMAND_DTYPE)
    made["kind"], made["client_order_id"] = kinds, np.arange(len(kinds)) + first
    made["instrument_id"] = 7
    return made


@pytest.mark.parametrize(
    "breaks", [[], ["unread"], ["unanswered"], ["unread", "unanswered", "unread"], ["unanswered"] * 3]
)
async def test_every_command_is_carried_out_once_and_told_once(exchange: Exchange, breaks: list[str]) -> None:
    account = Account()
    account.report(kind=types.REPORT_KIND_ACCEPTED, client_order_id=999)
    expected = len(breaks)
    exchange.stream(TRADE, venue(account, breaks))
    place, cancel = log.COMMAND_KIND_PLACE, log.COMMAND_KIND_CANCEL
    async with exchange.market() as market, market.trade_stream() as stream:
        await stream.send(rows([place] * 3, 1))
        cancels = rows([cancel] * 2, 1)
        await stream.send(cancels)
        await asyncio.wait_for(stream.drain(), 60)
        told = []
        async for batch in stream.batches():
            told += [(int(row["kind"]), int(row["client_order_id"]), bool(row["repeated"])) for row in batch]
            if len(told) >= 5:
                break
        assert stream.unanswered == 0
        assert stream.reconnects <= expected
    assert told == [
        *((types.REPORT_KIND_ACCEPTED, number, False) for number in (1, 2, 3)),
        (types.REPORT_KIND_CANCELLED, 0, False),
        (types.REPORT_KIND_CANCELLED, 0, False),
    ]
    assert account.cancels == 2
    assert len(account.placed) == 3


async def test_more_than_the_window_waits(exchange: Exchange) -> None:
    release = asyncio.Event()
    received = 0

    async def trade(requests: Any, context: Any) -> None:
        nonlocal received
        await context.read()
        opened = pb.TradeOpened(sequence=1, window=2)
        await context.write(pb.TradeResponse(opened=opened).SerializeToString())
        message = await context.read()
        received += len(pb.TradeRequest.FromString(message).commands)
        await release.wait()
        report = types.Report(kind=types.REPORT_KIND_ACCEPTED, sequence=2, client_order_id=1)
        await context.write(pb.TradeResponse(reports=[report]).SerializeToString())
        message = await context.read()
        received += len(pb.TradeRequest.FromString(message).commands)

    exchange.stream(TRADE, trade)
    async with exchange.market() as market, market.trade_stream() as stream:
        await stream.send(rows([log.COMMAND_KIND_PLACE], 1))
        second = asyncio.create_task(stream.send(rows([log.COMMAND_KIND_PLACE] * 2, 2)))
        done, _ = await asyncio.wait({second}, timeout=0.2)
        assert not done
        assert received <= 1
        release.set()
        await asyncio.wait_for(second, 60)


async def test_final_failures_reach_everybody(exchange: Exchange, fail: Any, info: Any) -> None:
    async def refused(requests: Any, context: Any) -> None:
        await fail(
            context, grpc.StatusCode.PERMISSION_DENIED, "this needs the scope `trade`", info("SCOPE_MISSING")
        )

    exchange.stream(TRADE, refused)
    async with exchange.market() as market:
        with pytest.raises(Exception, match="scope `trade`"):
            async with market.trade_stream():
                raise AssertionError("the stream opened")

    exchange.stream(TRADE, venue(Account(), []))
    async with exchange.market() as market:
        async with market.trade_stream() as stream:
            with pytest.raises(InvalidInput, match="client_order_id"):
                await stream.send(rows([log.COMMAND_KIND_PLACE], 0))
            with pytest.raises(InvalidInput, match="COMMAND_DTYPE"):
                await stream.send(np.zeros(1, REPORTS.row_dtype))
            with pytest.raises(InvalidInput, match="side"):
                await stream.place_many([NewOrder("ACME", "hold", 1, 1)])
        with pytest.raises(Unavailable, match="closed"):
            await stream.send(rows([log.COMMAND_KIND_PLACE], 1))
        assert [each async for each in stream] == []


async def test_a_stream_that_nobody_opened_says_so(exchange: Exchange) -> None:
    async with exchange.market() as market:
        stream = market.trade_stream()
        for use in (
            stream.drain,
            lambda: stream.send(rows([log.COMMAND_KIND_PLACE], 1)),
            stream.batches().__anext__,
        ):
            with pytest.raises(Final, match="async with"):
                await asyncio.wait_for(use(), 20)


async def test_a_stream_leaves_a_connection_that_died_without_a_word(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = [(name, 1000 if name == "grpc.keepalive_time_ms" else value) for name, value in OPTIONS]
    monkeypatch.setattr("smartex_client.connection.OPTIONS", times)
    account = Account()
    account.report(kind=types.REPORT_KIND_ACCEPTED, client_order_id=999)
    exchange.stream(TRADE, venue(account, []))
    async with line_to(int(exchange.url.rpartition(":")[2])) as line:
        exchange.url = f"127.0.0.1:{line.port}"
        async with exchange.market() as market, market.trade_stream() as stream:
            line.die()
            await stream.send(rows([log.COMMAND_KIND_PLACE], 1))
            await asyncio.wait_for(stream.drain(), 60)
    assert account.placed == {1: 1}


async def test_a_gap_brings_a_new_snapshot_and_a_cut_a_new_connection(
    exchange: Exchange, fail: Any, info: Any, instrument: types.Instrument
) -> None:
    asked: list[int] = []

    def snapshot(sequence: int, lots: int) -> bytes:
        level = md.Level(price_ticks=100, quantity_lots=lots, order_count=1)
        book = md.BookSnapshot(instrument_id=7, sequence=sequence, bids=[level], market_time_ns=sequence)
        return md.SubscribeResponse(snapshot=book).SerializeToString()

    def change(sequence: int, previous: int, lots: int) -> bytes:
        level = md.Level(price_ticks=100, quantity_lots=lots, order_count=1)
        update = md.LevelUpdate(
            instrument_id=7,
            sequence=sequence,
            previous_sequence=previous,
            bids=[level],
            market_time_ns=sequence,
        )
        return md.SubscribeResponse(levels=update).SerializeToString()

    async def subscribe(request: md.SubscribeRequest, context: Any) -> None:
        asked.append(request.resume_sequence)
        if len(asked) == 1:
            await context.write(snapshot(1, 10))
            await context.write(change(2, 1, 11))
            await context.write(change(9, 8, 99))  # 3 to 8 are missing
            await asyncio.sleep(30)
        elif len(asked) == 2:
            await context.write(snapshot(9, 20))
            await fail(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "too slow", info("SLOW_CONSUMER"))
        else:
            await context.write(snapshot(12, 30))
            await context.write(change(15, 12, 31))
            await asyncio.sleep(30)

    exchange.stream(SUBSCRIBE, subscribe)
    local, seen = LocalBook(instrument), []
    async with exchange.market() as market:
        async for update in market.subscribe(["ACME"], "L2"):
            local.apply(update)
            seen.append(local.bids[100][0])
            if local.sequence == 15:
                break
    assert seen == [10, 11, 20, 30, 31]
    assert asked == [0, 0, 0]


@pytest.mark.parametrize("previous", [3, 20], ids=["older", "resumed"])
async def test_a_book_goes_on_at_a_pod_that_has_forgotten_the_message_before(
    exchange: Exchange, instrument: types.Instrument, previous: int
) -> None:
    """What a pod read back begins somewhere: of a quiet instrument it knows only that nothing is missing."""
    asked: list[int] = []

    def snapshot(number: int, sequence: int) -> bytes:
        book = md.BookSnapshot(instrument_id=number, sequence=sequence, market_time_ns=10)
        return md.SubscribeResponse(snapshot=book).SerializeToString()

    def change(number: int, sequence: int, before: int) -> bytes:
        order = md.RestingOrder(order_id=sequence, side=types.SIDE_BUY, price_ticks=100, quantity_lots=1)
        update = md.OrderUpdate(
            instrument_id=number,
            sequence=sequence,
            previous_sequence=before,
            orders=[order],
            market_time_ns=sequence,
        )
        return md.SubscribeResponse(orders=update).SerializeToString()

    async def subscribe(request: md.SubscribeRequest, context: Any) -> None:
        asked.append(request.resume_sequence)
        if len(asked) == 1:
            for message in (
                snapshot(7, 5),
                snapshot(9, 6),
                change(7, 12, 5),
                change(9, 20, 6),
                change(9, 30, 20),
            ):
                await context.write(message)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        for message in (change(9, 30, previous), change(7, 40, previous), change(7, 50, 40)):
            await context.write(message)
        await asyncio.sleep(30)

    exchange.stream(SUBSCRIBE, subscribe)
    local = LocalBook(instrument)
    async with exchange.market() as market:
        async for update in market.subscribe((), "L3"):
            if update.instrument_id == 7:
                local.apply(update)
            if local.sequence == 50:
                break
    assert asked == [0, 20]
    assert list(local.orders) == [12, 40, 50]


def trade_batch(sequence: int, previous: int, time_ns: int) -> bytes:
    """A trade whose number is its sequence."""
    trade = md.Trade(trade_id=sequence, instrument_id=7, quantity_lots=1, trade_time_ns=time_ns)
    found = md.TradeBatch(instrument_id=7, sequence=sequence, previous_sequence=previous, trades=[trade])
    return md.SubscribeResponse(trades=found).SerializeToString()


async def test_trades_resume_where_they_stopped(exchange: Exchange) -> None:
    asked: list[int] = []
    log_of_trades = [(10, 8, 100), (11, 10, 100), (14, 11, 140), (20, 14, 200)]

    async def subscribe(request: md.SubscribeRequest, context: Any) -> None:
        asked.append(request.resume_sequence)
        if len(asked) == 1:
            book = md.BookSnapshot(instrument_id=7, sequence=8, market_time_ns=80)
            await context.write(md.SubscribeResponse(snapshot=book).SerializeToString())
        end = [2, 3, 4][len(asked) - 1]
        for sequence, previous, time_ns in log_of_trades[:end]:
            if sequence > request.resume_sequence:
                await context.write(trade_batch(sequence, previous, time_ns))
        if len(asked) < 3:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        await asyncio.sleep(30)

    exchange.stream(SUBSCRIBE, subscribe)
    seen = []
    async with exchange.market() as market:
        async for trade in market.live_trades(["ACME"]):
            seen.append(trade.trade_id)
            if trade.trade_id == 20:
                break
    assert seen == [10, 11, 14, 20]
    # Of the last frame it cannot know that it had all: it asks for that one again.
    assert asked == [0, 8, 11]


async def test_trades_go_on_when_the_venue_comes_back_from_an_older_backup(
    exchange: Exchange, fail: Any, info: Any
) -> None:
    asked: list[int] = []

    async def subscribe(request: md.SubscribeRequest, context: Any) -> None:
        asked.append(request.resume_sequence)
        if request.resume_sequence:
            await fail(context, grpc.StatusCode.OUT_OF_RANGE, "ahead of the market", info("RESUME_AHEAD"))
        first = 9 if len(asked) == 1 else 3
        book = md.BookSnapshot(instrument_id=7, sequence=first, market_time_ns=10 * first)
        await context.write(md.SubscribeResponse(snapshot=book).SerializeToString())
        for sequence in (first + 1, first + 2):
            await context.write(trade_batch(sequence, sequence - 1, 10 * sequence))
        if len(asked) == 1:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        await asyncio.sleep(30)

    exchange.stream(SUBSCRIBE, subscribe)
    seen = []
    async with exchange.market() as market:
        async for trade in market.live_trades(["ACME"]):
            seen.append(trade.trade_id)
            if trade.trade_id == 5:
                break
        assert seen == [10, 11, 4, 5]
        assert asked == [0, 10, 0]
        # A number of the caller's own is the caller's to mend.
        with pytest.raises(InvalidInput) as caught:
            await anext(market.live_trades(["ACME"], resume_sequence=11))
    assert caught.value.reason == "RESUME_AHEAD"


async def test_a_stream_ends_when_the_venue_comes_back_from_an_older_backup(
    exchange: Exchange, fail: Any, info: Any
) -> None:
    """Which of its orders are left it must ask."""

    async def trade(requests: Any, context: Any) -> None:
        first = pb.TradeRequest.FromString(await context.read())
        if first.open.resume_sequence:
            await fail(context, grpc.StatusCode.OUT_OF_RANGE, "ahead of the market", info("RESUME_AHEAD"))
        opened = pb.TradeOpened(sequence=5, window=2)
        await context.write(pb.TradeResponse(opened=opened).SerializeToString())
        await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    exchange.stream(TRADE, trade)
    async with exchange.market() as market, market.trade_stream() as stream:
        with pytest.raises(InvalidInput) as caught:
            await asyncio.wait_for(anext(stream.batches()), 20)
        assert caught.value.reason == "RESUME_AHEAD"


async def test_an_entry_that_is_cancelled_leaves_nothing_behind(exchange: Exchange) -> None:
    entered = asyncio.Event()

    async def silent(requests: Any, context: Any) -> None:
        entered.set()
        await asyncio.sleep(60)

    exchange.stream(TRADE, silent)
    async with exchange.market() as market:
        entering = asyncio.create_task(market.trade_stream().__aenter__())
        await asyncio.wait_for(entered.wait(), 60)
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "smartex-trade-stream"]


@pytest.mark.parametrize(
    "options",
    [
        {"window": -1},
        {"window": 100_001},
        {"cancel_on_disconnect": float("nan")},
        {"cancel_on_disconnect": 0},
        {"resume_sequence": 2**70},
        {"resume_sequence": -1},
    ],
    ids=str,
)
async def test_options_that_cannot_be_are_told_at_once(exchange: Exchange, options: dict[str, Any]) -> None:
    async with exchange.market() as market:
        with pytest.raises(InvalidInput) as error:
            market.trade_stream(**options)
    assert [error.value.field] == list(options)
