import numpy as np
import pytest
from scipy import stats
from smartex_quant import HistoryTooShortError, InvalidInputError, backtests
from smartex_quant.var import Historical, Parametric


def test_kupiec_by_hand() -> None:
    # 5 of 250 at 99 %: -2 [245 ln .99 + 5 ln .01 - 245 ln .98 - 5 ln .02]
    #   = -2 [-2.46233 - 23.02585 + 4.94966 + 19.56012] = 1.95681
    found = backtests.kupiec(5, 250, 0.99)
    assert found.statistic == pytest.approx(1.95681, abs=1e-4)
    assert found.p_value == pytest.approx(0.16185, abs=1e-4)


def test_kupiec_at_the_ends() -> None:
    assert backtests.kupiec(0, 250, 0.99).statistic == pytest.approx(-500 * np.log(0.99))
    assert backtests.kupiec(250, 250, 0.99).p_value == 0.0
    assert backtests.kupiec(5, 100, 0.95).statistic == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("days", "level", "low", "high"),
    # Kupiec (1995), table of non-rejection regions at 95 %: "N < 7" and "6 < N < 21" for 255 days, "4 < N < 17" and
    # "37 < N < 65" for 1000. His "N < 7" takes in 0, which the ratio rejects: -2 * 255 ln 0.99 = 5.13 > 3.84.
    [(255, 0.99, 1, 6), (255, 0.95, 7, 20), (1000, 0.99, 5, 16), (1000, 0.95, 38, 64)],
)
def test_the_band_is_that_of_kupiecs_table(days: int, level: float, low: int, high: int) -> None:
    assert backtests.kupiec_band(days, level) == (low, high)


def test_the_band_is_where_the_test_passes() -> None:
    for days in (1, 10, 100, 757):
        low, high = backtests.kupiec_band(days, 0.99)
        for count in range(min(days, high + 3) + 1):
            assert (backtests.kupiec(count, days, 0.99).p_value >= 0.05) == (low <= count <= high)


def test_christoffersen_by_hand() -> None:
    # 0 1 1 0 0 0: after a calm day (rows 0, 3, 4): 1 of 3; after a violation (rows 1, 2): 1 of 2; together 2 of 5.
    together = 2 * np.log(2 / 5) + 3 * np.log(3 / 5)
    apart = np.log(1 / 3) + 2 * np.log(2 / 3) + 2 * np.log(1 / 2)
    found = backtests.christoffersen_independence([0, 1, 1, 0, 0, 0])
    assert found.statistic == pytest.approx(-2 * (together - apart))
    assert found.p_value == pytest.approx(stats.chi2.sf(found.statistic, 1))


def test_conditional_coverage_is_the_sum() -> None:
    hits = np.random.default_rng(0).random(300) < 0.05
    found = backtests.evaluate(hits, 0.95)
    total = found.coverage.statistic + found.independence.statistic
    assert found.conditional_coverage.statistic == pytest.approx(total)
    assert found.conditional_coverage.p_value == pytest.approx(stats.chi2.sf(total, 2))
    assert found.in_band == (found.coverage.p_value >= 0.05)


def test_clusters_are_found_and_calm_runs_are_not() -> None:
    clustered = np.zeros(500)
    clustered[100:112] = clustered[300:313] = 1
    assert backtests.christoffersen_independence(clustered).p_value < 1e-6
    assert backtests.christoffersen_independence(np.zeros(500)).p_value == 1.0
    assert backtests.christoffersen_independence([1]).p_value == 1.0


def test_p_values_are_uniform_if_the_model_is_right() -> None:
    generator = np.random.default_rng(12)
    counts = generator.binomial(5000, 0.05, 4000)
    values = np.array([backtests.kupiec(int(count), 5000, 0.95).p_value for count in counts])
    for share in (0.05, 0.25, 0.5, 0.75):
        assert np.mean(values <= share) == pytest.approx(share, abs=0.03)


def test_independence_rejects_one_in_twenty_if_days_are_independent() -> None:
    generator = np.random.default_rng(13)
    runs = (
        generator.random(20_000) < 0.05 for _ in range(1000)
    )  # 50 violations after a violation are expected
    rejected = np.mean([backtests.christoffersen_independence(run).p_value < 0.05 for run in runs])
    assert rejected == pytest.approx(0.05, abs=0.02)


def test_rolling_forecasts_see_only_the_window_before() -> None:
    rows = np.random.default_rng(3).normal(0, 0.01, (130, 2))
    money = [[1e6, 0.0], [1e6, -1e6]]
    found = backtests.rolling(rows, money, Historical, window=120, levels=(0.95,))
    assert found.var.shape == (10, 2, 1)
    np.testing.assert_allclose(found.losses[:, 1], -(rows[120:, 0] - rows[120:, 1]) * 1e6)
    assert found.var[4, 1, 0] == pytest.approx(Historical(rows[4:124]).risk(money[1], 0.95).var)
    changed = rows.copy()
    changed[124:] = 9.0
    again = backtests.rolling(changed, money, Historical, window=120, levels=(0.95,))
    np.testing.assert_array_equal(found.var[:5], again.var[:5])
    np.testing.assert_array_equal(found.violations[:, :, 0], found.losses > found.var[:, :, 0])


def test_a_right_model_passes_on_simulated_days() -> None:
    rows = np.random.default_rng(7).normal(0, 0.01, (1200, 1))
    for model in (Historical, Parametric):
        found = backtests.rolling(rows, [[1.0]], model, window=300, levels=(0.95,))
        assert backtests.evaluate(found.violations[:, 0, 0], 0.95).in_band


def test_wrong_input_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="violations"):
        backtests.evaluate([0, 2], 0.99)
    with pytest.raises(HistoryTooShortError):
        backtests.evaluate([], 0.99)
    with pytest.raises(InvalidInputError, match="violations"):
        backtests.kupiec(5, 4, 0.99)
    with pytest.raises(InvalidInputError, match="days"):
        backtests.kupiec_band(0, 0.99)
    with pytest.raises(HistoryTooShortError):
        backtests.rolling(np.zeros((100, 1)), [[1.0]], Historical, window=100)
