"""Amounts as the messages carry them."""

from __future__ import annotations

from smartex.matching.v1.types_pb2 import Instrument, Money

from matching import money as exact


def money(code: str, micros: int) -> Money:
    """An amount in micros as a Money."""
    return Money(currency_code=code, amount=exact.from_micros(micros))


def tick_value(instrument: Instrument | None) -> int:
    """Micros that one lot gains when the price rises by one tick; 0 of an instrument that is not known."""
    return 0 if instrument is None else exact.tick_value(instrument.tick_size, instrument.lot_size)
