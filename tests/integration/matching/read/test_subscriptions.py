"""Subscriptions over a real connection: snapshot and changes, heartbeats, slow readers, wrong requests."""

import asyncio
import time
from collections import Counter
from typing import Any

import grpc
import pytest
from matching import marketdata
from matching.marketdata import MarketData, MarketDataSettings
from readside import ModelMarket, OrderReader
from smartex.matching.v1.market_data_pb2 import (
    Channel,
    GetBookRequest,
    ListInstrumentsRequest,
    SubscribeRequest,
    SubscribeResponse,
)

L1, L2, L3, TRADES, CANDLES = (
    Channel.CHANNEL_L1,
    Channel.CHANNEL_L2,
    Channel.CHANNEL_L3,
    Channel.CHANNEL_TRADES,
    Channel.CHANNEL_CANDLES,
)


class Venue:
    """The model's market behind the feed."""

    def __init__(self, seed: int, **settings: Any) -> None:
        self.flow = ModelMarket(seed, 1)
        self.data: MarketData = marketdata.build(
            market=lambda: self.flow, instruments=self.flow, settings=MarketDataSettings(**settings)
        )
        self.frames = enumerate(self.flow.frames(10**6))

    async def go(self, frames: int) -> None:
        for _ in range(frames):
            number, (first, time_ns, events) = next(self.frames)
            self.data.on_applied(number, first, time_ns, events)
            await asyncio.sleep(0)


@pytest.fixture
async def venue(served: Any) -> Venue:
    made = Venue(81)
    await made.go(30)
    await served.start(None, made.data)
    return made


async def test_a_reader_of_orders_follows_and_resumes(venue: Venue, served: Any) -> None:
    caller = await served.caller()
    reader = OrderReader()
    for _ in range(4):
        reader.resumed_at = reader.last
        stream = caller.stream(SubscribeRequest(channel=L3, resume_sequence=reader.last))
        running = asyncio.create_task(venue.go(40))
        while not running.done() or reader.last < max(reader.sequences.values(), default=0):
            reader.hear([await asyncio.wait_for(stream.read(), 60)])
            if reader.complete and running.done():
                break
        await running
        stream.cancel()
    stream = caller.stream(SubscribeRequest(channel=L3, resume_sequence=reader.last))
    reader.resumed_at = reader.last
    await venue.go(5)
    expected = {
        instrument.instrument_id: venue.flow.order_tuples(instrument.instrument_id)
        for instrument in venue.flow.all()
    }
    async with asyncio.timeout(60):
        while {each: reader.in_priority(each) for each in expected} != expected:
            reader.hear([await stream.read()])
    stream.cancel()


@pytest.mark.parametrize("channel", [L1, L2, TRADES, CANDLES])
async def test_every_channel_begins_and_goes_on(venue: Venue, served: Any, channel: Any) -> None:
    caller = await served.caller()
    stream = caller.stream(SubscribeRequest(channel=channel, candle_seconds=1, interval_ms=5))
    heard: set[str] = set()
    wanted = {
        L1: {"snapshot", "quote"},
        L2: {"snapshot", "levels"},
        TRADES: {"snapshot", "heartbeat", "trades"},
        CANDLES: {"candle"},
    }[channel]
    async with asyncio.timeout(60):
        while not wanted <= heard:
            await venue.go(1)
            reading = asyncio.ensure_future(stream.read())
            while not reading.done():
                await venue.go(1)
                await asyncio.sleep(0.001)
            heard.add((await reading).WhichOneof("payload"))
    stream.cancel()


@pytest.mark.parametrize("channel", [L1, L2])
async def test_no_instrument_is_told_of_more_often_than_asked(
    venue: Venue, served: Any, channel: Any
) -> None:
    """However many others change meanwhile."""
    caller = await served.caller()
    stream = caller.stream(SubscribeRequest(channel=channel, interval_ms=400))
    going = asyncio.create_task(venue.go(10**6))
    told: Counter[int] = Counter()
    began = time.monotonic()
    try:
        async with asyncio.timeout(60):
            while sum(count >= 3 for count in told.values()) < 2:
                message = await stream.read()
                told[getattr(message, message.WhichOneof("payload")).instrument_id] += 1
    finally:
        going.cancel()
        stream.cancel()
    # Counted, not timed one by one: on a busy machine a late message may arrive together with the next.
    assert max(told.values()) <= 1 + (time.monotonic() - began) / 0.4


