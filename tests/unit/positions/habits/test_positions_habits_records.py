"""Records that do not fit are refused by name, and peers are ranked."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from habit_worlds import fill, market, records
from positions.domain.habits import (
    FLOW,
    AccountRecords,
    Estimate,
    Habit,
    HabitSettings,
    Harm,
    RecordError,
    industry_expertise,
    measure,
    rank,
)

MARKET = market(np.full((3, 2), 10.0))


def changed(**fields: float) -> AccountRecords:
    row = fill(1, 1, 10, 10)
    for name, value in fields.items():
        row[name] = value
    return records(MARKET, row)


@pytest.mark.parametrize(
    ("account", "field"),
    [
        (changed(price=0), "fills.price"),
        (changed(price=np.nan), "fills.price"),
        (changed(quantity=-1), "fills.quantity"),
        (changed(fee=np.inf), "fills.fee"),
        (changed(side=0), "fills.side"),
        (changed(day=3), "fills.day"),
        (changed(day=-1), "fills.day"),
        (changed(instrument_id=9), "fills.instrument_id"),
        (replace(records(MARKET), fills=np.zeros(1)), "fills"),  # type: ignore[arg-type]  # wrong on purpose
        (replace(records(MARKET), home_industry=1), "home_industry"),
        (records(MARKET, flows=np.array([(9, 1.0)], FLOW)), "flows.day"),
        (records(MARKET, flows=np.array([(0, np.nan)], FLOW)), "flows.amount"),
        (records(MARKET, flows=np.zeros(1)), "flows"),
        (records(replace(MARKET, closes=np.full((3, 2), -1.0))), "market.closes"),
        (records(replace(MARKET, closes=np.ones(3))), "market.closes"),
        (records(replace(MARKET, instrument_ids=np.array([1, 1]))), "market.instrument_ids"),
        (records(replace(MARKET, industries=np.array([0, 1]))), "market.industries"),
        (records(replace(MARKET, industries=np.array([0]))), "market.industries"),
        (records(replace(MARKET, industry_returns=np.zeros((3, 0)))), "market.industry_returns"),
        (records(replace(MARKET, market_returns=np.array([0, 0, np.nan]))), "market.market_returns"),
        (records(replace(MARKET, highs=MARKET.closes)), "market.highs"),
        (records(replace(MARKET, highs=np.ones(1), lows=np.ones(1))), "market.highs"),
    ],
)
def test_what_does_not_fit_is_named(account: AccountRecords, field: str) -> None:
    for face in (measure, industry_expertise):
        with pytest.raises(RecordError) as refused:
            face(account)
        assert refused.value.field == field
        assert str(refused.value).startswith(f"{field}: give ")


def test_fills_must_ascend() -> None:
    early, late = fill(0, 1, 10, 10), fill(1, 1, 10, 10)
    account = replace(records(MARKET), fills=np.concatenate([late, early]))
    with pytest.raises(RecordError, match="ascending"):
        measure(account)


def test_instruments_may_come_in_any_order() -> None:
    unsorted = replace(MARKET, instrument_ids=np.array([7, 3]))
    assert unsorted.columns(np.array([3, 7, 3])).tolist() == [1, 0, 1]


def told(key: str, estimate: Estimate | None) -> Habit:
    return Habit(key, "share", Harm.BELOW, 0.5, 30, 20, estimate, {})


def test_only_what_was_told_is_ranked() -> None:
    habits = (told("a", Estimate(2.0, 1.0, 3.0)), told("b", None), told("c", Estimate(2.0, 1.0, 3.0)))
    # Of a's peers one is below 2, and two are equal, which count half: 2 of 4.
    ranked = rank(habits, {"a": np.array([1.0, 2.0, 2.0, 3.0]), "b": np.array([1.0]), "c": np.zeros(0)})
    assert [habit.percentile for habit in ranked] == [50.0, None, None]


def test_a_habit_is_evident_when_its_whole_interval_harms() -> None:
    assert told("a", Estimate(0.3, 0.2, 0.4)).evident
    assert not told("a", Estimate(0.4, 0.2, 0.6)).evident
    assert not replace(told("a", Estimate(0.3, 0.2, 0.4)), harm=Harm.ABOVE).evident
    assert not replace(told("a", Estimate(0.3, 0.2, 0.4)), neutral=None).evident


@pytest.mark.parametrize(
    "wrong",
    [
        {"confidence": 1.0},
        {"lookback_days": 0},
        {"after_loss_days": 0},
        {"loss_cut": 0.0},
        {"open_seconds": 60_000},
        {"edge_seconds": 0},
        {"expertise_spread": 0.0},
        {"minimums": {"disposition": 5}},
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=": "):
        HabitSettings(**wrong)
