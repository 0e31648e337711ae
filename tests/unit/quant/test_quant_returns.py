from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from smartex_quant import HistoryTooShortError, InvalidInputError, returns
from smartex_quant.arrays import BoolArray

NAN = float("nan")


def test_simple_returns_leave_holes_where_a_close_is_missing() -> None:
    closes = [[10.0, NAN], [11.0, 5.0], [NAN, 4.0]]
    np.testing.assert_allclose(returns.simple(closes), [[0.1, NAN], [NAN, -0.2]])  # 11/10 - 1, 4/5 - 1


def test_a_price_of_zero_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="closes"):
        returns.simple([1.0, 0.0])
    with pytest.raises(HistoryTooShortError):
        returns.simple([1.0])


def test_a_suspended_day_takes_the_return_of_its_group_and_the_gap_compounds_to_the_price() -> None:
    closes = [
        [10.0, 20.0, 100.0],
        [NAN, 22.0, 90.0],  # A is suspended; its group (B) gains 10 %
        [12.1, 22.0, 90.0],  # A is back 21 % higher; 1.21 / 1.10 - 1 = 10 % is left for today
    ]
    filled = returns.complete(closes, groups=["bank", "bank", "steel"])
    np.testing.assert_allclose(filled.values[:, 0], [0.10, 0.10])
    np.testing.assert_array_equal(filled.proxied[:, 0], [True, False])
    assert not filled.proxied[:, 1:].any()


def test_a_new_listing_takes_the_mean_of_all_where_its_group_has_nothing() -> None:
    closes = [[NAN, 10.0], [NAN, 11.0], [50.0, 11.0], [55.0, 11.0]]
    filled = returns.complete(closes, groups=["new", "old"])
    # Days 1 and 2 have no return of its own: on day 2 it has its first close, with none before.
    np.testing.assert_allclose(filled.values[:, 0], [0.10, 0.0, 0.10])
    np.testing.assert_array_equal(filled.proxied[:, 0], [True, True, False])


def test_without_groups_the_mean_of_all_stands_in_and_zero_on_a_dead_day() -> None:
    closes = [[NAN, 10.0, 10.0], [NAN, 11.0, 13.0], [NAN, NAN, NAN]]
    np.testing.assert_allclose(returns.complete(closes).values[:, 0], [0.2, 0.0])  # (10 % + 30 %) / 2


@given(
    st.integers(0, 2**32 - 1),
    arrays(bool, (12, 4)),
)
def test_completed_returns_compound_from_any_close_to_any_later_close(seed: int, holes: BoolArray) -> None:
    closes = 100.0 * np.exp(np.random.default_rng(seed).normal(0, 0.02, (12, 4)).cumsum(axis=0))
    closes[holes] = NAN
    filled = returns.complete(closes, groups=["a", "a", "b", "b"]).values
    assert np.isfinite(filled).all()
    for column in range(4):
        seen = np.flatnonzero(~np.isnan(closes[:, column]))
        for first, last in pairwise(seen):
            grown = np.prod(1.0 + filled[first:last, column])
            assert grown == pytest.approx(closes[last, column] / closes[first, column])


def test_ewma_volatility_by_hand() -> None:
    # decay 0.5: day 0 unknown; day 1 from 0.04 alone; day 2 (0.0016 + 0.5 * 0.0016 ...) with equal squares stays 0.04;
    # after 0.02: (0.0004 + 0.5 * 0.0016 + 0.25 * 0.0016) / 1.75 = 0.0016 / 1.75
    forecast = returns.ewma_volatility([0.04, -0.04, 0.02], decay=0.5)
    np.testing.assert_allclose(forecast, [NAN, 0.04, 0.04, np.sqrt(0.0016 / 1.75)])


def test_ewma_volatility_uses_the_past_only() -> None:
    rows = np.random.default_rng(1).normal(size=(50, 2))
    changed = rows.copy()
    changed[30] = 99.0
    before, after = returns.ewma_volatility(rows), returns.ewma_volatility(changed)
    np.testing.assert_array_equal(before[:31], after[:31])
    assert (before[31:] != after[31:]).all()


def test_realised_volatility_by_hand() -> None:
    # deviations of 1 %, 3 % from 2 %: sample variance 2 * 0.0001 / 1; a year of 242 days
    assert float(returns.realised_volatility([0.01, 0.03], 242)) == pytest.approx(np.sqrt(0.0002 * 242))
    np.testing.assert_allclose(
        returns.realised_volatility([[0.01, 0.5, 0.1], [NAN, NAN, 0.1], [0.03, NAN, 0.1]], 242),
        [np.sqrt(0.0002 * 242), NAN, 0.0],
        atol=1e-15,
    )


@pytest.mark.parametrize("decay", [0.0, 1.0, NAN])
def test_a_decay_outside_zero_to_one_is_refused(decay: float) -> None:
    with pytest.raises(InvalidInputError, match="decay"):
        returns.ewma_volatility([0.1], decay)
