"""Decimal strings of the contracts ⇄ whole micros (millionths of a currency's unit), exactly."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

MICROS: Final = 1_000_000

_MONEY = re.compile(r"-?[0-9]{1,13}(?:\.[0-9]{1,6})?")
_SIZE = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")
_MIN_PLACES = 2


def to_micros(amount: str) -> int:
    """Return the micros of a decimal with at most six places; ValueError if it is none, or far too large."""
    if not _MONEY.fullmatch(amount):
        raise ValueError('write a decimal with at most six places, such as "1234.50"')
    return int(Decimal(amount) * MICROS)


def from_micros(micros: int) -> str:
    """Return the decimal of micros, with two to six places."""
    sign = "-" if micros < 0 else ""
    whole, rest = divmod(abs(micros), MICROS)
    places = f"{rest:06d}".rstrip("0").ljust(_MIN_PLACES, "0")
    return f"{sign}{whole}.{places}"


def to_size(size: str) -> Decimal:
    """Return a tick or lot size; ValueError unless it is a positive decimal with at most twelve places."""
    if not _SIZE.fullmatch(size) or not (value := Decimal(size)):
        raise ValueError('write a positive decimal with at most twelve places, such as "0.01"')
    return value


def tick_value(tick_size: str, lot_size: str) -> int:
    """Return the micros of one lot at a price of one tick; ValueError unless they are a whole number ≥ 1."""
    value = to_size(tick_size) * to_size(lot_size) * MICROS
    if value != value.to_integral_value() or value < 1 or value > 10**18:
        raise ValueError("tick_size × lot_size must be a whole number of micros, 0.000001 or more")
    return int(value)
