"""What must hold for any account."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from habit_worlds import ANY_SAMPLE, DAY_NS
from hypothesis import given, settings
from hypothesis import strategies as st
from positions.domain.habits import FILL, MINIMUMS, AccountRecords, Habit, Market, industry_expertise, measure

SHARES = ("chasing", "panic", "loss_cutting", "time_of_day", "aggressiveness", "hit_rate", "familiarity")


def any_account(seed: int, fills: int = 60, days: int = 30, instruments: int = 5) -> AccountRecords:
    """Random trades in a random market with gaps; sales may exceed what is held."""
    rng = np.random.default_rng(seed)
    closes = 100 * np.exp(np.cumsum(rng.normal(0, 0.03, (days, instruments)), axis=0))
    closes[rng.random(closes.shape) < 0.05] = np.nan
    rows = np.zeros(fills, FILL)
    rows["day"] = np.sort(rng.integers(0, days, fills))
    second = np.where(np.diff(rows["day"], prepend=-1) > 0, 0, 1).cumsum() + 34_200
    rows["time_ns"] = rows["day"].astype(np.int64) * DAY_NS + second * 10**9
    rows["instrument_id"] = rng.integers(1, instruments + 1, fills)
    rows["side"] = rng.choice([-1, 1], fills, p=[0.4, 0.6])
    rows["price"] = 100 * np.exp(rng.normal(0, 0.1, fills))
    rows["mid"] = np.where(rng.random(fills) < 0.8, rows["price"] * 1.001, np.nan)
    rows["quantity"] = rng.integers(1, 20, fills)
    rows["fee"] = rng.random(fills)
    rows["taker"] = rng.random(fills) < 0.5
    market = Market(
        instrument_ids=np.arange(1, instruments + 1),
        closes=closes,
        industries=np.arange(instruments) % 3 - 1,
        industry_returns=rng.normal(0, 0.01, (days, 2)),
        market_returns=rng.normal(0, 0.01, days),
        utc_offset_seconds=np.zeros(days, np.int64),
    )
    return AccountRecords(rows, market)


def told(account: AccountRecords) -> dict[str, Habit]:
    return {habit.key: habit for habit in measure(account, ANY_SAMPLE)}


def assert_equal(these: Mapping[str, Habit], those: Mapping[str, Habit]) -> None:
    for key, this in these.items():
        that = those[key]
        assert this.sample == that.sample, key
        assert (this.estimate is None) == (that.estimate is None), key
        if this.estimate is not None and that.estimate is not None:
            bounds = [(e.value, e.low, e.high) for e in (this.estimate, that.estimate)]
            assert bounds[0] == pytest.approx(bounds[1], rel=1e-6, abs=1e-9), key


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(1, 120))
def test_every_habit_of_any_account_is_told_or_not_and_never_wrong_in_form(seed: int, fills: int) -> None:
    account = any_account(seed, fills)
    habits = measure(account, ANY_SAMPLE)
    assert [habit.key for habit in habits] == list(MINIMUMS)
    for habit in habits:
        for estimate in ([habit.estimate] if habit.estimate else []) + list(habit.parts.values()):
            assert np.isfinite([estimate.low, estimate.value, estimate.high]).all()
            assert estimate.low <= estimate.high
        if habit.estimate and habit.key != "familiarity":
            assert habit.estimate.low <= habit.estimate.value + 1e-12
            assert habit.estimate.value <= habit.estimate.high + 1e-12
        if habit.estimate and habit.key in SHARES[2:6]:
            assert habit.estimate.low >= 0
            assert habit.estimate.high <= 1
    for found in industry_expertise(account, ANY_SAMPLE):
        assert found.trips > 0


@settings(max_examples=15, deadline=None)
@given(seeds, st.floats(0.01, 100), st.floats(0.01, 100))
def test_units_of_money_and_quantity_do_not_matter(seed: int, money: float, units: float) -> None:
    account = any_account(seed)
    rows = account.fills.copy()
    for name, factor in (("price", money), ("mid", money), ("fee", money * units), ("quantity", units)):
        rows[name] *= factor
    other = AccountRecords(rows, replace(account.market, closes=account.market.closes * money))
    assert_equal(told(account), told(other))


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_the_order_of_instruments_does_not_matter(seed: int) -> None:
    account = any_account(seed)
    market, order = account.market, np.random.default_rng(seed).permutation(5)
    other = replace(
        market,
        instrument_ids=market.instrument_ids[order],
        closes=market.closes[:, order],
        industries=market.industries[order],
    )
    assert_equal(told(account), told(replace(account, market=other)))


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_an_order_in_two_fills_is_one_trade(seed: int) -> None:
    account = any_account(seed)
    rows = account.fills.copy()
    rows["order_id"] = np.arange(1, len(rows) + 1)
    halves = np.repeat(rows, 2)
    halves["quantity"] /= 2
    halves["fee"] /= 2
    assert_equal(told(account), told(replace(account, fills=halves)))


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_what_is_measured_is_not_changed(seed: int) -> None:
    account = any_account(seed)
    before = account.fills.tobytes(), account.market.closes.tobytes()
    told(account)
    assert (account.fills.tobytes(), account.market.closes.tobytes()) == before
