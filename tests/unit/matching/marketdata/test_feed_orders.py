"""Single orders (L3) and trades: who follows knows the book, whenever it joined and however often it left."""

from random import Random
from typing import Any

import pytest
from matching.marketdata.deltas import Ring
from matching.marketdata.feed import L3, TRADES
from matching.marketdata.settings import MarketDataSettings
from readside import ModelMarket, OrderReader, drain
from reference.words import EventKind


@pytest.mark.parametrize(("seed", "profile"), [(1, 0), (2, 1), (3, 2), (4, 3), (5, 4)])
async def test_readers_know_the_book_whenever_they_join(seed: int, profile: int) -> None:
    market = ModelMarket(seed, profile)
    feed = market.feed()
    random = Random(seed)
    readers: list[tuple[Any, OrderReader]] = []
    for number, (first, time_ns, events) in enumerate(market.frames(2500)):
        feed.on_applied(number, first, time_ns, events)
        if number % 9 == 2 and len(readers) < 12:
            readers.append((feed.subscribe_stream(L3, None, 0), OrderReader()))
        if random.random() < 0.2:
            feed.tell()
            for subscriber, reader in readers:
                reader.hear(drain(subscriber))
                for instrument in market.all():
                    number = instrument.instrument_id
                    assert reader.in_priority(number) == market.order_tuples(number)
    assert readers


@pytest.mark.parametrize("kept", [64, 1 << 16])
async def test_resuming_misses_nothing_and_repeats_nothing(kept: int) -> None:
    """Also with so few rows kept that some resume from a snapshot."""
    market = ModelMarket(11, 1)
    feed = market.feed(MarketDataSettings(kept_order_changes=kept))
    random = Random(7)
    reader, snapshots = OrderReader(), 0
    subscriber = feed.subscribe_stream(L3, None, 0)
    for number, (first, time_ns, events) in enumerate(market.frames(4000)):
        feed.on_applied(number, first, time_ns, events)
        feed.tell()
        if random.random() < 0.5:
            some = list(drain(subscriber))
            # The connection breaks: the rest of what was sent is lost.
            lost = random.random() < 0.2 or subscriber.cut.done()
            reader.hear(some[: random.randrange(len(some) + 1)] if lost else some)
            if lost:
                feed.leave(subscriber)
                reader.resumed_at = reader.last if reader.complete else 0
                subscriber = feed.subscribe_stream(L3, None, reader.resumed_at)
                if subscriber.resumed_at == 0:
                    snapshots += reader.complete
                    reader = OrderReader()
    if subscriber.cut.done():  # the last frame was more than the ring holds
        subscriber, reader = feed.subscribe_stream(L3, None, 0), OrderReader()
    reader.hear(drain(subscriber))
    for instrument in market.all():
        number = instrument.instrument_id
        assert reader.in_priority(number) == market.order_tuples(number)
    assert (snapshots > 0) == (kept == 64)


async def test_trades_are_told_once_and_in_order_over_resumptions() -> None:
    market = ModelMarket(5, 2)
    feed = market.feed()
    random = Random(3)
    expected, told, last = [], [], 0
    subscriber = feed.subscribe_stream(TRADES, None, 0)
    for number, (first, time_ns, events) in enumerate(market.frames(4000)):
        feed.on_applied(number, first, time_ns, events)
        for at, event in enumerate(events):
            if event["kind"] == EventKind.TRADE:
                expected.append((first + at, event["price_ticks"], event["quantity_lots"], event["side"]))
        feed.tell()
        messages = list(drain(subscriber))
        cut = random.randrange(len(messages) + 1) if random.random() < 0.3 else None
        for message in messages[:cut]:
            told += [
                (trade.trade_id, trade.price_ticks, trade.quantity_lots, trade.taker_side)
                for trade in message.trades.trades
            ]
            last = max(last, message.trades.sequence, message.heartbeat.sequence)
        if cut is not None:
            feed.leave(subscriber)
            subscriber = feed.subscribe_stream(TRADES, None, last)
    assert last > 0
    assert told == expected


async def test_a_large_snapshot_comes_in_parts_that_add_up() -> None:
    market = ModelMarket(9, 2)
    feed = market.feed(MarketDataSettings(snapshot_orders=7))
    for number, (first, time_ns, events) in enumerate(market.frames(1500)):
        feed.on_applied(number, first, time_ns, events)
    busiest = max(market.all(), key=lambda each: len(market.orders(each.instrument_id))).instrument_id
    subscriber = feed.subscribe_stream(L3, frozenset((busiest,)), 0)
    messages = list(drain(subscriber))
    assert len(messages) - 1 == -(-len(market.orders(busiest)) // 7) > 2
    reader = OrderReader()
    reader.hear(messages)
    assert reader.in_priority(busiest) == market.order_tuples(busiest)


async def test_who_reads_too_slowly_is_cut_and_only_that_one() -> None:
    market = ModelMarket(4, 2)
    feed = market.feed(MarketDataSettings(queue_messages=5))
    slow = feed.subscribe_stream(L3, None, 0)
    quick, reader = feed.subscribe_stream(L3, None, 0), OrderReader()
    for number, (first, time_ns, events) in enumerate(market.frames(1500)):
        feed.on_applied(number, first, time_ns, events)
        feed.tell()
        reader.hear(drain(quick))
    assert slow.cut.done()
    assert slow.take() is None
    assert not quick.cut.done()


async def test_a_ring_that_overflowed_in_one_go_cuts_everybody() -> None:
    market = ModelMarket(4, 2)
    feed = market.feed(MarketDataSettings(kept_order_changes=16))
    subscriber = feed.subscribe_stream(L3, None, 0)
    for number, (first, time_ns, events) in enumerate(market.frames(500)):
        feed.on_applied(number, first, time_ns, events)
    feed.tell()
    assert subscriber.cut.done()


async def test_a_pod_that_is_behind_holds_back_until_it_has_news() -> None:
    ahead, behind = ModelMarket(6, 1), ModelMarket(6, 1)
    feed = behind.feed()
    expected = [len(events) for _, _, events in ahead.frames(600)]
    frames = behind.frames(600)
    for number in range(len(expected) // 2):
        feed.on_applied(number, *next(frames))
    seen = behind.sequence + 40
    subscriber = feed.subscribe_stream(TRADES, None, seen)
    for number, frame in enumerate(frames):
        feed.on_applied(number, *frame)
        feed.tell()
    messages = list(drain(subscriber))
    assert messages
    assert all(message.trades.sequence > seen for message in messages)
    assert behind.sequence == ahead.sequence


def test_ring_gives_frames_whole() -> None:
    from matching.marketdata.deltas import TRADE_ROW

    ring = Ring(TRADE_ROW, 16)
    for sequence in range(1, 41):
        at = ring.head % len(ring.rows)
        ring.rows[at]["sequence"], ring.rows[at]["frame"] = sequence, (sequence - 1) // 4 * 4 + 1
        ring.head += 1
    assert ring.after(30)["sequence"].tolist() == list(range(29, 41))
    assert ring.holds_all_after(30)
    assert ring.holds_all_after(28)
    assert not ring.holds_all_after(20)
    assert ring.after(40).tolist() == []
