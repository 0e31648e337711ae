"""Holding time: how long purchases are kept, those still held included.

The median of the Kaplan-Meier (1958) survival curve of lots. A lot ends when half of its units are sold; one that
is still held is censored, so that long holdings are not left out. Lots of one position end together, so the
curve's variance sums what each position contributes (Williams 1995, "Product-limit survival functions with
correlated survival times"), and the interval is where the curve, on the log-log scale, cannot be told from a half
(Brookmeyer and Crowley 1982).
"""

from __future__ import annotations

import numpy as np

from .habit import Estimate, Habit, Harm, Kind
from .intervals import cluster_sums, quantile
from .records import Flags, Floats, Integers
from .settings import HabitSettings
from .trips import History, moments
from .turnover import carried

HOLDING_TIME = Kind("holding_time", "trading days", Harm.BELOW, None)
POINTS = 500
"""Times of a survival curve at most; more would only cost."""


def holding_time(history: History, settings: HabitSettings) -> Habit:
    """Median trading days that a purchase is kept. The sample is the lots that ended.

    Parts: the median of `gains` and of `losses`; a lot still held is one or the other by the last close.
    """
    times, ended, position, gained = lots(history, settings)

    def median(of: Flags) -> Estimate | None:
        return median_time(times[of], ended[of], position[of], settings.confidence)

    everything = np.ones(len(times), bool)
    parts = {"gains": median(gained), "losses": median(~gained)}
    return HOLDING_TIME.tell(settings, int(ended.sum()), median(everything), parts)


def lots(history: History, settings: HabitSettings) -> tuple[Floats, Flags, Integers, Flags]:
    """Of each purchase: trading days kept, whether it ended, its position, whether it stood at a gain in the end."""
    trades, market = history.trades, history.market
    halfway = _halfway(history)
    bought = np.flatnonzero(trades["side"] > 0)
    end = halfway[bought]
    ended = end >= 0
    moment = moments(history, settings)
    until = np.where(ended, moment[end], market.days)
    last_close = carried(market.closes)[-1, trades["column"][bought]]
    price = np.where(ended, trades["price"][end], last_close)
    return (
        until - moment[bought],
        ended,
        trades["episode"][bought].astype(np.int64),
        price > trades["price"][bought],
    )


def _halfway(history: History) -> Integers:
    """Of each trade: the row of the sale that brought the sold part of its units to a half, or -1."""
    closed = history.trips[history.trips["sold"] >= 0]
    order = np.lexsort((closed["sold"], closed["bought"]))
    bought, sold, units = (closed[name][order] for name in ("bought", "sold", "quantity"))
    total = np.cumsum(units)
    first = np.searchsorted(bought, bought, side="left")
    so_far = total - total[first] + units[first]
    reached = so_far >= history.trades["quantity"][bought] * (0.5 - 1e-9)
    halfway = np.full(len(history.trades), -1, dtype=np.int64)
    rows, at = np.unique(bought[reached], return_index=True)
    halfway[rows] = sold[reached][at]
    return halfway


def median_time(times: Floats, ended: Flags, cluster: Integers, confidence: float) -> Estimate | None:
    """Median of a Kaplan-Meier curve and its interval; None if the curve or its interval never reaches a half, or one
    position is all there is."""
    clusters = len(np.unique(cluster))
    if clusters < 2:
        return None
    points, survival, hazard_error = survival_curve(times, ended, cluster)
    below = np.flatnonzero(survival <= 0.5)
    if len(below) == 0:
        return None
    z = quantile(confidence, clusters - 1)
    # log(-log S) has the error of the cumulative hazard -log S, relative to it.
    with np.errstate(all="ignore"):
        hazard = -np.log(survival)
        away = np.abs(np.log(hazard) - np.log(np.log(2.0))) > z * hazard_error / hazard
    beyond = np.flatnonzero((away | (survival <= 0)) & (survival < 0.5))
    if len(beyond) == 0:
        return None
    short = np.flatnonzero(away & (survival > 0.5))
    low = points[short[-1] + 1] if len(short) else points[0]
    return Estimate(float(points[below[0]]), float(low), float(points[beyond[0]]))


def survival_curve(times: Floats, ended: Flags, cluster: Integers) -> tuple[Floats, Floats, Floats]:
    """Times at which lots ended, the survival after each, and the cumulative hazard's clustered standard error.

    Of many thousands of times `POINTS` are kept, evenly by rank.
    """
    points, deaths = np.unique(times[ended], return_counts=True)
    at_risk = len(times) - np.searchsorted(np.sort(times), points, side="left")
    hazard = deaths / at_risk
    survival = np.cumprod(1.0 - hazard)
    # What lot i adds to the hazard's error up to t: dN_i/Y less the hazard/Y that it lived through (a martingale).
    lived = np.concatenate([[0.0], np.cumsum(hazard / at_risk)])
    died = np.concatenate([1.0 / at_risk, [0.0]])[np.searchsorted(points, times)] * ended
    until = np.searchsorted(points, times, side="right")
    kept = np.unique(np.linspace(0, len(points) - 1, min(POINTS, len(points))).astype(int))
    moves = died[:, None] * (times[:, None] <= points[kept]) - lived[np.minimum(until[:, None], kept + 1)]
    sums = cluster_sums(cluster, moves)
    inflated = len(sums) / max(len(sums) - 1, 1)
    return points[kept], survival[kept], np.asarray(np.sqrt(inflated * (sums**2).sum(axis=0)))
