"""The answer of every VaR model, and the checks that they share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from smartex_quant.arrays import FloatArray, at_least, fraction, matrix, vector
from smartex_quant.errors import InvalidInputError

MIN_DAYS = 60
MIN_LEVEL = 0.9
MAX_HORIZON_DAYS = 60


@dataclass(frozen=True)
class TailRisk:
    """Value at risk and expected shortfall of a portfolio, in the money unit of its exposures.

    A loss is positive. `var` is the loss that is exceeded with probability 1 - level over the horizon, `es`
    the mean loss beyond it (Acerbi & Tasche, 2002). `marginal_*` is the change of the figure for one more unit of
    money in each instrument, zero holdings included. `component_*` is exposure times marginal; by Euler's theorem
    the components add up to the figure (Tasche, 1999). A hedge has a negative component. A book that cannot gain or
    lose has no derivative; its marginals are zero.
    """

    level: float
    horizon_days: int
    var: float
    es: float
    marginal_var: FloatArray
    marginal_es: FloatArray
    component_var: FloatArray
    component_es: FloatArray

    @classmethod
    def from_marginals(
        cls,
        exposures: FloatArray,
        marginal_var: FloatArray,
        marginal_es: FloatArray,
        level: float,
        horizon_days: int,
    ) -> TailRisk:
        """Multiply out the marginals; the totals are the sums of the components."""
        component_var, component_es = exposures * marginal_var, exposures * marginal_es
        return cls(
            level,
            horizon_days,
            float(component_var.sum()),
            float(component_es.sum()),
            marginal_var,
            marginal_es,
            component_var,
            component_es,
        )


def checked_history(returns: ArrayLike) -> FloatArray:
    """Return the returns as a full matrix of at least MIN_DAYS rows, or raise."""
    rows = matrix("returns", returns)
    if rows.shape[1] == 0:
        raise InvalidInputError("returns", "must have at least one instrument")
    at_least(MIN_DAYS, rows)
    return rows


def checked_question(exposures: ArrayLike, size: int, level: float, horizon_days: int) -> FloatArray:
    """Return the exposures as a vector of `size`, having checked level and horizon."""
    if fraction("level", level) < MIN_LEVEL:
        raise InvalidInputError("level", f"must be at least {MIN_LEVEL}, is {level}")
    if horizon_days not in range(1, MAX_HORIZON_DAYS + 1):
        raise InvalidInputError("horizon_days", f"must be 1 to {MAX_HORIZON_DAYS}, is {horizon_days}")
    return vector("exposures", exposures, size=size)


def standardised(rows: FloatArray, scale: FloatArray) -> FloatArray:
    """Divide by the scale; a return whose scale is zero counts as zero."""
    return np.divide(rows, scale, out=np.zeros_like(rows), where=scale > 0.0)