async def test_the_book_of_a_request_is_the_book_of_the_core(venue: Venue, served: Any) -> None:
    caller = await served.caller()
    await venue.go(50)
    for instrument in venue.flow.all():
        number = instrument.instrument_id
        book = (await caller.ask("GetBook", GetBookRequest(instrument_id=number, depth=3, orders=True))).book
        assert book.sequence == venue.flow.sequence
        bids, asks = venue.flow.book(number, 3)
        for told, core in ((book.bids, bids), (book.asks, asks)):
            assert [(row.price_ticks, row.quantity_lots, row.order_count) for row in told] == core.tolist()
        assert [
            (row.order_id, row.side, row.price_ticks, row.quantity_lots) for row in book.orders
        ] == venue.flow.order_tuples(number)


async def test_silence_is_broken_by_heartbeats(served: Any) -> None:
    venue = Venue(82, heartbeat_seconds=0.1)
    await venue.go(10)
    await served.start(None, venue.data)
    caller = await served.caller()
    stream = caller.stream(SubscribeRequest(channel=L2))
    beats = 0
    async with asyncio.timeout(60):
        while beats < 3:
            message = await stream.read()
            beats += message.WhichOneof("payload") == "heartbeat"
    assert message.heartbeat.sequence == venue.flow.sequence
    stream.cancel()


async def test_a_heartbeat_names_nothing_that_is_still_to_be_told() -> None:
    """Who resumes from it would miss that."""
    venue = Venue(82)
    await venue.go(10)
    written: list[SubscribeResponse] = []

    class Context:
        async def write(self, data: bytes) -> None:
            written.append(SubscribeResponse.FromString(data))

    serving = asyncio.create_task(venue.data.api.subscribe(SubscribeRequest(channel=L3), Context()))
    async with asyncio.timeout(60):
        while not written or not written[-1].HasField("heartbeat"):
            await asyncio.sleep(0.001)
    before, orders = len(written), venue.data.feed.deltas.orders
    (subscriber,) = venue.data.feed._everyone
    subscriber.heartbeat_due = True
    subscriber.turn.give()
    # It wakes up before what happens now is told.
    head = orders.head
    while orders.head == head:
        number, (first, time_ns, events) = next(venue.frames)
        venue.data.on_applied(number, first, time_ns, events)
    await asyncio.sleep(0.05)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    assert [message.WhichOneof("payload") for message in written[before:]] == ["orders"]


async def _read_to_the_end(stream: Any) -> int:
    """Read until the stream fails; it does not end by itself."""
    count = 0
    while await stream.read() is not grpc.aio.EOF:  # type: ignore[attr-defined]
        count += 1
    return count


@pytest.mark.parametrize("messages", [3, 2000])
async def test_who_does_not_read_is_cut_with_a_reason(served: Any, told: Any, messages: int) -> None:
    """Also while a write waits for the reader: the connection's own buffers are full long before."""
    venue = Venue(83, queue_messages=messages)
    await venue.go(20)
    await served.start(None, venue.data)
    caller = await served.caller()
    stream = caller.stream(SubscribeRequest(channel=L3))
    await stream.read()
    events = max((next(venue.frames)[1][2] for _ in range(100)), key=len)
    feed = venue.data.feed
    async with asyncio.timeout(60):
        while feed.subscriber_count:
            for _ in range(20):
                feed.on_applied(0, feed.sequence + 1, feed.time_ns, events)
            await asyncio.sleep(0)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(_read_to_the_end(stream), 60)
    assert told(caught.value) == ("RESOURCE_EXHAUSTED", "SLOW_CONSUMER", [])


async def test_who_leaves_is_forgotten(venue: Venue, served: Any) -> None:
    caller = await served.caller()
    streams = [caller.stream(SubscribeRequest(channel=channel)) for channel in (L1, L2, L3, TRADES)]
    for stream in streams:
        await stream.read()
    assert venue.data.feed.subscriber_count == 4
    for stream in streams:
        stream.cancel()
    async with asyncio.timeout(60):
        while venue.data.feed.subscriber_count:
            await asyncio.sleep(0.01)


