"""Beta to a market, its standard error, and estimates drawn towards what is usual."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .arrays import FloatArray, divided, matrix, positive, vector
from .errors import HistoryTooShortError, InvalidInputError

MIN_DAYS = 20


@dataclass(frozen=True)
class Beta:
    """Ordinary least squares of each instrument on the market; every field has shape (instruments,).

    `beta` is the slope, `standard_error` its standard error, `correlation` that of the pair, `days` the returns
    used. A constant instrument has beta and correlation 0.
    """

    beta: FloatArray
    standard_error: FloatArray
    correlation: FloatArray
    days: FloatArray


def beta(returns: ArrayLike, market: ArrayLike) -> Beta:
    """Slope of r = a + b m + e for each column of `returns` (days, instruments); NaN days are left out.

    b = cov(r, m) / var(m), se = sqrt(sum e^2 / (n - 2) / sum (m - mean m)^2). Raises HistoryTooShortError below
    MIN_DAYS common days, InvalidInputError for a market that does not move.
    """
    rows = matrix("returns", returns, missing=True)
    index = vector("market", market, size=len(rows), missing=True)[:, None]
    present = ~np.isnan(rows) & ~np.isnan(index)
    days = present.sum(axis=0).astype(np.float64)
    if (days < MIN_DAYS).any():
        raise HistoryTooShortError(MIN_DAYS, int(days.min()))
    own, other = _centred(rows, present), _centred(np.broadcast_to(index, rows.shape), present)
    squares = (other**2).sum(axis=0)
    if (squares <= 0.0).any():
        raise InvalidInputError("market", "does not move")
    slope = (own * other).sum(axis=0) / squares
    residual = ((own - slope * other) ** 2).sum(axis=0)
    correlation = divided(slope * np.sqrt(squares), np.sqrt((own**2).sum(axis=0)))
    return Beta(slope, np.sqrt(residual / (days - 2.0) / squares), np.clip(correlation, -1.0, 1.0), days)


def _centred(rows: FloatArray, present: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> FloatArray:
    values = np.where(present, rows, 0.0)
    return np.where(present, values - values.sum(axis=0) / present.sum(axis=0), 0.0)


def vasicek(estimates: Beta, mean: float = 1.0, deviation: float | None = None) -> FloatArray:
    """Drawn towards `mean` the more, the less certain an estimate is (Vasicek, 1973).

    b' = (b / se^2 + mean / d^2) / (1 / se^2 + 1 / d^2), d being the deviation of true betas across instruments. Without
    `deviation` it is estimated: the spread of the estimates about `mean` less what their errors explain. If that
    leaves nothing, all are `mean`.
    """
    error = estimates.standard_error**2
    if deviation is not None:
        prior = positive("deviation", deviation) ** 2
    else:
        prior = max(float(np.mean((estimates.beta - mean) ** 2 - error)), 0.0)
    weight = divided(prior, prior + error, otherwise=1.0)
    return weight * estimates.beta + (1.0 - weight) * mean
