"""The same figures from independent code: scikit-learn, SciPy, pandas."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score
from smartex_quant import drawdown, returns, statistics
from smartex_quant.arrays import FloatArray
from smartex_quant.var import Historical, Parametric


@pytest.fixture(scope="module")
def rows() -> FloatArray:
    return np.random.default_rng(17).standard_t(4, (400, 6)) * 0.01


def test_ewma_volatility_is_that_of_pandas(rows: FloatArray) -> None:
    squares = pd.DataFrame(rows**2).ewm(alpha=0.06, adjust=True).mean()
    np.testing.assert_allclose(returns.ewma_volatility(rows)[1:], np.sqrt(squares))


def test_realised_volatility_and_returns_are_those_of_pandas(rows: FloatArray) -> None:
    closes = pd.DataFrame(100.0 * np.cumprod(1 + rows, axis=0))
    closes.iloc[50:60, 2] = np.nan
    changes = closes.pct_change(fill_method=None).iloc[1:]
    np.testing.assert_allclose(returns.simple(closes), changes)
    np.testing.assert_allclose(returns.realised_volatility(changes, 242), changes.std() * np.sqrt(242))


def test_plain_historical_var_is_the_harrell_davis_quantile_of_scipy(rows: FloatArray) -> None:
    money = np.array([1e6, -2e6, 5e5, 0, 1e5, 3e5])
    for level in (0.95, 0.99):
        expected = stats.mstats.hdquantiles(rows @ money, 1 - level)[0]
        assert Historical(rows, "none").risk(money, level).var == pytest.approx(-expected)


def test_covariance_is_the_shrunk_one_of_scikit_learn(rows: FloatArray) -> None:
    scale = np.sqrt(np.mean(rows**2, axis=0))
    shrunk = LedoitWolf(assume_centered=True).fit(rows[20:] / scale).covariance_
    root = np.sqrt(np.diag(shrunk))
    expected = shrunk / np.outer(root, root) * np.outer(scale, scale)
    np.testing.assert_allclose(Parametric(rows, "constant").covariance, expected)


def test_student_var_is_near_the_fit_of_scipy(rows: FloatArray) -> None:
    degrees, _, scale = stats.t.fit(rows[:, 0], floc=0)
    expected = -stats.t.ppf(0.01, degrees) * scale
    assert Parametric(rows[:, :1], "constant").risk([1.0]).var == pytest.approx(expected, rel=0.05)


def test_auc_is_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(3)
    positives, negatives = generator.integers(2, 9, 40), generator.integers(0, 7, 60)
    truth = np.repeat([1, 0], [40, 60])
    expected = roc_auc_score(truth, np.concatenate([positives, negatives]))
    assert statistics.auc(positives, negatives).estimate == pytest.approx(expected)


def test_error_of_auc_is_that_of_the_jackknife() -> None:
    generator = np.random.default_rng(4)
    positives, negatives = generator.normal(1, 1, 50), generator.normal(0, 1, 70)

    def spread(scores: FloatArray, area: Callable[[FloatArray], float]) -> float:
        left_out = np.array([area(np.delete(scores, i)) for i in range(len(scores))])
        return float((len(scores) - 1) / len(scores) * np.sum((left_out - left_out.mean()) ** 2))

    def area(hits: FloatArray, misses: FloatArray) -> float:
        return float(np.mean(hits[:, None] > misses))

    variance = spread(positives, lambda own: area(own, negatives)) + spread(
        negatives, lambda own: area(positives, own)
    )
    found = statistics.auc(positives, negatives)
    assert (found.high - found.low) / 2 == pytest.approx(1.959964 * np.sqrt(variance), rel=1e-6)


def test_bootstrap_is_near_that_of_scipy() -> None:
    sample = np.random.default_rng(5).exponential(2.0, 80)
    own = statistics.bootstrap(sample, np.mean, np.random.default_rng(1), draws=5000)
    other = stats.bootstrap(
        (sample,), np.mean, n_resamples=5000, method="percentile", rng=np.random.default_rng(2)
    )
    assert own.low == pytest.approx(other.confidence_interval.low, abs=0.06)
    assert own.high == pytest.approx(other.confidence_interval.high, abs=0.06)


def test_mean_and_winsorised_sample_are_those_of_scipy() -> None:
    sample = np.random.default_rng(6).standard_t(3, 41)
    interval = stats.t.interval(0.95, 40, sample.mean(), stats.sem(sample))
    assert statistics.mean(sample)[::2] == pytest.approx(interval)
    assert statistics.winsorised_mean(sample, 0.1).estimate == pytest.approx(
        stats.mstats.winsorize(sample, (0.1, 0.1)).mean()
    )


def test_drawdown_is_that_of_pandas(rows: FloatArray) -> None:
    curve = pd.Series(drawdown.growth(rows[:, 0]))
    falls = 1 - curve / curve.cummax()
    found = drawdown.drawdown(curve)
    assert found.worst == pytest.approx(falls.max())
    assert found.worst_trough == falls.idxmax()
    assert found.current == pytest.approx(falls.iloc[-1])
