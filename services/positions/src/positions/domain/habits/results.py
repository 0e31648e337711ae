"""What trades earn: how often, and how much when right against how much when wrong.

A sale is right if it earned after all fees, by the purchases that it closes first in, first out. Sales that were
held over the same days share the market's and their industry's moves, often more than half of their variance. Their
error is therefore taken apart: what a sale's result owes to those moves, by regression over its holding days,
varies as the daily moves do, of which there are many; the rest is each position's own. The same idea as a
factor model of a portfolio's risk (Sharpe 1963).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .habit import Estimate, Habit, Harm, Kind
from .intervals import cluster_sums, quantile, score_interval
from .records import Floats, Integers
from .settings import HabitSettings
from .trips import History

HIT_RATE = Kind("hit_rate", "share of sales", Harm.BELOW, None)
PAYOFF = Kind("payoff", "average gain over average loss", Harm.BELOW, None)


def hit_rate(history: History, settings: HabitSettings) -> Habit:
    """Share of sales that earned money. The sample is the sales."""
    sales = earnings(history)
    count = len(sales.earned)
    if count < 2:
        return HIT_RATE.tell(settings, count, None)
    won = sales.earned > 0
    part = float(won.mean())
    error = common_error(history, sales, (won - part) / count)
    size = part * (1 - part) / error**2 if error > 0 else float(count)
    low, high = score_interval(part, size, quantile(settings.confidence, sales.positions - 1))
    return HIT_RATE.tell(settings, count, Estimate(part, low, high))


def payoff(history: History, settings: HabitSettings) -> Habit:
    """Average return of the sales that earned over that of those that lost. The sample is the sales."""
    sales = earnings(history)
    returns = sales.earned / sales.paid
    won, lost = returns > 0, returns < 0
    if won.sum() < 2 or lost.sum() < 2:
        return PAYOFF.tell(settings, len(returns), None)
    gain, loss = returns[won].mean(), -returns[lost].mean()
    # What each sale adds to the error of log(gain / loss): leave it out, and its side's mean moves by so much.
    moves = won * (returns / gain - 1) / (won.sum() - 1) + lost * (returns / loss + 1) / (lost.sum() - 1)
    fewer = min(int(won.sum()), int(lost.sum()))
    width = quantile(settings.confidence, fewer - 1) * common_error(history, sales, moves)
    value = float(gain / loss)
    estimate = Estimate(value, float(value * np.exp(-width)), float(value * np.exp(width)))
    return PAYOFF.tell(settings, len(returns), estimate)


@dataclass(frozen=True)
class Sales:
    """Sales that closed trips: what each earned after all fees and had cost, in money, and its position; and of each
    trip its sale, the part of the sale that it is, its industry and its days."""

    earned: Floats
    paid: Floats
    position: Integers
    sale: Integers
    part: Floats
    industry: Integers
    bought_day: Integers
    sold_day: Integers

    @property
    def positions(self) -> int:
        """Number of positions, the clusters."""
        return len(np.unique(self.position))


def earnings(history: History) -> Sales:
    """The sales of what had been bought. A trip bears of both fees the part that its units are."""
    trades, closed = history.trades, history.trips[history.trips["sold"] >= 0]
    bought, sold, units = trades[closed["bought"]], trades[closed["sold"]], closed["quantity"]
    fees = units * (bought["fee"] / bought["quantity"] + sold["fee"] / sold["quantity"])
    rows, sale = np.unique(closed["sold"], return_inverse=True)

    def by_sale(amounts: Floats) -> Floats:
        return np.asarray(np.bincount(sale, amounts, len(rows)), np.float64)

    return Sales(
        earned=by_sale(units * (sold["price"] - bought["price"]) - fees),
        paid=by_sale(units * bought["price"]),
        position=trades["episode"][rows].astype(np.int64),
        sale=sale,
        part=units / by_sale(units)[sale],
        industry=history.market.industries[bought["column"]],
        bought_day=bought["day"].astype(np.int64),
        sold_day=sold["day"].astype(np.int64),
    )


def common_error(history: History, sales: Sales, moves: Floats) -> float:
    """Standard error of a figure from what each sale adds to its error (`moves`, which sum to zero)."""
    market, industries = _factors(history)
    shared = np.stack([_over_days(sales, daily) for daily in (market, industries)], axis=1)
    design = np.hstack([np.ones((len(moves), 1)), shared])
    slopes = np.linalg.lstsq(design, moves, rcond=None)[0]
    own = cluster_sums(sales.position, (moves - design @ slopes)[:, None])
    inflated = len(own) / max(len(own) - design.shape[1], 1)
    exposed = _exposure(sales, market.shape)
    by_market = float((exposed.sum(axis=1) ** 2).sum() * market[:, 0].var())
    by_industry = float(((exposed**2).sum(axis=0) * industries.var(axis=0)).sum())
    variance = inflated * float((own**2).sum()) + slopes[1] ** 2 * by_market + slopes[2] ** 2 * by_industry
    return float(np.sqrt(variance))


def _factors(history: History) -> tuple[Floats, Floats]:
    """Days x industries: the market's return, and each industry's beyond it; the last column is no industry."""
    market = history.market.market_returns[:, None]
    beyond = np.hstack([history.market.industry_returns - market, np.zeros_like(market)])
    return np.repeat(market, beyond.shape[1], axis=1), beyond


def _over_days(sales: Sales, daily: Floats) -> Floats:
    """Each sale's sum of daily returns over the days that its units were held."""
    total = np.cumsum(daily, axis=0)
    held = total[sales.sold_day, sales.industry] - total[sales.bought_day, sales.industry]
    return np.asarray(np.bincount(sales.sale, sales.part * held, len(sales.earned)), np.float64)


def _exposure(sales: Sales, shape: tuple[int, ...]) -> Floats:
    """Days x industries: how many of the sales, in parts, were held over that day's return."""
    change = np.zeros((shape[0] + 1, shape[1]))
    np.add.at(change, (sales.bought_day + 1, sales.industry), sales.part)
    np.add.at(change, (sales.sold_day + 1, sales.industry), -sales.part)
    return np.asarray(np.cumsum(change, axis=0)[:-1])
