"""Falls of an equity curve from its peak, and returns that deposits and withdrawals do not distort."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from .arrays import FloatArray, at_least, choice, vector
from .errors import InvalidInputError

ROUNDING = 1e-12


@dataclass(frozen=True)
class Drawdown:
    """Falls as shares of the peak before them, 0 to 1 (above 1 if equity goes below zero).

    The other fields are row numbers of the curve, or counts of rows. `worst_recovery` is the first row at or above
    the peak of the worst fall, None if there is none yet. A curve that never fell has zero falls, and its worst peak
    and trough are row 0.
    """

    current: float
    current_peak: int
    worst: float
    worst_peak: int
    worst_trough: int
    worst_recovery: int | None
    rows_under_water: int
    longest_under_water: int


def drawdown(equity: ArrayLike) -> Drawdown:
    """Current and worst fall of a curve, 1 - equity / running maximum (Magdon-Ismail & Atiya, 2004).

    Pass a growth index (`growth`) rather than money if there were deposits or withdrawals. The curve must start
    above zero. Time under water is counted in rows since the last row at a peak.
    """
    curve = vector("equity", equity)
    at_least(1, curve)
    if curve[0] <= 0.0:
        raise InvalidInputError("equity", "must start above zero")
    peaks = np.maximum.accumulate(curve)
    falls = 1.0 - curve / peaks
    rows = np.arange(len(curve))
    last_peak = np.maximum.accumulate(np.where(curve == peaks, rows, 0))
    trough = int(np.argmax(falls))
    recovered = np.flatnonzero(curve[trough:] >= peaks[trough])
    under_water = rows - last_peak
    return Drawdown(
        float(falls[-1]),
        int(last_peak[-1]),
        float(falls[trough]),
        int(last_peak[trough]),
        trough,
        trough + int(recovered[0]) if len(recovered) else None,
        int(under_water[-1]),
        int(under_water.max()),
    )


def time_weighted(
    values: ArrayLike, flows: ArrayLike, flows_at: Literal["start", "end"] = "start"
) -> FloatArray:
    """Return of each period with deposits (positive) and withdrawals taken out, one fewer than `values`.

    values: equity at the end of each period, the first being the start. flows[i]: what came in during period i
    (between values[i] and values[i+1]). "start": r = V1 / (V0 + F) - 1; "end": r = (V1 - F) / V0 - 1 (Global Investment
    Performance Standards, 2020: revalue at each flow, then link). A period with no capital and no gain
    returns zero; a gain on no or negative capital has no return and raises InvalidInputError.
    """
    equity = vector("values", values)
    at_least(2, equity)
    came = vector("flows", flows, size=len(equity) - 1)
    at_start = choice("flows_at", flows_at, ("start", "end")) == "start"
    base = equity[:-1] + came if at_start else equity[:-1]
    gain = equity[1:] - equity[:-1] - came
    return _over(gain, base, np.abs(equity[:-1]) + np.abs(came), "values")


def modified_dietz(start: float, end: float, flows: ArrayLike, elapsed: ArrayLike) -> float:
    """Return of one period from its flows and when they came (Dietz, 1966).

    R = (end - start - sum F) / (start + sum (1 - elapsed) F), `elapsed` being the share of the period that had
    passed at each flow, 0 to 1. For use where the equity at the time of a flow is not known.
    """
    came = vector("flows", flows)
    passed = vector("elapsed", elapsed, size=len(came))
    if ((passed < 0.0) | (passed > 1.0)).any():
        raise InvalidInputError("elapsed", "must lie between 0 and 1")
    ends = vector("start and end", [start, end])
    gain = ends[1:] - ends[:1] - came.sum()
    base = ends[:1] + (1.0 - passed) @ came
    return float(_over(gain, base, np.abs(ends[:1]) + np.abs(came).sum(), "start")[0])


def growth(returns: ArrayLike) -> FloatArray:
    """Growth of one unit: 1, 1 + r[0], (1 + r[0])(1 + r[1]), ...; one row more than `returns`."""
    return np.concatenate([[1.0], np.cumprod(1.0 + vector("returns", returns))])


def _over(gain: FloatArray, base: FloatArray, scale: FloatArray, field: str) -> FloatArray:
    """Gain over base, zero where neither is more than rounding of the amounts they come from."""
    idle = np.maximum(np.abs(base), np.abs(gain)) <= ROUNDING * scale
    if (~idle & (base <= 0.0)).any():
        raise InvalidInputError(field, "a gain on no or negative capital has no return")
    return np.divide(gain, base, out=np.zeros_like(gain), where=~idle)
