"""Which holdings are chosen, those at a gain or those at a loss: the disposition effect and averaging down.

On each day with a sale, every holding is at a gain or at a loss, and either chosen or not (Odean 1998, "Are
investors reluctant to realize their losses?", section II):

    PGR = gains realised / (gains realised + gains on paper),    PLR the same of losses

A sale is a gain if its price is above the average purchase price, without fees. A holding that is not sold is a
gain on paper if the whole day's range is above the average purchase price, a loss if the whole range is below, and
is not counted otherwise; where highs and lows are not known, the close decides. Days without a sale do not count.
Counting instead the holdings that are bought more of, on days with a purchase, gives PGA and PLA, the
proportions of gains and losses added to (Strahilevitz, Odean and Barber 2011, "Once burned, twice shy").
"""

from __future__ import annotations

import numpy as np

from .habit import Habit, Harm, Kind
from .intervals import jackknife, ratio_difference, share
from .records import Flags, Floats, Rows
from .settings import HabitSettings
from .trips import History, held_before

DISPOSITION = Kind("disposition", "PGR - PLR", Harm.ABOVE, 0.0)
AVERAGING_DOWN = Kind("averaging_down", "PLA - PGA", Harm.ABOVE, 0.0)


def disposition(history: History, settings: HabitSettings) -> Habit:
    """PGR - PLR: how much likelier a gain is sold than a loss. The sample is the sales at a gain or a loss."""
    sums = daily_counts(history, history.sells)
    parts = {
        "pgr": share(sums[:, [0, 1]], settings.confidence),
        "plr": share(sums[:, [2, 3]], settings.confidence),
    }
    estimate = jackknife(ratio_difference, sums, settings.confidence)
    return DISPOSITION.tell(settings, int(sums[:, [0, 2]].sum()), estimate, parts)


def averaging_down(history: History, settings: HabitSettings) -> Habit:
    """PLA - PGA: how much likelier a loss is added to than a gain. The sample is the days with a purchase
    while something was held."""
    buys = history.buys
    sums = daily_counts(history, buys[buys["held"] > 0], buys)[:, [2, 3, 0, 1]]
    parts = {
        "pla": share(sums[:, [0, 1]], settings.confidence),
        "pga": share(sums[:, [2, 3]], settings.confidence),
    }
    estimate = jackknife(ratio_difference, sums, settings.confidence)
    return AVERAGING_DOWN.tell(settings, len(sums), estimate, parts)


def daily_counts(history: History, chosen: Rows, occasions: Rows | None = None) -> Floats:
    """Days with an occasion x (gains chosen, gains to choose from, losses chosen, losses to choose from).

    An occasion is a choice, unless others are given. A holding chosen twice in a day counts once.
    """
    days = np.unique((chosen if occasions is None else occasions)["day"])
    earned = np.zeros(history.cost.shape)
    np.add.at(
        earned, (chosen["day"], chosen["column"]), chosen["quantity"] * (chosen["price"] - chosen["cost"])
    )
    picked = np.zeros(history.cost.shape, bool)
    picked[chosen["day"], chosen["column"]] = True
    above, below = _on_paper(history)
    held = held_before(history) & ~picked
    counts = [picked & (earned > 0), held & above, picked & (earned < 0), held & below]
    gains, paper_gains, losses, paper_losses = (count[days].sum(axis=1, dtype=float) for count in counts)
    sums = np.stack([gains, gains + paper_gains, losses, losses + paper_losses], axis=1)
    return np.asarray(sums[sums.any(axis=1)])


def _on_paper(history: History) -> tuple[Flags, Flags]:
    """Days x instruments: whether what was held when the day began stood above its cost, and below."""
    market = history.market
    cost = history.before(history.cost, np.nan)
    lows = market.closes if market.lows is None else market.lows
    highs = market.closes if market.highs is None else market.highs
    return lows > cost, highs < cost
