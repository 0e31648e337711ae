"""What a portfolio would lose in a shock. A shock is a change of price as a fraction; gains are in money."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from .arrays import FloatArray, choice, labels, vector
from .errors import InvalidInputError


@dataclass(frozen=True)
class Stressed:
    """`shocks` per holding, `gains` per holding (exposure times shock; a loss is negative), and their `total`."""

    shocks: FloatArray
    gains: FloatArray
    total: float


@dataclass(frozen=True)
class Scenario:
    """A user's shocks. The most specific one holds: instrument, else industry, else market times beta, else none."""

    instruments: Mapping[str, float] = field(default_factory=dict)
    industries: Mapping[str, float] = field(default_factory=dict)
    market: float | None = None


def apply(exposures: ArrayLike, shocks: ArrayLike) -> Stressed:
    """Shock each holding by its own fraction. A price does not fall below zero: shocks end at -1."""
    money = vector("exposures", exposures)
    moves = np.maximum(vector("shocks", shocks, size=len(money)), -1.0)
    gains = money * moves
    return Stressed(moves, gains, float(gains.sum()))


def price_limits(
    exposures: ArrayLike,
    limits: ArrayLike,
    *,
    days: int = 3,
    otherwise: float,
    direction: Literal["down", "up", "against"] = "down",
) -> Stressed:
    """Price limits hit `days` days running, compounded: (1 - limit)^days - 1, or (1 + limit)^days - 1 up.

    limits: daily limit of each instrument as a fraction (0.10), NaN for one without; `otherwise` is the size of the
    whole move of those, as a positive fraction. "against": down for what is long, up for what is short.
    """
    money = vector("exposures", exposures)
    daily = vector("limits", limits, size=len(money), missing=True)
    if (daily <= 0.0).any() or (daily >= 1.0).any():
        raise InvalidInputError("limits", "must lie between 0 and 1; give NaN where there is none")
    if days < 1:
        raise InvalidInputError("days", f"must be at least 1, is {days}")
    if not 0.0 <= otherwise <= 1.0:
        raise InvalidInputError("otherwise", f"must lie between 0 and 1, is {otherwise}")
    choice("direction", direction, ("down", "up", "against"))
    rises = np.full(len(money), direction == "up") if direction != "against" else money < 0.0
    sign = np.where(rises, 1.0, -1.0)
    compounded = (1.0 + sign * daily) ** days - 1.0
    return apply(money, np.where(np.isnan(daily), sign * otherwise, compounded))


def market(exposures: ArrayLike, shock: float = -0.10, betas: ArrayLike | None = None) -> Stressed:
    """The market moves by `shock` and each holding by its beta times that; without betas, all alike."""
    money = vector("exposures", exposures)
    slopes = np.ones_like(money) if betas is None else vector("betas", betas, size=len(money))
    return apply(money, slopes * shock)


def industry(exposures: ArrayLike, industries: Sequence[str], shocks: Mapping[str, float]) -> Stressed:
    """Each industry moves by its shock; the others stand still."""
    return scenario(exposures, industries, industries, Scenario(industries=shocks))


def scenario(
    exposures: ArrayLike,
    instruments: Sequence[str],
    industries: Sequence[str],
    shocks: Scenario,
    betas: ArrayLike | None = None,
) -> Stressed:
    """Shock the holdings as a user says; see `Scenario` for which shock holds. Unknown names have no effect."""
    money = vector("exposures", exposures)
    groups = labels("industries", industries, size=len(money))
    names = labels("instruments", instruments, size=len(money))
    moves = market(money, shocks.market or 0.0, betas).shocks
    for where, own in ((groups, shocks.industries), (names, shocks.instruments)):
        for name, shock in own.items():
            moves = np.where(where == name, shock, moves)
    return apply(money, moves)
