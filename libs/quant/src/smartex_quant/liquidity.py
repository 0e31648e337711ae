"""How long and how dear it is to leave a holding."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .arrays import FloatArray, divided, fraction, positive, vector
from .errors import InvalidInputError


def days_to_leave(quantities: ArrayLike, volumes: ArrayLike, participation: float = 0.10) -> FloatArray:
    """Days to trade each holding away at `participation` of its average daily volume (same unit as quantity).

    |quantity| / (participation * volume), not rounded. Zero for no holding, infinite where there is no volume.
    """
    held, traded = _holdings(quantities, volumes)
    daily = fraction("participation", participation) * traded
    return np.where(held == 0.0, 0.0, divided(held, daily, otherwise=np.inf))


def cost_to_leave(
    exposures: ArrayLike,
    quantities: ArrayLike,
    volumes: ArrayLike,
    spreads: ArrayLike,
    volatilities: ArrayLike,
    impact: float = 1.0,
) -> FloatArray:
    """Cost of leaving each holding, in the money of `exposures`: half the spread and square-root impact.

    cost = |exposure| (spread / 2 + impact * volatility * sqrt(|quantity| / volume)), with spread as a fraction of the
    price, volatility that of one day and volume that of one day. The square-root law is that of Barra (Torre, 1997)
    and of Toth et al. (2011), with `impact` of order one. Almgren, Thum, Hauptmann & Li (2005) measured the exponent
    of the temporary part as 0.60 +- 0.04 on US equities: for orders below a day's volume the square root is the
    more cautious. Infinite where there is no volume, zero for no holding.
    """
    held, traded = _holdings(quantities, volumes)
    money = np.abs(vector("exposures", exposures, size=len(held)))
    half = vector("spreads", spreads, size=len(held)) / 2.0
    daily = vector("volatilities", volatilities, size=len(held))
    if (half < 0.0).any() or (daily < 0.0).any():
        raise InvalidInputError("spreads and volatilities", "must not be negative")
    moved = positive("impact", impact) * daily * np.sqrt(divided(held, traded))
    moved = np.where(traded > 0.0, moved, np.inf)
    return np.multiply(money, half + moved, out=np.zeros_like(money), where=held > 0.0)


def _holdings(quantities: ArrayLike, volumes: ArrayLike) -> tuple[FloatArray, FloatArray]:
    held = np.abs(vector("quantities", quantities))
    traded = vector("volumes", volumes, size=len(held))
    if (traded < 0.0).any():
        raise InvalidInputError("volumes", "must not be negative")
    return held, traded
