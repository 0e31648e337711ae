"""What each kind of alert is: the way it goes, how bad it starts, and where it clears."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from positions.domain.limits import KINDS


class Severity(IntEnum):
    """How bad it is; the numbers are those of the contract."""

    NONE = 0
    INFO = 1
    WARNING = 2
    CRITICAL = 3


CLEAR_AT = 0.9
"""A figure that was raised at its threshold clears below this part of it: the band between keeps it from flapping."""

CLEAR_DISTANCE = 0.005
"""The same for distances, which raise from above: they clear once so much further away than the threshold."""

RISE_AT = (1.25, 1.5)
"""Severity rises by one where the figure reaches each of these multiples of its threshold."""


@dataclass(frozen=True)
class Kind:
    """A kind of alert. `falls`: the figure is a distance, which alerts when it is small."""

    name: str
    base: Severity
    falls: bool = False


LOSS_TODAY, DRAWDOWN, CONCENTRATION, INDUSTRY, VALUE_AT_RISK, PRICE_LIMIT, STOP_LOSS, LEVERAGE = range(
    len(KINDS)
)
"""Columns of tables of thresholds, and numbers of kinds in readings."""

ALL = (
    Kind("loss_today", Severity.CRITICAL),  # it wakes: the day's loss grows while one sleeps
    Kind("drawdown", Severity.WARNING),
    Kind("concentration", Severity.WARNING),
    Kind("industry_concentration", Severity.WARNING),
    Kind("value_at_risk", Severity.WARNING),
    Kind("price_limit_distance", Severity.INFO, falls=True),
    Kind("stop_loss", Severity.WARNING),
    Kind("leverage", Severity.WARNING),
)
FALLS = np.array([kind.falls for kind in ALL])
BASE = np.array([int(kind.base) for kind in ALL])
