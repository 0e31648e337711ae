"""FIFO round trips, average cost and daily positions."""

import numpy as np
import pytest
from habit_worlds import fill, market, records
from hypothesis import given
from hypothesis import strategies as st
from positions.domain.habits.trips import History, build_history

FLAT = market(np.full((6, 2), 10.0))


def trips_of(history: History) -> list[tuple[int, int, float]]:
    return [(int(t["bought"]), int(t["sold"]), float(t["quantity"])) for t in history.trips]


def test_lots_close_first_in_first_out() -> None:
    trades = [fill(0, 1, 100, 10), fill(1, 1, 50, 12), fill(2, 1, -120, 13), fill(3, 1, -10, 14)]
    # The sale of 120 closes the 100 and 20 of the 50; the sale of 10 leaves 20 of them open.
    history = build_history(records(FLAT, *trades))
    assert trips_of(history) == [(0, 2, 100.0), (1, 2, 20.0), (1, 3, 10.0), (1, -1, 20.0)]


def test_average_cost_stays_when_sold_and_starts_anew_when_flat() -> None:
    # (100 * 10 + 100 * 14) / 200 = 12; selling leaves 12; flat on day 3; bought anew at 20.
    trades = [
        fill(0, 1, 100, 10),
        fill(1, 1, 100, 14),
        fill(2, 1, -50, 15),
        fill(3, 1, -150, 15),
        fill(5, 1, 10, 20),
    ]
    history = build_history(records(FLAT, *trades))
    assert history.cost[:, 0] == pytest.approx([10, 12, 12, np.nan, np.nan, 20], nan_ok=True)
    assert history.quantity[:, 0].tolist() == [100, 200, 150, 0, 0, 10]
    assert history.episode[:, 0].tolist() == [0, 0, 0, -1, -1, 1]
    assert history.trades["held"].tolist() == [0, 100, 200, 150, 0]


def test_units_that_were_never_bought_make_no_trip() -> None:
    trades = [fill(0, 1, -30, 10), fill(1, 1, 10, 10), fill(2, 1, -30, 11), fill(3, 1, 5, 12)]
    history = build_history(records(FLAT, *trades))
    assert trips_of(history) == [(1, 2, 10.0), (3, -1, 5.0)]
    assert len(history.sells) == 1  # the first sale had no cost to compare with
    assert history.quantity[:, 0].tolist() == [0, 10, 0, 5, 5, 5]


def test_fills_of_one_order_on_one_day_are_one_trade() -> None:
    trades = [
        fill(0, 1, 30, 10, order_id=5, fee=1),
        fill(0, 1, 10, 14, order_id=5, fee=2),
        fill(1, 1, 10, 12, order_id=5),
        fill(1, 1, 10, 12),
        fill(1, 1, 10, 12),
    ]
    rows = build_history(records(FLAT, *trades)).trades
    # (30 * 10 + 10 * 14) / 40 = 11; the same order on the next day, and fills of unknown orders, stand alone.
    assert rows["price"].tolist() == [11, 12, 12, 12]
    assert rows["quantity"].tolist() == [40, 10, 10, 10]
    assert rows["fee"].tolist() == [3, 0, 0, 0]


def test_a_position_closed_in_fractions_is_flat() -> None:
    trades = [
        fill(0, 1, 0.1, 10),
        fill(0, 1, 0.2, 10),
        fill(1, 1, -0.3, 10),
    ]  # 0.1 + 0.2 is not 0.3 in floats
    history = build_history(records(FLAT, *trades))
    assert history.quantity[:, 0].tolist() == pytest.approx([0.3, 0, 0, 0, 0, 0])
    assert np.isnan(history.cost[1:, 0]).all()


Drawn = list[tuple[int, int, int, int]]

fills: st.SearchStrategy[Drawn] = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 2), st.integers(-50, 50).filter(bool), st.integers(1, 40)),
    min_size=1,
    max_size=60,
)


@given(fills)
def test_units_and_money_are_conserved(drawn: Drawn) -> None:
    history = build_history(records(FLAT, *(fill(d, i, units, price) for d, i, units, price in drawn)))
    trades, trips = history.trades, history.trips
    bought = np.bincount(trips["bought"], weights=trips["quantity"], minlength=len(trades))
    assert bought == pytest.approx(np.where(trades["side"] > 0, trades["quantity"], 0))
    closed = trips[trips["sold"] >= 0]
    sold = np.bincount(closed["sold"], weights=closed["quantity"], minlength=len(trades))
    matched = np.minimum(trades["held"], trades["quantity"])
    assert sold == pytest.approx(np.where(trades["side"] < 0, matched, 0))
    still = trips[trips["sold"] < 0]
    columns = trades["column"][still["bought"]]
    held = history.quantity[-1]
    assert np.bincount(columns, still["quantity"], len(held)) == pytest.approx(held)


@given(fills)
def test_the_cost_lies_between_the_prices_paid(drawn: Drawn) -> None:
    history = build_history(records(FLAT, *(fill(d, i, units, price) for d, i, units, price in drawn)))
    for column in range(history.cost.shape[1]):
        paid = history.buys["price"][history.buys["column"] == column]
        cost = history.cost[:, column]
        cost = cost[~np.isnan(cost)]
        assert len(cost) == 0 or (paid.min() - 1e-9 <= cost.min() and cost.max() <= paid.max() + 1e-9)
