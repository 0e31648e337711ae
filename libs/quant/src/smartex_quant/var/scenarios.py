"""What the past days would do to today's portfolio, and how that changes with each exposure."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy

from smartex_quant.arrays import FloatArray, divided
from smartex_quant.returns import ewma_mean

BURN_IN_DAYS = 20
SMALLEST_RELATIVE_VARIANCE = 0.04


class Scenarios(Protocol):
    """Gains of a portfolio, one for each scenario."""

    gains: FloatArray

    def gradient(self, weights: FloatArray) -> FloatArray:
        """Derivative of weights @ gains by each exposure."""
        ...


class PlainScenarios:
    """The days as they were: gain[t] = r[t] . exposures."""

    def __init__(self, returns: FloatArray, money: FloatArray) -> None:
        self._returns = returns
        self.gains = returns @ money

    def gradient(self, weights: FloatArray) -> FloatArray:
        """Derivative of weights @ gains by each exposure."""
        return weights @ self._returns


class FilteredScenarios:
    """The days at tomorrow's volatility: gain[t] = g[t] s / s[t] less its mean, with g[t] = r[t] . exposures.

    s^2 is the EWMA mean of g^2 with all days, s[t]^2 that of the days before t and at least
    SMALLEST_RELATIVE_VARIANCE times the mean of g^2.
    """

    def __init__(self, returns: FloatArray, money: FloatArray, decay: float) -> None:
        self._returns = returns
        self._decay = decay
        self._own = returns @ money
        variance = ewma_mean(self._own**2, decay)
        least = SMALLEST_RELATIVE_VARIANCE * float(np.mean(self._own**2))
        self._floored = variance < least
        self._variance = np.maximum(variance, least)
        before = self._variance[
            BURN_IN_DAYS - 1 : -1
        ]  # row t of the means knows day t, so day t + 1 meets it
        self._ratio = np.sqrt(divided(self._variance[-1], before, otherwise=1.0))
        scaled = self._own[BURN_IN_DAYS:] * self._ratio
        self.gains = scaled - scaled.mean()

    def gradient(self, weights: FloatArray) -> FloatArray:
        """Derivative of weights @ gains by each exposure.

        d gain[t] = (s / s[t]) (r[t] + g[t] (d ln s - d ln s[t])), d ln s[t] = d s[t]^2 / (2 s[t]^2).
        """
        on_return = np.zeros(len(self._own))
        on_return[BURN_IN_DAYS:] = (weights - weights.mean()) * self._ratio
        pulls = on_return * self._own
        on_log = np.zeros(len(self._own))
        on_log[-1] = pulls.sum()
        on_log[BURN_IN_DAYS - 1 : -1] -= pulls[BURN_IN_DAYS:]
        return (on_return + self._on_squares(divided(on_log, self._variance)) * self._own) @ self._returns

    def _on_squares(self, on_variance: FloatArray) -> FloatArray:
        """Carry weights of the variances back to the squares they are means of: the EWMA mean, transposed."""
        free = np.where(self._floored, 0.0, on_variance) / (
            1.0 - self._decay ** np.arange(1, len(on_variance) + 1)
        )
        carried = scipy.signal.lfilter([1.0 - self._decay], [1.0, -self._decay], free[::-1])[::-1]
        return np.asarray(
            carried + on_variance[self._floored].sum() * SMALLEST_RELATIVE_VARIANCE / len(on_variance)
        )
