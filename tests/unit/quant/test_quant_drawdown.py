import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartex_quant import HistoryTooShortError, InvalidInputError
from smartex_quant.drawdown import drawdown, growth, modified_dietz, time_weighted


def test_worst_and_current_fall_by_hand() -> None:
    #                row   0    1    2   3    4    5    6
    found = drawdown([100, 120, 90, 108, 120, 150, 135])
    assert found.worst == pytest.approx(0.25)  # 1 - 90/120
    assert (found.worst_peak, found.worst_trough) == (1, 2)
    assert found.worst_recovery == 4
    assert found.current == pytest.approx(0.10)  # 1 - 135/150
    assert found.current_peak == 5
    assert (found.rows_under_water, found.longest_under_water) == (1, 2)


def test_a_fall_that_has_not_recovered() -> None:
    found = drawdown([100.0, 50.0, 80.0])
    assert found.worst_recovery is None
    assert found.current == pytest.approx(0.2)
    assert found.rows_under_water == 2


def test_a_curve_that_never_fell() -> None:
    found = drawdown([1.0, 1.0, 2.0])
    assert (found.current, found.worst, found.worst_peak, found.worst_trough) == (0.0, 0.0, 0, 0)
    assert found.longest_under_water == 0


def test_a_debt_is_a_fall_of_more_than_all() -> None:
    assert drawdown([10.0, -5.0]).worst == pytest.approx(1.5)


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=40))
def test_worst_fall_equals_the_search_of_all_pairs(curve: list[float]) -> None:
    found = drawdown(curve)
    pairs = [1 - curve[j] / curve[i] for i in range(len(curve)) for j in range(i, len(curve))]
    assert found.worst == pytest.approx(max(pairs), abs=1e-12)
    assert found.worst == pytest.approx(1 - curve[found.worst_trough] / curve[found.worst_peak], abs=1e-12)
    assert 0.0 <= found.current <= found.worst


def test_a_deposit_is_no_gain() -> None:
    # 100 grows to 110; 90 comes in at the start of day 2, and 200 becomes 190.
    np.testing.assert_allclose(time_weighted([100, 110, 190], [0, 90]), [0.10, -0.05])
    # The same 90 at the end of day 2: 110 became 100 before it came.
    np.testing.assert_allclose(time_weighted([100, 110, 190], [0, 90], "end"), [0.10, 100 / 110 - 1])


@given(st.lists(st.tuples(st.floats(-0.5, 0.5), st.floats(0, 1000)), min_size=1, max_size=30))
def test_time_weighted_returns_are_those_of_the_market_whatever_is_paid_in(
    days: list[tuple[float, float]],
) -> None:
    equity, values = 100.0, [100.0]
    for rate, deposit in days:
        equity = (equity + deposit) * (1 + rate)
        values.append(equity)
    found = time_weighted(values, [deposit for _, deposit in days])
    np.testing.assert_allclose(found, [rate for rate, _ in days], atol=1e-9)
    assert growth(found)[-1] == pytest.approx(np.prod([1 + rate for rate, _ in days]), abs=1e-9)


def test_an_empty_account_returns_nothing_until_money_comes() -> None:
    np.testing.assert_allclose(time_weighted([0, 0, 105], [0, 100]), [0.0, 0.05])
    # 0.1 + 0.2 - 0.3 leaves 5.6e-17 of rounding, which is not a capital that was lost.
    np.testing.assert_array_equal(time_weighted([0.1 + 0.2, 0.0], [-0.3]), [0.0])
    with pytest.raises(InvalidInputError):
        time_weighted([0, 5], [0])
    with pytest.raises(InvalidInputError, match="flows"):
        time_weighted([1, 2], [0, 0])
    with pytest.raises(HistoryTooShortError):
        time_weighted([1], [])


def test_modified_dietz_by_hand() -> None:
    # 100 to 130 with 20 in at half time: (130 - 100 - 20) / (100 + 0.5 * 20) = 10 / 110
    assert modified_dietz(100, 130, [20], [0.5]) == pytest.approx(10 / 110)
    assert modified_dietz(100, 110, [], []) == pytest.approx(0.10)
    with pytest.raises(InvalidInputError, match="elapsed"):
        modified_dietz(100, 130, [20], [1.5])


def test_a_curve_must_start_above_zero() -> None:
    for curve in ([0.0, 1.0], [1.0, float("nan")]):
        with pytest.raises(InvalidInputError, match="equity"):
            drawdown(curve)
    with pytest.raises(HistoryTooShortError):
        drawdown([])
