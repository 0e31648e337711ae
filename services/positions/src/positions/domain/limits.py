"""Thresholds of an account's alerts: the house's, the account's own, and which of the two holds."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

OFF = 0.0
"""A threshold of zero is switched off (of `price_limit_distance`: a negative one)."""

LARGEST_SHARE = 1.0
LARGEST_LEVERAGE = 100.0


class LimitError(ValueError):
    """A threshold that makes no sense: `field` names it, the message says what to give."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Limits:
    """One threshold for each kind of alert; None where an account leaves it to the house. Shares of one, but for
    `leverage`, which is a multiple of equity."""

    loss_today: float | None = None
    drawdown: float | None = None
    concentration: float | None = None
    industry_concentration: float | None = None
    value_at_risk: float | None = None
    price_limit_distance: float | None = None
    stop_loss: float | None = None
    leverage: float | None = None


KINDS = tuple(field.name for field in fields(Limits))
"""Kinds of alerts, in the order of the columns of every table of thresholds."""

HOUSE = Limits(
    loss_today=0.05,
    drawdown=0.20,
    concentration=0.40,
    industry_concentration=0.60,
    value_at_risk=0.05,
    price_limit_distance=0.0,
    stop_loss=0.10,
    leverage=1.5,
)
"""What holds for an account that set nothing, unless the settings of the service say otherwise."""


def check(limits: Limits) -> None:
    """Raise LimitError for a threshold outside its range."""
    for name in KINDS:
        value = getattr(limits, name)
        if value is not None:
            _check_one(name, value)


def _check_one(name: str, value: float) -> None:
    low = -1.0 if name == "price_limit_distance" else 0.0
    high = LARGEST_LEVERAGE if name == "leverage" else LARGEST_SHARE
    if not math.isfinite(value) or not low <= value <= high:
        raise LimitError(name, f"{name} is {value}: give {low:g} to {high:g}")


def effective(own: Limits, house: Limits = HOUSE) -> Limits:
    """The thresholds that hold: the account's own, else the house's."""
    chosen = {name: getattr(own, name) for name in KINDS}
    return Limits(**{name: getattr(house, name) if one is None else one for name, one in chosen.items()})


def check_tightens(before: Limits, after: Limits) -> None:
    """Raise LimitError unless no threshold of `after` lets more pass than `before`; both are effective ones."""
    for name in KINDS:
        if _laxity(name, getattr(after, name)) > _laxity(name, getattr(before, name)):
            raise LimitError(
                name,
                f"{name}: a supervisor may only tighten what the investor set; ask the investor to loosen it",
            )


def _laxity(name: str, value: float) -> float:
    """How much a threshold lets pass: larger is laxer."""
    if name == "price_limit_distance":
        return -value  # a larger distance warns earlier
    return math.inf if value == OFF else value
