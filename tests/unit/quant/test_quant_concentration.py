import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartex_quant import InvalidInputError
from smartex_quant.concentration import by_group, concentration, leverage


def test_concentration_by_hand() -> None:
    # Shares 0.5, 0.3, 0.2 of a gross of 1000: 0.25 + 0.09 + 0.04 = 0.38
    found = concentration([500, -300, 200])
    assert (found.gross, found.net) == (1000, 400)
    assert (found.largest_share, found.largest) == (0.5, 0)
    assert found.hhi == pytest.approx(0.38)
    assert found.effective_number == pytest.approx(1 / 0.38)


@pytest.mark.parametrize("money", [[], [0.0, 0.0]])
def test_an_empty_book(money: list[float]) -> None:
    found = concentration(money)
    assert (found.gross, found.hhi, found.effective_number, found.largest) == (0.0, 0.0, 0.0, None)
    assert all(group.share == 0.0 for group in by_group(money, ["a"] * len(money)).values())
    assert leverage(money, 100) == 0.0


@given(st.lists(st.floats(-1e9, 1e9).filter(lambda x: abs(x) > 1e-3), min_size=1, max_size=30))
def test_hhi_lies_between_equal_and_single(money: list[float]) -> None:
    found = concentration(money)
    assert 1 / len(money) - 1e-12 <= found.hhi <= found.largest_share + 1e-12
    assert 1 - 1e-9 <= found.effective_number <= len(money) + 1e-9
    assert sum(
        group.share for group in by_group(money, [str(i % 3) for i in range(len(money))]).values()
    ) == (pytest.approx(1.0))


def test_groups_by_hand_largest_first() -> None:
    found = by_group([100, -50, 200, -10], ["bank", "bank", "steel", "oil"])
    assert list(found) == ["steel", "bank", "oil"]
    assert (found["bank"].long, found["bank"].short) == (100, 50)
    assert (found["bank"].gross, found["bank"].net) == (150, 50)
    assert found["bank"].share == pytest.approx(150 / 360)


def test_leverage() -> None:
    assert leverage([150, -50], 100) == 2.0
    assert leverage([1], 0.0) == leverage([1], -5.0) == float("inf")
    with pytest.raises(InvalidInputError, match="equity"):
        leverage([1], float("nan"))
    with pytest.raises(InvalidInputError, match="groups"):
        by_group([1, 2], ["a"])
