"""Stated risk preference against the one that behaviour reveals.

Four signs speak for a level of 1 to 5, each by breakpoints (`BREAKPOINTS`: the figures of levels 1, 2, 3, 4 and 5,
linear between them, cut off beyond). They are the house's own, set so that the volatility a year of the money market,
bonds, balanced portfolios, equity and single stocks stands at 1 to 5. The revealed level is their weighted mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from positions.domain import suitability

LEVELS = (1.0, 2.0, 3.0, 4.0, 5.0)
BREAKPOINTS: Mapping[str, tuple[float, ...]] = {
    "volatility": (0.02, 0.08, 0.16, 0.25, 0.40),
    "leverage": (0.10, 0.35, 0.65, 0.95, 1.50),
    "concentration": (0.05, 0.15, 0.30, 0.50, 0.80),
    "product_risk": LEVELS,
}
WEIGHTS: Mapping[str, float] = {
    "volatility": 0.4,
    "product_risk": 0.3,
    "concentration": 0.2,
    "leverage": 0.1,
}
"""Volatility is what the investor lives through; leverage is already part of it."""

CLOSE = 0.75
"""A distance below this is no contradiction: the scales are coarse."""


@dataclass(frozen=True)
class Held:
    """A holding: value over equity, and product risk R (0: not rated)."""

    instrument_id: int
    symbol: str
    value: float
    weight: float
    risk_level: int


@dataclass(frozen=True)
class Behaviour:
    """What an account does. `volatility` of its returns a year, None where there are too few days."""

    holdings: Sequence[Held]
    leverage: float
    largest_weight: float
    volatility: float | None


@dataclass(frozen=True)
class Sign:
    """One thing that behaviour shows, and the level that it speaks for."""

    key: str
    value: float
    level: float


@dataclass(frozen=True)
class Profile:
    """Stated and revealed level and what lies between. 0: not answered, or too little to tell."""

    stated_level: int
    revealed_level: float
    signs: tuple[Sign, ...]
    unsuitable: tuple[Held, ...]

    @property
    def distance(self) -> float:
        """revealed − stated; 0 if either is not known. Positive: more risk than said."""
        known = self.stated_level > 0 and self.revealed_level > 0
        return self.revealed_level - self.stated_level if known else 0.0

    @property
    def verdict(self) -> str:
        """Key of the sentence that says it: `unanswered`, `unknown`, `unsuitable`, `bolder`, `calmer` or `fits`."""
        if self.stated_level == 0:
            return "unanswered"
        if self.unsuitable:
            return "unsuitable"
        if self.revealed_level == 0:
            return "unknown"
        if abs(self.distance) < CLOSE:
            return "fits"
        return "bolder" if self.distance > 0 else "calmer"


def sign(key: str, value: float) -> Sign:
    """The level that a figure speaks for."""
    return Sign(key, value, float(np.interp(value, BREAKPOINTS[key], LEVELS)))


def assess(stated_level: int, behaviour: Behaviour) -> Profile:
    """The profile of an account. Without holdings behaviour says nothing."""
    signs = _signs(behaviour) if behaviour.holdings else ()
    weight = sum(WEIGHTS[one.key] for one in signs)
    revealed = sum(WEIGHTS[one.key] * one.level for one in signs) / weight if weight else 0.0
    unfit = tuple(
        held for held in behaviour.holdings if suitability.unsuitable(stated_level, held.risk_level)
    )
    return Profile(stated_level, revealed, signs, unfit)


def _signs(behaviour: Behaviour) -> tuple[Sign, ...]:
    signs = [] if behaviour.volatility is None else [sign("volatility", behaviour.volatility)]
    signs.append(sign("leverage", behaviour.leverage))
    signs.append(sign("concentration", behaviour.largest_weight))
    rated = [held for held in behaviour.holdings if held.risk_level > 0]
    value = sum(abs(held.value) for held in rated)
    if value > 0:
        mean = sum(abs(held.value) * held.risk_level for held in rated) / value
        signs.append(sign("product_risk", mean))
    return tuple(signs)
