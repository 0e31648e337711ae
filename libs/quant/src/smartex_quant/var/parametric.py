"""Parametric VaR: a shrunk covariance and a shape of the tail."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

from smartex_quant.arrays import FloatArray, choice, fraction
from smartex_quant.returns import RISKMETRICS_DECAY, ewma_volatility

from .scenarios import BURN_IN_DAYS
from .tail_risk import TailRisk, checked_history, checked_question, standardised

_INVERSE_DEGREES = np.linspace(0.005, 0.4, 40)  # degrees of freedom from 200 down to 2.5


class Parametric:
    """A covariance of returns; made once for a market, asked for any number of portfolios.

    returns: simple daily returns, shape (days, instruments), latest last, no holes (see `returns.complete`). The
    mean is taken as zero (RiskMetrics, 1996).

    volatility "ewma": tomorrow's forecast with `decay`; "constant": root mean square of the history.
    Correlations are those of the returns divided by that volatility, day by day, shrunk towards none by the
    intensity of Ledoit & Wolf (2004), so there may be more instruments than days, and no hedge is taken for perfect.

    tail "student": t innovations. Degrees of freedom by maximum likelihood on the portfolio's own returns divided by
    their volatility forecast, and the quantile is multiplied by the root mean square of those (a forecast from
    few days is too sure of itself). The marginals take that tail as given. tail "normal": the Gaussian quantile.

    Longer horizons: square root of time, which is exact for the variance of independent days; the tail's
    shape is kept, which errs on the side of caution.
    """

    def __init__(
        self,
        returns: ArrayLike,
        volatility: Literal["ewma", "constant"] = "ewma",
        tail: Literal["student", "normal"] = "student",
        *,
        decay: float = RISKMETRICS_DECAY,
    ) -> None:
        self._returns = checked_history(returns)
        self._ewma = choice("volatility", volatility, ("ewma", "constant")) == "ewma"
        self._decay = fraction("decay", decay)
        self._student = choice("tail", tail, ("student", "normal")) == "student"
        self._covariance = self._shrunk_covariance()

    @property
    def covariance(self) -> FloatArray:
        """Covariance of the returns of one day, shape (instruments, instruments)."""
        return self._covariance

    def risk(self, exposures: ArrayLike, level: float = 0.99, horizon_days: int = 1) -> TailRisk:
        """VaR and ES of exposures in money (short is negative), one for each column of the returns."""
        money = checked_question(exposures, len(self._covariance), level, horizon_days)
        slope = self._covariance @ money
        deviation = float(np.sqrt(max(float(money @ slope), 0.0)))
        unit = slope / deviation if deviation > 0.0 else np.zeros_like(slope)
        var, es = self._multipliers(money, 1.0 - level)
        root = float(np.sqrt(horizon_days))
        return TailRisk.from_marginals(money, var * root * unit, es * root * unit, level, horizon_days)

    def _volatilities(self, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Volatility of each day (as known the day before, if EWMA) and of the day to come."""
        if self._ewma:
            forecasts = ewma_volatility(rows, self._decay)
            return forecasts[BURN_IN_DAYS:-1], forecasts[-1]
        constant = np.sqrt(np.mean(rows**2, axis=0))
        return np.broadcast_to(constant, rows[BURN_IN_DAYS:].shape), constant

    def _shrunk_covariance(self) -> FloatArray:
        # Imported when it is needed: it would hold up every start by a second and more.
        from sklearn.covariance import ledoit_wolf

        past, tomorrow = self._volatilities(self._returns)
        shrunk, _ = ledoit_wolf(standardised(self._returns[BURN_IN_DAYS:], past), assume_centered=True)
        root = np.sqrt(np.diag(shrunk))
        correlation = standardised(shrunk, np.outer(root, root))
        return np.asarray(correlation * np.outer(tomorrow, tomorrow))

    def _multipliers(self, money: FloatArray, probability: float) -> tuple[float, float]:
        """VaR and ES of a portfolio of unit volatility."""
        if not self._student:
            return normal_tail(probability)
        own = self._returns @ money
        past, _ = self._volatilities(own)
        residuals = standardised(own[BURN_IN_DAYS:], past)
        size = float(np.sqrt(np.mean(residuals**2)))
        if size == 0.0:
            return normal_tail(probability)
        var, es = student_tail(probability, degrees_of_freedom(residuals / size))
        return size * var, size * es


@lru_cache(maxsize=64)
def normal_tail(probability: float) -> tuple[float, float]:
    """VaR -z and ES phi(z) / p of a standard normal gain, with z its quantile at p."""
    quantile = scipy.stats.norm.ppf(probability)
    return float(-quantile), float(scipy.stats.norm.pdf(quantile) / probability)


@lru_cache(maxsize=1024)
def student_tail(probability: float, degrees: float) -> tuple[float, float]:
    """VaR and ES of a t gain scaled to unit variance.

    ES = f(q) / p * (v + q^2) / (v - 1), with q the quantile, f the density and v the degrees of freedom (McNeil, Frey &
    Embrechts, 2005, eq. 2.26), both times sqrt((v - 2) / v).
    """
    quantile = scipy.stats.t.ppf(probability, degrees)
    shortfall = scipy.stats.t.pdf(quantile, degrees) / probability * (degrees + quantile**2) / (degrees - 1.0)
    scale = np.sqrt((degrees - 2.0) / degrees)
    return float(-quantile * scale), float(shortfall * scale)


def degrees_of_freedom(residuals: FloatArray) -> float:
    """Degrees of freedom, 2.5 to 200, under which residuals of unit variance are likeliest.

    The best of a grid even in 1 / v, which is as fine as the quantile is sensitive.
    """
    degrees = 1.0 / _INVERSE_DEGREES[:, None]
    squares = np.log1p(residuals**2 / (degrees - 2.0)).mean(axis=1, keepdims=True)
    constant = scipy.special.gammaln((degrees + 1.0) / 2.0) - scipy.special.gammaln(degrees / 2.0)
    likelihood = constant - 0.5 * np.log(degrees - 2.0) - (degrees + 1.0) / 2.0 * squares
    return float(degrees[np.argmax(likelihood), 0])
