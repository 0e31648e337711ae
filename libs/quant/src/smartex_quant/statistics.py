"""The interval of a proportion, and the rank among peers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike

from .arrays import at_least, fraction, vector
from .errors import InvalidInputError


class Interval(NamedTuple):
    """An estimate and the bounds of its confidence interval."""

    low: float
    estimate: float
    high: float


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Interval of a proportion by inverting the score test (Wilson, 1927); near nominal on average."""
    share = _proportion(successes, trials)
    z = _normal(confidence)
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    low = 0.0 if successes == 0 else float(centre - half)  # the ends are exact, but for rounding
    high = 1.0 if successes == trials else float(centre + half)
    return Interval(low, share, high)


def percentile_rank(value: float, peers: ArrayLike) -> float:
    """Percent of peers below the value, those equal to it counting half (mid-rank), 0 to 100."""
    others = vector("peers", peers)
    at_least(1, others)
    if not np.isfinite(value):
        raise InvalidInputError("value", "must be finite")
    return float(100.0 * (np.mean(others < value) + 0.5 * np.mean(others == value)))


def _proportion(successes: int, trials: int) -> float:
    if trials < 1 or not 0 <= successes <= trials:
        raise InvalidInputError("successes", f"must be 0 to {trials} trials, is {successes}")
    return successes / trials


def _normal(confidence: float) -> float:
    return float(scipy.stats.norm.ppf((1.0 + fraction("confidence", confidence)) / 2.0))
