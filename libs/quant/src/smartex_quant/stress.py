"""What a portfolio would lose in a shock. A shock is a change of price as a fraction; gains are in money."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .arrays import FloatArray, vector
from .errors import InvalidInputError


@dataclass(frozen=True)
class Stressed:
    """`shocks` per holding and `gains` per holding (exposure times shock; a loss is negative)."""

    shocks: FloatArray
    gains: FloatArray


def apply(exposures: ArrayLike, shocks: ArrayLike) -> Stressed:
    """Shock each holding by its own fraction. A price does not fall below zero: shocks end at -1."""
    money = vector("exposures", exposures)
    moves = np.maximum(vector("shocks", shocks, size=len(money)), -1.0)
    return Stressed(moves, money * moves)


def price_limits(exposures: ArrayLike, limits: ArrayLike, *, days: int = 3, otherwise: float) -> Stressed:
    """Lower price limits hit `days` days running, compounded: (1 - limit)^days - 1.

    limits: daily limit of each instrument as a fraction (0.10), NaN for one without; `otherwise` is the size of the
    whole fall of those, as a positive fraction.
    """
    money = vector("exposures", exposures)
    daily = vector("limits", limits, size=len(money), missing=True)
    if (daily <= 0.0).any() or (daily >= 1.0).any():
        raise InvalidInputError("limits", "must lie between 0 and 1; give NaN where there is none")
    if days < 1:
        raise InvalidInputError("days", f"must be at least 1, is {days}")
    if not 0.0 <= otherwise <= 1.0:
        raise InvalidInputError("otherwise", f"must lie between 0 and 1, is {otherwise}")
    return apply(money, np.where(np.isnan(daily), -otherwise, (1.0 - daily) ** days - 1.0))


def market(exposures: ArrayLike, shock: float = -0.10, betas: ArrayLike | None = None) -> Stressed:
    """The market moves by `shock` and each holding by its beta times that; without betas, all alike."""
    money = vector("exposures", exposures)
    slopes = np.ones_like(money) if betas is None else vector("betas", betas, size=len(money))
    return apply(money, slopes * shock)
