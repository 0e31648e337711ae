"""Returns from closes with holes, and volatility. Rows are days, columns are instruments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from .arrays import (
    BoolArray,
    FloatArray,
    at_least,
    divided,
    fraction,
    labels,
    matrix,
    positive,
    series,
)
from .errors import InvalidInputError

RISKMETRICS_DECAY = 0.94


@dataclass(frozen=True)
class CompleteReturns:
    """Simple returns without holes, and which of them are a proxy rather than the instrument's own.

    `values` and `proxied` have shape (days - 1, instruments).
    """

    values: FloatArray
    proxied: BoolArray


def simple(closes: ArrayLike) -> FloatArray:
    """Simple returns P[t] / P[t-1] - 1, one row fewer than `closes`; NaN where either close is missing."""
    prices = _prices(closes)
    return np.asarray(prices[1:] / prices[:-1] - 1.0)


def _prices(closes: ArrayLike) -> FloatArray:
    prices = series("closes", closes, missing=True)
    at_least(2, prices)
    if (prices <= 0.0).any():
        raise InvalidInputError("closes", "must be positive; give NaN where there is none")
    return prices


def complete(closes: ArrayLike, groups: Sequence[str] | None = None) -> CompleteReturns:
    """Simple returns with every hole filled, so that a covariance or a scenario may be taken.

    Policy. Where an instrument has no close (suspended, not yet listed, gone), its return is that day's
    mean return of its group; where the group has none, the mean of all; where nobody traded, zero. This is the
    index-return method by which Chinese funds value suspended shares (CSRC announcement 2008 no. 38). On the day an
    instrument trades again its return is what remains, so that the returns over the gap compound to the true change
    of price.

    A proxy has less volatility than the instrument, so risk is understated: look at `proxied`.
    """
    prices = _prices(matrix("closes", closes, missing=True))
    raw = simple(prices)
    names = labels("groups", groups if groups is not None else [""] * raw.shape[1], size=raw.shape[1])
    values = np.where(np.isnan(raw), _proxies(raw, names), raw)
    absent = np.isnan(prices)
    _bridge_gaps(values, prices)
    return CompleteReturns(values, absent[1:] | ~_seen_before(absent))


def _seen_before(absent: BoolArray) -> BoolArray:
    """Whether an instrument had any close before the day of each return."""
    return np.maximum.accumulate(~absent, axis=0)[:-1]


def _proxies(raw: FloatArray, names: NDArray[np.str_]) -> FloatArray:
    everyone = np.nan_to_num(_row_means(raw), nan=0.0)
    proxies = np.empty_like(raw)
    for name in np.unique(names):
        members = names == name
        own = _row_means(raw[:, members])
        proxies[:, members] = np.where(np.isnan(own), everyone, own)[:, None]
    return proxies


def _row_means(values: FloatArray) -> FloatArray:
    present = ~np.isnan(values)
    return divided(np.where(present, values, 0.0).sum(axis=1), present.sum(axis=1), otherwise=np.nan)


def _bridge_gaps(values: FloatArray, prices: FloatArray) -> None:
    """Set the return of each day of resumption to what the proxies of its gap left over."""
    absent = np.isnan(prices)
    resumed = ~absent[1:] & absent[:-1] & _seen_before(absent)
    for row, column in np.argwhere(resumed):
        last = np.flatnonzero(~absent[: row + 1, column])[-1]
        proxied = np.prod(1.0 + values[last:row, column])
        values[row, column] = prices[row + 1, column] / prices[last, column] / proxied - 1.0


def ewma_volatility(returns: ArrayLike, decay: float = RISKMETRICS_DECAY) -> FloatArray:
    """Forecast of volatility per day by exponentially weighted squares (RiskMetrics, 1996), mean taken as zero.

    sigma[t]^2 = sum_k decay^k r[t-1-k]^2 / sum_k decay^k. The weights are those of the days at hand, so no
    start value is needed. Row t uses only the rows before t; row 0 is NaN, and the row after the last is the
    forecast for the day to come. One row more than `returns`.
    """
    rows = series("returns", returns)
    at_least(1, rows)
    unknown = np.full((1, *rows.shape[1:]), np.nan)
    return np.concatenate([unknown, np.sqrt(ewma_mean(rows**2, decay))])


def ewma_mean(values: ArrayLike, decay: float = RISKMETRICS_DECAY) -> FloatArray:
    """Exponentially weighted mean of the rows up to and with each row, the latest weighing most."""
    rows = series("values", values)
    weighted = scipy.signal.lfilter([1.0 - fraction("decay", decay)], [1.0, -decay], rows, axis=0)
    known = 1.0 - decay ** np.arange(1, len(rows) + 1)
    return np.asarray(weighted / known.reshape(-1, *[1] * (rows.ndim - 1)))


def realised_volatility(returns: ArrayLike, days_per_year: float = 252.0) -> FloatArray:
    """Annualised sample standard deviation of daily returns; NaN rows are left out of each column.

    `days_per_year` is 252 for the United States and 242 for mainland China. Fewer than two returns give NaN.
    """
    rows = series("returns", returns, missing=True)
    count = (~np.isnan(rows)).sum(axis=0)
    mean = divided(np.nansum(rows, axis=0), count, otherwise=np.nan)
    squares = np.nansum((rows - mean) ** 2, axis=0)
    variance = np.where(count > 1, divided(squares, np.maximum(count - 1, 1)), np.nan)
    return np.asarray(np.sqrt(variance * positive("days_per_year", days_per_year)))
