import numpy as np
import pytest
from smartex_quant import InvalidInputError
from smartex_quant.liquidity import cost_to_leave, days_to_leave

INF = float("inf")


def test_days_to_leave_by_hand() -> None:
    # 5000 at 10 % of 10,000 a day is 5 days, short or long; nothing to sell takes none; no volume never ends.
    np.testing.assert_array_equal(
        days_to_leave([5000, -5000, 0, 1, 0], [10_000, 10_000, 10_000, 0, 0]), [5, 5, 0, INF, 0]
    )
    np.testing.assert_allclose(days_to_leave([5000], [10_000], 0.25), [2])


def test_cost_by_hand() -> None:
    # Half of 0.2 % and 2 % * sqrt(2500 / 10,000) = 1 %: 1.1 % of 50,000
    cost = cost_to_leave([50_000, -50_000], [2500, -2500], [10_000] * 2, [0.002] * 2, [0.02] * 2)
    np.testing.assert_allclose(cost, [550, 550])
    dearer = cost_to_leave([50_000], [2500], [10_000], [0.002], [0.02], impact=2.0)
    np.testing.assert_allclose(dearer, [1050])


def test_no_volume_cannot_be_left_and_nothing_costs_nothing() -> None:
    cost = cost_to_leave([100, 0], [1, 0], [0, 0], [0.01, 0.01], [0.0, 0.02])
    np.testing.assert_array_equal(cost, [INF, 0.0])


def test_wrong_input_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="volumes"):
        days_to_leave([1], [-1])
    with pytest.raises(InvalidInputError, match="participation"):
        days_to_leave([1], [1], 0)
    with pytest.raises(InvalidInputError, match="spreads"):
        cost_to_leave([1], [1], [1], [-0.1], [0.1])
    with pytest.raises(InvalidInputError, match="impact"):
        cost_to_leave([1], [1], [1], [0.1], [0.1], impact=0)
