import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartex_quant.concentration import hhi


def test_hhi_by_hand() -> None:
    # Shares 0.5, 0.3, 0.2 of a gross of 1000: 0.25 + 0.09 + 0.04 = 0.38
    assert hhi([500, -300, 200]) == pytest.approx(0.38)


@pytest.mark.parametrize("money", [[], [0.0, 0.0]])
def test_an_empty_book(money: list[float]) -> None:
    assert hhi(money) == 0.0


@given(st.lists(st.floats(-1e9, 1e9).filter(lambda x: abs(x) > 1e-3), min_size=1, max_size=30))
def test_hhi_lies_between_equal_and_single(money: list[float]) -> None:
    largest_share = max(map(abs, money)) / sum(map(abs, money))
    assert 1 / len(money) - 1e-12 <= hhi(money) <= largest_share + 1e-12
