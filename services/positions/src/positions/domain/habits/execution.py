"""How orders are placed: at what time of day, and how aggressively.

Spreads and volatility are widest at the day's edges (Admati and Pfleiderer 1988; Jain and Joh 1988), and who takes
liquidity pays the spread that who gives it earns (Linnainmaa 2010, "Do limit orders alter inferences about
investor performance and behavior?").
"""

from __future__ import annotations

import numpy as np

from .habit import Estimate, Habit, Harm, Kind
from .intervals import cluster_sums, concentration, share
from .records import Flags, Rows
from .settings import HabitSettings
from .trips import History, seconds_of_day

TIME_OF_DAY = Kind("time_of_day", "share of trades", Harm.ABOVE, None)
AGGRESSIVENESS = Kind("aggressiveness", "share of trades", Harm.ABOVE, None)


def time_of_day(history: History, settings: HabitSettings) -> Habit:
    """Share of trades at the day's edges, the first and last `edge_seconds`. The sample is the trades.

    Parts: `first`, `last`, and `concentration`, the chance that two trades of different days fall into the
    same stretch of `edge_seconds` (a Herfindahl index without the bias of small samples).
    """
    trades = history.trades
    second = seconds_of_day(history)
    first = second < settings.open_seconds + settings.edge_seconds
    last = second >= settings.close_seconds - settings.edge_seconds
    stretch = (second // settings.edge_seconds).astype(np.int64)
    even = settings.edge_seconds / (settings.close_seconds - settings.open_seconds)
    each = np.ones(len(trades))
    parts = {
        "first": _share(trades, first, settings),
        "last": _share(trades, last, settings),
        "concentration": concentration(trades["day"], stretch, each, even, settings.confidence),
    }
    return TIME_OF_DAY.tell(settings, len(trades), _share(trades, first | last, settings), parts)


def aggressiveness(history: History, settings: HabitSettings) -> Habit:
    """Share of trades that took liquidity. The sample is the trades; the part `market` is the share of market
    orders."""
    trades = history.trades
    parts = {"market": _share(trades, trades["market"], settings)}
    return AGGRESSIVENESS.tell(settings, len(trades), _share(trades, trades["taker"], settings), parts)


def _share(trades: Rows, flags: Flags, settings: HabitSettings) -> Estimate | None:
    """Share of the trades flagged; a day's trades hang together."""
    columns = np.stack([flags, np.ones(len(flags))], axis=1).astype(float)
    return share(cluster_sums(trades["day"], columns), settings.confidence)
