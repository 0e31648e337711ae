"""Small hand-made records: a market in a few lines, and fills in words."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from positions.domain.habits import (
    FILL,
    MINIMUMS,
    AccountRecords,
    Habit,
    HabitSettings,
    Market,
    measure,
)
from positions.domain.habits.records import Floats, Rows
from sklearn.metrics import roc_auc_score

T = TypeVar("T")

DAY_NS = 86_400 * 10**9
NOON = 12 * 3600


def auc(having: ArrayLike, without: ArrayLike) -> float:
    """Chance that one with the habit scores above one without, ties half."""
    scores = np.concatenate([np.asarray(having), np.asarray(without)])
    return float(roc_auc_score(np.repeat([1, 0], [np.size(having), np.size(without)]), scores))


def market(
    closes: ArrayLike,
    industries: ArrayLike | None = None,
    industry_returns: ArrayLike | None = None,
    market_returns: ArrayLike | None = None,
    **more: Floats,
) -> Market:
    """A market of instruments 1, 2, ...; by default one industry, flat, in UTC."""
    matrix = np.asarray(closes, float)
    days, instruments = matrix.shape
    flat = np.zeros((days, 1)) if industry_returns is None else np.asarray(industry_returns, float)
    return Market(
        instrument_ids=np.arange(1, instruments + 1),
        closes=matrix,
        industries=np.zeros(instruments, int) if industries is None else np.asarray(industries),
        industry_returns=flat,
        market_returns=np.zeros(days) if market_returns is None else np.asarray(market_returns, float),
        utc_offset_seconds=np.zeros(days, np.int64),
        **more,
    )


def fill(day: int, instrument: int, units: float, price: float, **more: float) -> Rows:
    """Buys (units above zero) or sells at noon, without a fee; `second` is the time of day."""
    row = np.zeros(1, FILL)
    row["day"], row["instrument_id"] = day, instrument
    row["side"], row["quantity"], row["price"], row["mid"] = np.sign(units), abs(units), price, np.nan
    row["time_ns"] = day * DAY_NS + more.pop("second", NOON) * 10**9
    for name, value in more.items():
        row[name] = value
    return row


def records(of_market: Market, *fills: Rows, **more: Any) -> AccountRecords:
    """An account's records, its fills in the order of time."""
    rows = np.concatenate(fills) if fills else np.zeros(0, FILL)
    return AccountRecords(rows[np.argsort(rows["time_ns"], kind="stable")], of_market, **more)


ANY_SAMPLE = HabitSettings(minimums=dict.fromkeys(MINIMUMS, 1), expertise_trips=1)
"""Settings under which even one observation is told."""


def habits(of_records: AccountRecords, settings: HabitSettings = ANY_SAMPLE) -> dict[str, Habit]:
    """An account's habits by key."""
    return {habit.key: habit for habit in measure(of_records, settings)}


def told(figure: T | None) -> T:
    """A figure that must have been told."""
    assert figure is not None
    return figure
