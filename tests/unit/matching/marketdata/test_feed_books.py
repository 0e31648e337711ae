"""Levels, quotes and candles: a reader of any speed never believes what was not so, and ends up right."""

from collections import Counter
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matching.marketdata.books import changed_levels
from matching.marketdata.candles import SECONDS, bars, joined
from matching.marketdata.deltas import TRADE_ROW
from matching.marketdata.feed import L1, L2
from matching.marketdata.settings import MarketDataSettings
from matching.sources import Bar, Rows
from readside import LevelReader, ModelMarket, drain
from reference.words import EventKind
from smartex.matching.v1.market_data_pb2 import SubscribeResponse


@pytest.mark.parametrize(("seed", "profile", "depth"), [(1, 0, 10), (2, 1, 3), (3, 2, 5), (4, 3, 1000)])
async def test_levels_are_right_at_every_speed(seed: int, profile: int, depth: int) -> None:
    market = ModelMarket(seed, profile)
    feed = market.feed()
    random = Random(seed)
    readers = [(feed.subscribe_book(L2, None, depth), LevelReader(), speed) for speed in (1.0, 0.3, 0.02)]
    for number, (first, time_ns, events) in enumerate(market.frames(2000)):
        feed.on_applied(number, first, time_ns, events)
        feed.tell()
        for subscriber, reader, speed in readers:
            if random.random() < speed:
                for message in drain(subscriber):
                    instrument_id = reader.hear(message)
                    expected = tuple(
                        [tuple(level) for level in side.tolist()]
                        for side in market.book(instrument_id, depth)
                    )
                    assert reader.sides(instrument_id) == expected
                    update = message.levels if message.HasField("levels") else message.snapshot
                    state: Any = market.instrument(instrument_id)
                    assert update.last_price_ticks == state["last_price_ticks"]
    for subscriber, reader, _ in readers:
        for message in drain(subscriber):
            reader.hear(message)
        for instrument in market.all():
            expected = tuple(
                [tuple(level) for level in side.tolist()]
                for side in market.book(instrument.instrument_id, depth)
            )
            assert reader.sides(instrument.instrument_id) == expected


async def test_quotes_end_at_the_best_prices() -> None:
    market = ModelMarket(8, 1)
    feed = market.feed()
    subscriber = feed.subscribe_book(L1, None, 1)
    last: dict[int, SubscribeResponse] = {}
    for number, (first, time_ns, events) in enumerate(market.frames(1500)):
        feed.on_applied(number, first, time_ns, events)
        feed.tell()
        for message in drain(subscriber):
            last[message.quote.instrument_id or message.snapshot.instrument_id] = message
    assert len(last) == len(market.all()) > 1
    for instrument_id, message in last.items():
        bids, asks = market.book(instrument_id, 1)
        state: Any = market.instrument(instrument_id)
        quote = message.quote
        assert quote.bid_price_ticks == (bids[0]["price_ticks"] if len(bids) else 0)
        assert quote.ask_quantity_lots == (asks[0]["quantity_lots"] if len(asks) else 0)
        assert (quote.last_price_ticks, quote.trading_state) == (
            state["last_price_ticks"],
            state["trading_state"],
        )


async def test_readers_of_one_speed_share_their_bytes() -> None:
    market = ModelMarket(2, 2)
    feed = market.feed()
    one, other = (feed.subscribe_book(L2, None, 10) for _ in range(2))
    shared = 0
    for number, (first, time_ns, events) in enumerate(market.frames(2000)):
        feed.on_applied(number, first, time_ns, events)
        feed.tell()
        while (data := one.take()) is not None:
            assert other.take() is data
            shared += 1
    assert shared > 1


level = st.tuples(st.integers(1, 12), st.integers(1, 3), st.integers(1, 2))
side = st.lists(level, max_size=8, unique_by=lambda row: row[0]).map(tuple)


@given(side, side)
def test_changed_levels_lead_from_old_to_new(
    old: tuple[tuple[int, int, int], ...], new: tuple[tuple[int, int, int], ...]
) -> None:
    book = {price: rest for price, *rest in old}
    for price, lots, count in changed_levels(old, new):
        if lots:
            assert book.get(price) != [lots, count]
            book[price] = [lots, count]
        else:
            del book[price]
    assert book == {price: rest for price, *rest in new}


def plain_bars(trades: list[tuple[int, int, int, int]], seconds: int) -> list[Bar]:
    """Candles, one trade at a time."""
    found: dict[int, Bar] = {}
    for sequence, time_ns, price, lots in trades:
        start = time_ns - time_ns % (seconds * 10**9)
        bar = found.setdefault(start, Bar(start, price, price, price, price, 0, 0, 0, 0))
        bar.high_ticks, bar.low_ticks = max(bar.high_ticks, price), min(bar.low_ticks, price)
        bar.close_ticks, bar.sequence = price, sequence
        bar.volume_lots += lots
        bar.value_ticks += price * lots
        bar.trade_count += 1
    return list(found.values())


