"""Trades that follow prices: chasing (buying after rises) and panic (selling after falls).

Each figure is the share of trades made after a rise (a fall) less the share that chance would give. A rise is a
positive return over `lookback_days` up to the close before the trade. For purchases chance is the market: the share
of all its instruments and days, while the account was watched, that stood after a rise. For sales chance is
what was held: the share of its own holding days that stood after a fall. See Barber and Odean (2008), "All that
glitters", for buying and Grinblatt and Keloharju (2001), "What makes investors trade?", for both.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .habit import Estimate, Habit, Harm, Kind
from .intervals import jackknife, ratio_difference, share
from .records import Flags, Floats, Rows
from .settings import HabitSettings
from .trips import History, blocks, held_before

CHASING = Kind("chasing", "share of purchases above the market's", Harm.ABOVE, 0.0)
PANIC = Kind("panic", "share of sales above that of holding days", Harm.ABOVE, 0.0)


def chasing(history: History, settings: HabitSettings) -> Habit:
    """Share of purchases after a rise, less the market's. The sample is the purchases with a known past."""
    past = past_returns(history.market.closes, settings.lookback_days)
    watched = np.arange(len(past)) >= history.first_day
    known = np.isfinite(past) & watched[:, None]
    return _excess(CHASING, history, settings, history.buys, past > 0, known)


def panic(history: History, settings: HabitSettings) -> Habit:
    """Share of sales after a fall, less that of the days on which something could be sold. The sample is the
    sales with a known past; the part `market` counts falls of the whole market instead of the instrument's."""
    days = settings.lookback_days
    past = past_returns(history.market.closes, days)
    index = np.asarray(np.cumprod(1.0 + history.market.market_returns)[:, None], np.float64)
    market_fell = np.broadcast_to(past_returns(index, days) < 0, past.shape)
    known = np.isfinite(past) & held_before(history)
    sells = history.sells
    of_market = jackknife(
        ratio_difference, _sums(history, settings, sells, market_fell, known), settings.confidence
    )
    return _excess(PANIC, history, settings, sells, past < 0, known, {"market": of_market})


def past_returns(closes: Floats, days: int) -> Floats:
    """Days x instruments: return over `days` up to the close before each day, NaN where not known."""
    returns = np.full(closes.shape, np.nan)
    returns[days + 1 :] = closes[days:-1] / closes[: -days - 1] - 1.0
    return returns


def _excess(
    kind: Kind,
    history: History,
    settings: HabitSettings,
    trades: Rows,
    after: Flags,
    known: Flags,
    parts: dict[str, Estimate | None] | None = None,
) -> Habit:
    sums = _sums(history, settings, trades, after, known)
    shares = {
        "share": share(sums[:, :2], settings.confidence),
        "chance": share(sums[:, 2:], settings.confidence),
    }
    estimate = jackknife(ratio_difference, sums, settings.confidence)
    return kind.tell(settings, int(sums[:, 1].sum()), estimate, {**shares, **(parts or {})})


def _sums(
    history: History, settings: HabitSettings, trades: Rows, after: NDArray[np.bool_], known: Flags
) -> Floats:
    """Blocks of days x (trades after, trades, chances after, chances): returns over k days overlap within k days."""
    place = trades["day"], trades["column"]
    columns = np.zeros((history.market.days, 4))
    columns[:, 0] = np.bincount(trades["day"], (after & known)[place], len(columns))
    columns[:, 1] = np.bincount(trades["day"], known[place], len(columns))
    columns[:, 2] = (after & known).sum(axis=1)
    columns[:, 3] = known.sum(axis=1)
    block = blocks(np.arange(len(columns)), settings.lookback_days)
    return np.asarray(np.add.reduceat(columns, np.unique(block, return_index=True)[1]))
