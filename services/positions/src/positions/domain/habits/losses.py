"""Loss cutting: are losers sold in time, or ridden down?

A position, from flat to flat, is decided against the investor in one of two ways: it is sold out at a loss before
any close stood `loss_cut` below its average purchase price (cut), or a close or the last sale stood that far
below while it was held (ridden). The figure is the share that was cut. Positions sold out at a gain, or still
held, that never fell so far are not decided and do not count. See Shefrin and Statman (1985) for why losers are
ridden.
"""

from __future__ import annotations

import numpy as np

from .habit import Habit, Harm, Kind
from .intervals import share
from .records import Floats, Rows
from .settings import HabitSettings
from .trips import History

LOSS_CUTTING = Kind("loss_cutting", "share of losers", Harm.BELOW, None)


def loss_cutting(history: History, settings: HabitSettings) -> Habit:
    """Share of losers cut before -`loss_cut`. The sample is the losers decided."""
    cut, ridden = decided(history, settings.loss_cut)
    sums = np.concatenate([np.ones((len(cut), 2)), np.tile([0.0, 1.0], (len(ridden), 1))])
    return LOSS_CUTTING.tell(settings, len(sums), share(sums, settings.confidence))


def decided(history: History, loss_cut: float) -> tuple[Floats, Floats]:
    """Episodes cut, and ridden."""
    sells = history.sells
    floor = 1.0 - loss_cut
    with np.errstate(invalid="ignore"):
        ridden_at_close = history.market.closes <= history.cost * floor
    ridden_at_sale = sells["price"] <= sells["cost"] * floor
    ridden = np.union1d(history.episode[ridden_at_close], sells["episode"][ridden_at_sale])
    closed = _closing(sells)
    lost = closed["episode"][closed["price"] < closed["cost"]]
    return np.setdiff1d(lost, ridden), ridden


def _closing(sells: Rows) -> Rows:
    return sells[sells["held_after"] <= 0]
