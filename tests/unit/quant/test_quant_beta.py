import numpy as np
import pytest
from scipy import stats
from smartex_quant import HistoryTooShortError, InvalidInputError
from smartex_quant.arrays import FloatArray
from smartex_quant.beta import Beta, beta, vasicek


def sample(seed: int = 0, days: int = 60) -> tuple[FloatArray, FloatArray]:
    generator = np.random.default_rng(seed)
    market = generator.normal(0, 0.01, days)
    return market[:, None] * [0.5, 1.0, 2.0] + generator.normal(0, 0.01, (days, 3)), market


def test_beta_agrees_with_a_regression_of_each_column_with_holes() -> None:
    rows, market = sample()
    rows[5, 0], rows[7:12, 1] = np.nan, np.nan
    found = beta(rows, market)
    for column in range(3):
        there = ~np.isnan(rows[:, column])
        fit = stats.linregress(market[there], rows[there, column])
        assert found.beta[column] == pytest.approx(fit.slope)
        assert found.standard_error[column] == pytest.approx(fit.stderr)
        assert found.correlation[column] == pytest.approx(fit.rvalue)
    np.testing.assert_array_equal(found.days, [59, 55, 60])


def test_a_constant_instrument_has_no_beta() -> None:
    _, market = sample()
    found = beta(np.zeros((60, 1)), market)
    assert found.beta[0] == found.correlation[0] == found.standard_error[0] == 0.0


def test_beta_wants_days_and_a_market_that_moves() -> None:
    rows, market = sample()
    with pytest.raises(HistoryTooShortError):
        beta(rows[:19], market[:19])
    with pytest.raises(InvalidInputError, match="market"):
        beta(rows, np.zeros(60))
    with pytest.raises(InvalidInputError, match="market"):
        beta(rows, market[1:])


def test_shrinkage_by_hand() -> None:
    one = np.ones(1)
    estimate = Beta(2.0 * one, 0.3 * one, 0.5 * one, 60 * one)
    # Precisions 1/0.09 and 1/0.04: (2 * 4 + 1 * 9) / 13, scaled by 36/100
    assert vasicek(estimate, 1.0, 0.2)[0] == pytest.approx(17 / 13)


def test_vasicek_brings_estimates_nearer_to_the_truth() -> None:
    generator = np.random.default_rng(4)
    truth = generator.normal(1.0, 0.3, 400)
    market = generator.normal(0, 0.01, 60)
    found = beta(market[:, None] * truth + generator.normal(0, 0.02, (60, 400)), market)
    shrunk = vasicek(found)
    assert np.mean((shrunk - truth) ** 2) < 0.8 * np.mean((found.beta - truth) ** 2)


def test_vasicek_with_nothing_but_noise_gives_the_mean() -> None:
    estimate = Beta(np.array([0.9, 1.1]), np.array([0.5, 0.5]), np.zeros(2), np.full(2, 60.0))
    np.testing.assert_allclose(vasicek(estimate), [1.0, 1.0])
