import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartex_quant import HistoryTooShortError, InvalidInputError
from smartex_quant.drawdown import drawdown


def test_worst_and_current_fall_by_hand() -> None:
    found = drawdown([100, 120, 90, 108, 120, 150, 135])
    assert found.worst == pytest.approx(0.25)  # 1 - 90/120
    assert found.current == pytest.approx(0.10)  # 1 - 135/150


def test_a_curve_that_never_fell() -> None:
    found = drawdown([1.0, 1.0, 2.0])
    assert (found.current, found.worst) == (0.0, 0.0)


def test_a_debt_is_a_fall_of_more_than_all() -> None:
    assert drawdown([10.0, -5.0]).worst == pytest.approx(1.5)


@given(st.lists(st.floats(0.01, 1e6), min_size=1, max_size=40))
def test_worst_fall_equals_the_search_of_all_pairs(curve: list[float]) -> None:
    found = drawdown(curve)
    pairs = [1 - curve[j] / curve[i] for i in range(len(curve)) for j in range(i, len(curve))]
    assert found.worst == pytest.approx(max(pairs), abs=1e-12)
    assert 0.0 <= found.current <= found.worst


def test_a_curve_must_start_above_zero() -> None:
    for curve in ([0.0, 1.0], [1.0, float("nan")]):
        with pytest.raises(InvalidInputError, match="equity"):
            drawdown(curve)
    with pytest.raises(HistoryTooShortError):
        drawdown([])
