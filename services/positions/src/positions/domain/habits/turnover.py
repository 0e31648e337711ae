"""Turnover and what it costs, a year.

Turnover is half of all that was bought and sold over what the account was worth (Barber and Odean 2000, "Trading
is hazardous to your wealth", who find that it is the costs that lose). Worth is the holdings at the day's
start at the close before, and cash too where the account's cash flows are known. Days that begin with nothing, and so
the purchases that found the account, do not count. What is bought for a position, held in it and sold from it
depends on each other, so positions are the clusters.
"""

from __future__ import annotations

import numpy as np

from .habit import Estimate, Habit, Harm, Kind
from .intervals import LOG, PLAIN, Link, jackknife, ratio
from .records import Floats, Rows
from .settings import HabitSettings
from .trips import History

TURNOVER = Kind("turnover", "times a year", Harm.ABOVE, None)


def turnover(history: History, settings: HabitSettings, flows: Rows) -> Habit:
    """Times a year that the account is turned over. The sample is the trading days that count.

    Parts, a year and as shares of the account's worth: `fees`, `spread` (what trades paid beyond the mid where it
    is known; negative is earned), `cost` (both).
    """
    daily = equity(history, flows)
    worth = _worth_of_positions(history, daily)
    trades = history.trades[(daily[history.trades["day"]] > 0) & (history.trades["episode"] >= 0)]
    value = trades["quantity"] * trades["price"]
    beyond = trades["side"] * (trades["price"] - trades["mid"]) * trades["quantity"]
    spread = np.where(np.isfinite(beyond), beyond, 0.0)

    def a_year(amounts: Floats, link: Link = PLAIN) -> Estimate | None:
        sums = np.bincount(trades["episode"], weights=amounts, minlength=len(worth))
        columns = np.stack([sums * settings.trading_days_per_year, worth], axis=1)
        return jackknife(ratio, columns, settings.confidence, link, size=1)

    parts = {"fees": a_year(trades["fee"]), "spread": a_year(spread), "cost": a_year(trades["fee"] + spread)}
    return TURNOVER.tell(settings, int((daily > 0).sum()), a_year(value / 2, LOG), parts)


def equity(history: History, flows: Rows) -> Floats:
    """What the account was worth at each day's start, at the closes before: holdings, and cash if flows are given."""
    worth = _holdings(history).sum(axis=1)
    if len(flows) == 0:
        return np.asarray(worth)
    trades, days = history.trades, history.market.days
    paid = trades["side"] * trades["quantity"] * trades["price"] + trades["fee"]
    spent = np.cumsum(np.bincount(trades["day"], weights=paid, minlength=days))
    given = np.cumsum(np.bincount(flows["day"], weights=flows["amount"], minlength=days))
    return np.asarray(worth + given - np.concatenate([[0.0], spent[:-1]]))


def carried(closes: Floats) -> Floats:
    """Closes with the last known one carried on over days without; NaN before the first."""
    rows = np.where(np.isfinite(closes), np.arange(len(closes))[:, None], -1)
    last = np.maximum.accumulate(rows, axis=0)
    return np.where(last >= 0, np.take_along_axis(closes, np.maximum(last, 0), axis=0), np.nan)


def _holdings(history: History) -> Floats:
    """Days x instruments: worth of what was held when the day began."""
    worth = np.nan_to_num(history.quantity * carried(history.market.closes))
    return history.before(worth, 0.0)


def _worth_of_positions(history: History, equity_of_day: Floats) -> Floats:
    """Of each position its worth summed over days; cash is borne in proportion, on days without any evenly."""
    holdings = _holdings(history)
    total = holdings.sum(axis=1)
    invested = total > 0
    scale = np.divide(np.maximum(equity_of_day, 0.0), total, out=np.zeros(len(total)), where=invested)
    positions = int(history.trades["episode"].max()) + 1
    held = holdings > 0
    episode = history.before(history.episode.astype(np.float64), -1.0)[held].astype(np.int64)
    worth = np.bincount(episode, weights=(holdings * scale[:, None])[held], minlength=positions)
    idle = float(np.maximum(equity_of_day, 0.0)[~invested].sum())
    return np.asarray(worth + idle / max(positions, 1))
