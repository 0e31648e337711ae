"""Fills and closes as the detectors take them."""

from collections.abc import Mapping
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from positions.domain.habits import AccountRecords, measure
from positions.habit_records import DatedMarket, dated_market, fill_rows
from positions.naming import Instruments
from positions.prices import Closes
from smartex.matching.v1.types_pb2 import Instrument

ZONE = ZoneInfo("Asia/Shanghai")
NAN = float("nan")
DAYS = [date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 7)]
NOON_5TH = 1_767_585_600 * 10**9  # 2026-01-05 04:00 UTC, noon in Shanghai
DAY = 86_400 * 10**9


@pytest.fixture
def instruments() -> Instruments:
    known = Instruments()
    known.learn(
        Instrument(instrument_id=n, symbol=f"S{n}", industry=industry, tick_size="0.01", lot_size="1")
        for n, industry in ((1, "Banks"), (2, "Steel"), (3, ""))
    )
    return known


ONE = {1: 1.0, 2: 1.0, 3: 1.0}


def market(instruments: Instruments, today: date = DAYS[2], rates: Mapping[int, float] = ONE) -> DatedMarket:
    prices = np.array([[10.0, 20.0], [11.0, 20.0], [99.0, 99.0]])
    closes = Closes(DAYS, [1, 2], prices, prices)
    return dated_market(closes, {1: 12.1, 2: 19.0, 3: 5.0}, rates, instruments.industries(), today, ZONE)


def test_the_marks_of_now_are_today_s_closes(instruments: Instruments) -> None:
    made = market(instruments)
    assert made.days == DAYS
    inner = made.market
    assert inner.closes[:, 0].tolist() == [10.0, 11.0, 12.1]  # not the 99 that the table has of today
    assert np.isnan(inner.closes[:2, 2]).all()
    assert made.industries == ["Banks", "Steel"]
    assert inner.industries.tolist() == [0, 1, -1]
    assert inner.industry_returns[:, 0].tolist() == pytest.approx([0.0, 0.1, 0.1])
    assert inner.industry_returns[:, 1].tolist() == pytest.approx([0.0, 0.0, -0.05])
    assert inner.utc_offset_seconds.tolist() == [8 * 3600] * 3


def test_fills_fall_on_their_dates(instruments: Instruments) -> None:
    made = market(instruments)
    rows = [
        {
            "time_ns": NOON_5TH + at * DAY,
            "instrument_id": number,
            "order_id": at,
            "order_type": 2 - at // 2,
            "previous_ticks": 990 * (1 - at // 2),
            "side": side,
            "price_ticks": 1000,
            "quantity_lots": 300,
            "fee_micros": 1_000_000,
            "tax_micros": 500_000,
            "taker": True,
        }
        for at, (number, side) in enumerate(((1, 1), (9, 1), (1, 2)))
    ]
    fills = fill_rows(rows, made, instruments, ZONE)
    assert fills["instrument_id"].tolist() == [1, 1]  # 9 is not known
    assert fills["day"].tolist() == [0, 2]
    assert fills["side"].tolist() == [1, -1]
    assert fills["price"].tolist() == [10.0, 10.0]
    assert fills["fee"].tolist() == [1.5, 1.5]
    assert fills["market"].tolist() == [True, False]
    assert fills["mid"].tolist() == pytest.approx([9.9, NAN], nan_ok=True)
    habits = measure(AccountRecords(fills, made.market))
    assert len(habits) == 13
    assert all(one.estimate is None for one in habits)  # two fills are too little to tell


def test_a_market_without_any_history(instruments: Instruments) -> None:
    nothing = Closes([], [], np.zeros((0, 0)), np.zeros((0, 0)))
    made = dated_market(nothing, {}, ONE, instruments.industries(), DAYS[0], ZONE)
    assert made.market.days == 1
    assert np.isnan(made.market.closes).all()
    assert made.market.market_returns.tolist() == [0.0]


def test_what_is_traded_in_several_currencies_adds_up(instruments: Instruments) -> None:
    """Instrument 2 is priced in dollars of 7 yuan: 100 of it at 20 weigh as much as 1,400 of the other at 10."""
    made = market(instruments, rates={1: 1.0, 2: 7.0, 3: 1.0})
    assert made.market.closes[0].tolist() == pytest.approx([10.0, 140.0, NAN], nan_ok=True)
    assert made.market.industry_returns[:, 1].tolist() == pytest.approx([0.0, 0.0, -0.05])
    rows = [
        {
            "time_ns": NOON_5TH,
            "instrument_id": number,
            "order_id": number,
            "order_type": 1,
            "previous_ticks": ticks,
            "side": 1,
            "price_ticks": ticks,
            "quantity_lots": lots,
            "fee_micros": 2_000_000,
            "tax_micros": 0,
            "taker": True,
        }
        for number, ticks, lots in ((1, 1000, 1400), (2, 2000, 100))
    ]
    fills = fill_rows(rows, made, instruments, ZONE)
    assert (fills["price"] * fills["quantity"]).tolist() == [14_000.0, 14_000.0]
    assert fills["fee"].tolist() == [2.0, 14.0]
    assert fills["mid"].tolist() == fills["price"].tolist()