def trade_rows(trades: list[tuple[int, int, int, int]]) -> Rows:
    rows = np.zeros(len(trades), TRADE_ROW)
    for at, (sequence, time_ns, price, lots) in enumerate(trades):
        rows[at]["sequence"], rows[at]["time_ns"] = sequence, time_ns
        rows[at]["price_ticks"], rows[at]["quantity_lots"] = price, lots
    return rows


steps = st.lists(
    st.tuples(st.integers(0, 40 * 10**9), st.integers(1, 2**39), st.integers(1, 2**39)), max_size=40
)


@given(steps, st.sampled_from(SECONDS), st.integers(0, 40))
@settings(max_examples=150)
def test_candles_are_those_of_one_trade_at_a_time(
    moves: list[tuple[int, int, int]], seconds: int, split: int
) -> None:
    trades, time_ns = [], 1_700_000_000 * 10**9
    for sequence, (wait, price, lots) in enumerate(moves, 1):
        time_ns += wait
        trades.append((sequence, time_ns, price, lots))
    expected = plain_bars(trades, seconds)
    assert bars(trade_rows(trades), seconds) == expected
    parts = bars(trade_rows(trades[:split]), seconds), bars(trade_rows(trades[split:]), seconds)
    assert joined(*parts) == expected


async def test_followed_candles_are_those_of_the_trades() -> None:
    market = ModelMarket(3, 2)
    feed = market.feed()
    frames = market.frames(2500)
    number, trades = 0, []
    subscriber = None
    told: dict[int, SubscribeResponse] = {}
    for number, (first, time_ns, events) in enumerate(frames):
        feed.on_applied(number, first, time_ns, events)
        for at, event in enumerate(events):
            if event["kind"] == EventKind.TRADE and event["instrument_id"] == 1:
                trades.append(
                    (first + at, feed.time_ns, int(event["price_ticks"]), int(event["quantity_lots"]))
                )
        if number == 20:
            feed.open_board(1, 1, 0, [])
            subscriber = feed.subscribe_candles(frozenset((1,)), 1)
        feed.tell()
        if subscriber is not None and number % 3 == 0:
            for message in drain(subscriber):
                told[message.candle.start_time.ToNanoseconds()] = message
    assert subscriber is not None
    for message in drain(subscriber):
        told[message.candle.start_time.ToNanoseconds()] = message
    expected = {bar.start_ns: bar for bar in plain_bars(trades, 1)}
    assert told
    for start, message in told.items():
        candle, bar = message.candle, expected[start]
        if candle.closed or start == max(expected):
            assert (candle.open_ticks, candle.high_ticks, candle.low_ticks, candle.close_ticks) == (
                bar.open_ticks,
                bar.high_ticks,
                bar.low_ticks,
                bar.close_ticks,
            )
            assert (candle.volume_lots, candle.trade_count, candle.sequence) == (
                bar.volume_lots,
                bar.trade_count,
                bar.sequence,
            )
            rules = market.flow.market.instruments[1].rules
            assert candle.value_micros == bar.value_ticks * rules.tick_value


async def test_candles_of_all_tell_of_instruments_that_come_later() -> None:
    market = ModelMarket(8, 1)
    feed = market.feed()
    subscriber = feed.subscribe_candles(None, 1)
    assert not market.all()
    traded: Counter[int] = Counter()
    told: dict[tuple[int, int], int] = {}
    for number, (first, time_ns, events) in enumerate(market.frames(2500)):
        feed.on_applied(number, first, time_ns, events)
        feed.tell()
        trades = events[events["kind"] == EventKind.TRADE]
        traded.update(trades["instrument_id"].tolist())
        for message in drain(subscriber):
            candle = message.candle
            told[candle.instrument_id, candle.start_time.ToNanoseconds()] = candle.trade_count
    counted: Counter[int] = Counter()
    for (instrument_id, _), count in told.items():
        counted[instrument_id] += count
    assert counted == traded
    assert len(traded) > 1


async def test_a_burst_beyond_what_is_kept_cuts_who_follows_candles() -> None:
    market = ModelMarket(3, 2)
    feed = market.feed(MarketDataSettings(kept_trades=16))
    subscriber = feed.subscribe_candles(None, 1)
    for number, (first, time_ns, events) in enumerate(market.frames(2500)):
        feed.on_applied(number, first, time_ns, events)
    feed.tell()
    assert subscriber.cut.done()
