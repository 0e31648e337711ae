"""Industry expertise: where the investor's trades beat the industry's own return.

A round trip's excess is its return after fees less the return of its instrument's industry over the trading days
after the purchase's up to the sale's; trips that are still open count to the last close. The industry's move
between the purchase and that day's close is not known and adds noise, but no bias. The figure is the sum of the
excesses over the sum of the time held: unlike a mean a trip, it does not depend on how long trips last or on which
of them have ended. Positions of an account are its clusters: what is left after the industry's return is the
instruments' own.

A figure of few trips is more luck than skill. The shrunk figure draws it towards zero, no expertise, by as much as
its own variance outweighs the variance of true expertise between investors and industries, `expertise_spread` of
the settings squared (empirical Bayes; Efron and Morris 1973).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .habit import Estimate
from .intervals import cluster_sums, freedom, jackknife, quantile, ratio
from .records import Floats, Integers
from .settings import HabitSettings
from .trips import History, moments
from .turnover import carried


@dataclass(frozen=True)
class IndustryExpertise:
    """What an account's trips in one industry earned beyond it, a year of holding, as shares (0.01 is 1 %).

    `estimate` is None below `minimum` trips, and `error` (its standard error) and `shrunk` with it. `positions` is the
    number of clusters.
    """

    industry: int
    trips: int
    positions: int
    minimum: int
    estimate: Estimate | None
    error: float | None
    shrunk: Estimate | None

    @property
    def evident(self) -> bool:
        """Whether the shrunk interval lies above zero: the investor knows this industry."""
        return self.shrunk is not None and self.shrunk.low > 0.0


def expertise(history: History, settings: HabitSettings) -> tuple[IndustryExpertise, ...]:
    """Every industry traded, by its column, ascending."""
    trips = excess_returns(history, settings)
    return tuple(
        _of_industry(int(industry), trips, settings)
        for industry in np.unique(trips.industry)
        if industry >= 0
    )


@dataclass(frozen=True)
class ExcessReturns:
    """Of each trip: its excess and its trading days held, both times the part that it is of its purchase; its
    industry and its position."""

    excess: Floats
    days: Floats
    industry: Integers
    position: Integers


def excess_returns(history: History, settings: HabitSettings) -> ExcessReturns:
    """The trips' returns beyond their industries'; trips without a price to count to are left out."""
    trades, market, trips = history.trades, history.market, history.trips
    bought, sold, closed = trades[trips["bought"]], trades[trips["sold"]], trips["sold"] >= 0
    column = bought["column"]
    last = carried(market.closes)[-1, column]
    sale_fee = np.where(closed, sold["fee"] / sold["quantity"], 0.0)
    earned = np.where(closed, sold["price"], last) - sale_fee
    paid = bought["price"] + bought["fee"] / bought["quantity"]
    until = np.where(closed, sold["day"], market.days - 1)
    industry = market.industries[column]
    index = np.cumprod(1.0 + market.industry_returns, axis=0)
    excess = earned / paid - index[until, industry] / index[bought["day"], industry]
    moment = moments(history, settings)
    held = np.where(closed, moment[trips["sold"]], market.days) - moment[trips["bought"]]
    part = trips["quantity"] / bought["quantity"]
    kept = np.isfinite(excess) & (industry >= 0)
    return ExcessReturns(
        (excess * part)[kept],
        (held * part)[kept],
        industry[kept],
        bought["episode"].astype(np.int64)[kept],
    )


def _of_industry(industry: int, trips: ExcessReturns, settings: HabitSettings) -> IndustryExpertise:
    chosen = trips.industry == industry
    count = int(chosen.sum())
    yearly = trips.excess[chosen] * settings.trading_days_per_year
    columns = np.stack([yearly, trips.days[chosen]], axis=1)
    sums = cluster_sums(trips.position[chosen], columns)
    minimum = settings.expertise_trips
    estimate = jackknife(ratio, sums, settings.confidence, size=1) if count >= minimum else None
    if estimate is None:
        return IndustryExpertise(industry, count, len(sums), minimum, None, None, None)
    reach = quantile(settings.confidence, freedom(sums, 1))
    error = (estimate.high - estimate.value) / reach
    shrunk = _shrink(estimate.value, error, reach, settings.expertise_spread)
    return IndustryExpertise(industry, count, len(sums), minimum, estimate, error, shrunk)


def _shrink(figure: float, error: float, reach: float, spread: float) -> Estimate:
    kept = spread**2 / (spread**2 + error**2)
    width = reach * float(np.sqrt(kept)) * error
    return Estimate(kept * figure, kept * figure - width, kept * figure + width)
