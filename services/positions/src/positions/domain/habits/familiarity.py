"""Concentration of purchases in familiar industries (Huberman 2001, "Familiarity breeds investment")."""

from __future__ import annotations

import numpy as np

from .habit import Estimate, Habit, Harm, Kind
from .intervals import cluster_sums, concentration, share
from .records import Floats, Integers
from .settings import HabitSettings
from .trips import History

FAMILIARITY = Kind("familiarity", "Herfindahl index", Harm.ABOVE, None)


def familiarity(history: History, settings: HabitSettings, home_industry: int | None = None) -> Habit:
    """Herfindahl index of the purchases' value by industry, 0 to 1. The sample is the purchases of instruments
    with an industry.

    The part `home` is the share of the home industry. Where the investor names none, it is the industry most bought
    in the first half of the purchases, and its share is measured in the second: an industry that was chosen
    for its share would seem larger than it is.
    """
    buys = history.buys
    industry = history.market.industries[buys["column"]]
    buys, industry = buys[industry >= 0], industry[industry >= 0]
    value = buys["quantity"] * buys["price"]
    even = 1.0 / max(len(np.unique(history.whole.industries[history.whole.industries >= 0])), 1)
    estimate = concentration(buys["day"], industry, value, even, settings.confidence)
    home = _home_share(buys["day"], industry, value, home_industry, settings.confidence)
    return FAMILIARITY.tell(settings, len(buys), estimate, {"home": home})


def _home_share(
    days: Integers, industry: Integers, value: Floats, named: int | None, confidence: float
) -> Estimate | None:
    start = 0 if named is not None else len(days) // 2
    if len(days) < 2:
        return None
    home = (
        named if named is not None else int(np.argmax(np.bincount(industry[:start], weights=value[:start])))
    )
    columns = np.stack([value * (industry == home), value], axis=1)[start:]
    return share(cluster_sums(days[start:], columns), confidence)
