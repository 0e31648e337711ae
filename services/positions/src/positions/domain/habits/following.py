"""Trades that follow prices: chasing (buying after rises) and panic (selling after falls).

Each figure is the share of trades made after a rise (a fall) less the share that chance would give. A rise is a
positive return over `lookback_days` up to the close before the trade. For purchases chance is the market: the share
of all its instruments and days, while the account was watched, that stood after a rise. For sales chance is
what was held: the share of its own holding days that stood after a fall. See Barber and Odean (2008), "All that
glitters", for buying and Grinblatt and Keloharju (2001), "What makes investors trade?", for both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .habit import Estimate, Habit, Harm, Kind
from .intervals import cluster_sums, jackknife, ratio_difference, share
from .records import Flags, Floats, Integers
from .settings import HabitSettings
from .trips import History, held_before

CHASING = Kind("chasing", "share of purchases above the market's", Harm.ABOVE, 0.0)
PANIC = Kind("panic", "share of sales above that of holding days", Harm.ABOVE, 0.0)


def chasing(history: History, settings: HabitSettings) -> Habit:
    """Share of purchases after a rise, less the market's. The sample is the purchases with a known past."""
    whole, buys = history.whole, history.buys
    past = past_returns(whole.closes, settings.lookback_days)
    past[: history.first_day] = np.nan
    made = _Made(buys["day"], whole.columns(buys["instrument_id"]))
    sums = _sums(made, past > 0, np.isfinite(past), settings)
    return CHASING.tell(settings, int(sums[:, 1].sum()), _excess(sums, settings), _shares(sums, settings))


def panic(history: History, settings: HabitSettings) -> Habit:
    """Share of sales after a fall, less that of the days on which something could be sold. The sample is the
    sales with a known past; the part `market` counts falls of the whole market instead of the instrument's."""
    past = past_returns(history.market.closes, settings.lookback_days)
    index = np.asarray(np.cumprod(1.0 + history.market.market_returns)[:, None], np.float64)
    fell_with_market = np.broadcast_to(past_returns(index, settings.lookback_days) < 0, past.shape)
    sellable = np.isfinite(past) & held_before(history)
    made = _Made(history.sells["day"], history.sells["column"])
    sums = _sums(made, past < 0, sellable, settings)
    parts = {
        **_shares(sums, settings),
        "market": _excess(_sums(made, fell_with_market, sellable, settings), settings),
    }
    return PANIC.tell(settings, int(sums[:, 1].sum()), _excess(sums, settings), parts)


def past_returns(closes: Floats, days: int) -> Floats:
    """Days x instruments: return over `days` up to the close before each day, NaN where not known."""
    returns = np.full(closes.shape, np.nan)
    returns[days + 1 :] = closes[days:-1] / closes[: -days - 1] - 1.0
    return returns


class _Made(NamedTuple):
    """The rows and columns at which trades were made."""

    day: Integers
    column: Integers


def _sums(made: _Made, after: Flags, known: Flags, settings: HabitSettings) -> Floats:
    """Blocks of days x (trades after, trades, chances after, chances): returns over k days overlap within k days."""
    after = after & known
    days = len(known)
    columns = np.stack(
        [
            np.bincount(made.day, after[made], days),
            np.bincount(made.day, known[made], days),
            after.sum(axis=1),
            known.sum(axis=1),
        ],
        axis=1,
    )
    return cluster_sums(np.arange(days) // settings.lookback_days, columns)


def _excess(sums: Floats, settings: HabitSettings) -> Estimate | None:
    return jackknife(ratio_difference, sums, settings.confidence)


def _shares(sums: Floats, settings: HabitSettings) -> dict[str, Estimate | None]:
    return {
        "share": share(sums[:, :2], settings.confidence),
        "chance": share(sums[:, 2:], settings.confidence),
    }
