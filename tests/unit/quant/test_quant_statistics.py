import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from smartex_quant import HistoryTooShortError, InvalidInputError, statistics


def test_wilson_by_hand() -> None:
    # 8 of 10, z = 1.96: centre (0.8 + 0.19207) / 1.38415 = 0.71674; half 1.95996 / 1.38415 * sqrt(0.016 + 0.0096037)
    found = statistics.wilson(8, 10)
    assert found.estimate == 0.8
    np.testing.assert_allclose([found.low, found.high], [0.49016, 0.94332], atol=2e-5)
    assert statistics.wilson(0, 10).low == 0.0
    assert statistics.wilson(10, 10).high == 1.0


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.99))
@settings(deadline=None)
def test_wilson_agrees_with_scipy(case: tuple[int, int], confidence: float) -> None:
    successes, trials = case
    found = statistics.wilson(successes, trials, confidence)
    other = stats.binomtest(successes, trials).proportion_ci(confidence, "wilson")
    np.testing.assert_allclose([found.low, found.high], [other.low, other.high], atol=1e-9)


def test_coverage_of_wilson() -> None:
    trials, truth = 50, 0.2
    chances = stats.binom.pmf(np.arange(trials + 1), trials, truth)
    found = [statistics.wilson(count, trials) for count in range(trials + 1)]
    assert 0.93 <= chances @ [one.low <= truth <= one.high for one in found] <= 0.97


def test_percentile_rank_by_hand() -> None:
    # Of 1, 2, 2, 3: one below 2, two equal: (1 + 2/2) / 4
    assert statistics.percentile_rank(2, [1, 2, 2, 3]) == 50.0
    assert statistics.percentile_rank(9, [1, 2]) == 100.0
    assert statistics.percentile_rank(1, [1]) == 50.0
    assert statistics.percentile_rank(2, [3, 1, 2]) == stats.percentileofscore([3, 1, 2], 2, "mean")
    with pytest.raises(HistoryTooShortError):
        statistics.percentile_rank(1, [])


def test_wrong_input_is_refused() -> None:
    for successes, trials in ((3, 2), (0, 0)):
        with pytest.raises(InvalidInputError, match="successes"):
            statistics.wilson(successes, trials)
    with pytest.raises(InvalidInputError, match="confidence"):
        statistics.wilson(1, 2, 1.0)
