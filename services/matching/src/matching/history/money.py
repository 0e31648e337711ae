"""Amounts as people read them."""

from __future__ import annotations

from decimal import Decimal

from smartex.matching.v1.types_pb2 import Instrument, Money

_MICROS = 1_000_000


def money(code: str, micros: int) -> Money:
    """An amount in micros as a Money, without needless zeros."""
    return Money(currency_code=code, amount=decimal_text(micros))


def decimal_text(micros: int) -> str:
    """A decimal with at least two and at most six places, exact: 1234500000 is "1234.50"."""
    whole, rest = divmod(abs(micros), _MICROS)
    places = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{'-' if micros < 0 else ''}{whole}.{places}"


def tick_value(instrument: Instrument | None) -> int:
    """Micros that one lot gains when the price rises by one tick."""
    if instrument is None:
        return 0
    return int(Decimal(instrument.tick_size) * Decimal(instrument.lot_size) * _MICROS)
