"""The same figures from independent code: scikit-learn, SciPy, pandas."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.covariance import LedoitWolf
from smartex_quant import drawdown, returns
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


def test_drawdown_is_that_of_pandas(rows: FloatArray) -> None:
    curve = pd.Series(np.cumprod(1.0 + rows[:, 0]))
    falls = 1 - curve / curve.cummax()
    found = drawdown.drawdown(curve)
    assert found.worst == pytest.approx(falls.max())
    assert found.current == pytest.approx(falls.iloc[-1])
