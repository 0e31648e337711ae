"""Overtrading after losses: purchases a day while a realised loss is fresh, against other days.

A loss is fresh on the `after_loss_days` trading days that follow a sale which lost after fees. The day of such a
sale itself counts as neither, for its purchases may come before the loss, or spend its proceeds. The figure
is the ratio of the two rates (1 is no habit; 2 is twice as many purchases after losses). Purchases are counted, and
not sales, because sales can only follow when there is something to sell, and so come in waves by
themselves. See Thaler and Johnson (1990) and Coval and Shumway (2005), "Do behavioral biases affect prices?".
"""

from __future__ import annotations

import numpy as np

from .habit import Habit, Harm, Kind
from .intervals import LOG, cluster_sums, jackknife, ratio_of_ratios
from .records import Flags, Floats, Integers
from .results import earnings
from .settings import HabitSettings
from .trips import History

OVERTRADING = Kind("overtrading", "times as many purchases a day", Harm.ABOVE, 1.0)


def overtrading(history: History, settings: HabitSettings) -> Habit:
    """Purchases a day after losses over those on other days. The sample is the purchases counted.

    The part `after_gains` compares with the days after gains instead, which takes out waves of activity.
    """
    sales = earnings(history)
    day = np.zeros(len(sales.earned), dtype=np.int64)
    day[sales.sale] = sales.sold_day
    lost, won = (_days(history, day[kept]) for kept in (sales.earned < 0, sales.earned > 0))
    after_loss, after_gain = (_after(days, settings.after_loss_days) for days in (lost, won))
    sums = _sums(history, after_loss, ~after_loss & ~lost)
    against_gains = _sums(history, after_loss & ~after_gain, after_gain & ~after_loss & ~lost)
    confidence = settings.confidence
    return OVERTRADING.tell(
        settings,
        int(sums[:, [0, 2]].sum()),
        jackknife(ratio_of_ratios, sums, confidence, LOG),
        {"after_gains": jackknife(ratio_of_ratios, against_gains, confidence, LOG)},
    )


def _days(history: History, days: Integers) -> Flags:
    flags = np.zeros(history.market.days, bool)
    flags[days] = True
    return flags


def _after(flags: Flags, days: int) -> Flags:
    """Whether any of the `days` days before was flagged."""
    counted = np.concatenate([[0], np.cumsum(flags)])
    today = np.arange(len(flags))
    return np.asarray(counted[today] > counted[np.maximum(today - days, 0)])


def _sums(history: History, after: Flags, other: Flags) -> Floats:
    """Days x (purchases after, days after, other purchases, other days), without the first day of all, whose
    purchases found the account."""
    bought = np.bincount(history.buys["day"], minlength=len(after)).astype(float)
    columns = np.stack([bought * after, after, bought * other, other], axis=1)
    watched = np.arange(history.first_day + 1, len(after))
    return cluster_sums(watched, columns[watched])