WRONG: list[tuple[SubscribeRequest, str, str]] = [
    (SubscribeRequest(), "INVALID_ARGUMENT", "channel"),
    (SubscribeRequest(channel=77), "INVALID_ARGUMENT", "channel"),  # type: ignore[arg-type]
    (SubscribeRequest(channel=L2, depth=-1), "INVALID_ARGUMENT", "depth"),
    (SubscribeRequest(channel=L2, depth=1001), "INVALID_ARGUMENT", "depth"),
    (SubscribeRequest(channel=L1, interval_ms=60_001), "INVALID_ARGUMENT", "interval_ms"),
    (SubscribeRequest(channel=L1, interval_ms=-1), "INVALID_ARGUMENT", "interval_ms"),
    (SubscribeRequest(channel=L3, resume_sequence=-1), "INVALID_ARGUMENT", "resume_sequence"),
    (SubscribeRequest(channel=CANDLES), "INVALID_ARGUMENT", "candle_seconds"),
    (SubscribeRequest(channel=L1, instrument_ids=[1, 0]), "INVALID_ARGUMENT", "instrument_ids[1]"),
    (SubscribeRequest(channel=L1, instrument_ids=[1] * 1001), "INVALID_ARGUMENT", "instrument_ids"),
]


async def test_wrong_subscriptions_name_the_field(venue: Venue, served: Any, told: Any) -> None:
    caller = await served.caller()
    for request, code, field in WRONG:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asyncio.wait_for(caller.stream(request).read(), 60)
        assert told(caught.value) == (code, "INVALID_INPUT", [field]), request
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await caller.stream(SubscribeRequest(channel=L1, instrument_ids=[65_000])).read()
    assert told(caught.value)[:2] == ("NOT_FOUND", "INSTRUMENT_NOT_FOUND")


async def test_instruments_are_listed_in_pages(venue: Venue, served: Any) -> None:
    caller = await served.caller()
    expected = [instrument.instrument_id for instrument in venue.flow.all()]
    found, request = [], ListInstrumentsRequest(page_size=1)
    while True:
        answer = await caller.ask("ListInstruments", request)
        found += [instrument.instrument_id for instrument in answer.instruments]
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    assert found == expected
    one = await caller.ask("ListInstruments", ListInstrumentsRequest(symbol="I1"))
    assert [instrument.instrument_id for instrument in one.instruments] == [1]


@pytest.mark.parametrize("split", [1, 5])
async def test_a_new_pod_goes_on_where_the_one_before_left_readers(place: Any, split: int) -> None:
    """The old pod's readers resume at the new one: the messages are the same, also of frames in several records."""
    before, after = Venue(84), Venue(84)
    records = []
    for offset in range(60):
        _, (first, time_ns, events) = next(before.frames)
        before.data.on_applied(offset, first, time_ns, events)
        for at in range(0, len(events), -(-len(events) // split) if len(events) else 1):
            part = events[at : at + -(-len(events) // split)]
            records.append(place.record(first + at, time_ns, part, offset))
    # A second publisher repeats some of it.
    await place.bus.appender(place.topic).append(*records[:-6], *records[-9:])
    sequence = before.flow.sequence
    await after.data.recall(place.bus, 0, sequence)
    feeds = before.data.feed, after.data.feed
    assert feeds[1].sequence == sequence
    for channel in (L3, TRADES):
        for resume in (1, sequence // 2, sequence - 3, sequence):
            told = [feed.subscribe_stream(channel, None, resume) for feed in feeds]
            assert [each.resumed_at for each in told] == [resume, resume]
            first_messages, second_messages = ([*iter(each.take, None)] for each in told)
            assert first_messages == second_messages


async def test_a_new_pod_without_a_past_begins_with_snapshots(place: Any) -> None:
    venue = Venue(85)
    await venue.go(40)
    feed = venue.data.feed
    await venue.data.recall(place.bus, 0, venue.flow.sequence)
    assert feed.sequence == venue.flow.sequence
    subscriber = feed.subscribe_stream(L3, None, venue.flow.sequence - 1)
    assert subscriber.resumed_at == 0
    reader = OrderReader()
    reader.hear(SubscribeResponse.FromString(data) for data in iter(subscriber.take, None))
    for instrument in venue.flow.all():
        number = instrument.instrument_id
        assert reader.in_priority(number) == venue.flow.order_tuples(number)


async def test_a_new_pod_knows_the_time_and_not_only_that_of_the_last_event(place: Any) -> None:
    """By it a candle is closed, though nothing has happened since its end."""
    before, after = Venue(84), Venue(84)
    for offset in range(20):
        _, (first, time_ns, events) = next(before.frames)
        await place.bus.appender(place.topic).append(place.record(first, time_ns, events, offset))
    await after.data.recall(place.bus, 0, before.flow.sequence, before.flow.now + 7)
    trades = after.data.feed.deltas.trades.after(0)
    assert after.data.feed.time_ns == before.flow.now + 7 > trades["time_ns"].max()
