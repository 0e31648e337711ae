"""Falls of an equity curve from its peak."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .arrays import at_least, vector
from .errors import InvalidInputError


@dataclass(frozen=True)
class Drawdown:
    """Falls as shares of the peak before them, 0 to 1 (above 1 if equity goes below zero)."""

    current: float
    worst: float


def drawdown(equity: ArrayLike) -> Drawdown:
    """Current and worst fall of a curve, 1 - equity / running maximum (Magdon-Ismail & Atiya, 2004).

    Pass a growth index rather than money if there were deposits or withdrawals. The curve must start above zero.
    """
    curve = vector("equity", equity)
    at_least(1, curve)
    if curve[0] <= 0.0:
        raise InvalidInputError("equity", "must start above zero")
    falls = 1.0 - curve / np.maximum.accumulate(curve)
    return Drawdown(float(falls[-1]), float(falls.max()))
