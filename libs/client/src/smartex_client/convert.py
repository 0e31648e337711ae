"""Prices, quantities and money between people's decimals and the contract's whole numbers. Always exact."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Context, Decimal, localcontext
from functools import lru_cache
from typing import TypeAlias

from smartex.matching.v1.types_pb2 import ODD_LOT_RULE_SELL_REST, Instrument, Money

from .errors import InvalidInput, OffLot, OffTick

MICROS = Decimal(1_000_000)
LARGEST = 2**63 - 1

Number: TypeAlias = Decimal | int | str
"""What callers may give for a price, a quantity or an amount. Floats are refused: they are not exact."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT = Context(prec=80)


def decimal(value: Number, field: str) -> Decimal:
    """`value` as a finite decimal; InvalidInput names `field` otherwise."""
    if isinstance(value, float | bool):
        raise InvalidInput(f"{field} {value!r} is not exact: give Decimal, int or str", field=field)
    try:
        number = Decimal(value)
    except (ArithmeticError, TypeError, ValueError):
        raise InvalidInput(f"{field} {value!r} is not a number", field=field) from None
    if not number.is_finite():
        raise InvalidInput(f"{field} {value!r} is not a finite number", field=field)
    if number and (number.adjusted() > 30 or number.as_tuple().exponent < -40):  # type: ignore[operator]
        raise InvalidInput(f"{field} {value!r} is out of range", field=field)
    return number


def in_range(number: int, field: str, bits: int = 63, *, least: int = 0) -> int:
    """`number` if it lies between `least` and what `bits` hold; InvalidInput names `field` otherwise."""
    if not least <= number < 1 << bits:
        raise InvalidInput(f"{field} must be {least} to {(1 << bits) - 1}", field=field)
    return number


def to_ms(seconds: float, field: str) -> int:
    """Seconds in milliseconds. InvalidInput if they are negative, endless or none at all."""
    if not 0 <= seconds < 1 << 21:
        raise InvalidInput(f"{field} must be 0 to {(1 << 21) - 1} seconds", field=field)
    return round(seconds * 1000)


def to_ticks(instrument: Instrument, price: Number) -> int:
    """A price in ticks. OffTick with the nearest valid prices, InvalidInput unless it is positive."""
    number = _positive(price, "price")
    tick = _unit(instrument.tick_size)
    with localcontext(_EXACT):
        whole = int((number / tick).to_integral_value(ROUND_FLOOR))
        exact = whole * tick == number
    below, above = _around(instrument, whole, exact)
    if below != above:
        raise OffTick(number, from_ticks(instrument, below), from_ticks(instrument, above))
    return _bounded(whole, "price")


def to_lots(
    instrument: Instrument, quantity: Number, *, selling: bool = False, field: str = "quantity"
) -> int:
    """A quantity in lots. OffLot with the nearest valid quantities, InvalidInput unless it is positive.

    `selling` lets the odd rest of a holding pass where the instrument allows it: the market decides.
    """
    number = _positive(quantity, field)
    lot, step = _unit(instrument.lot_size), max(1, instrument.board_lot)
    if selling and instrument.odd_lot_rule == ODD_LOT_RULE_SELL_REST:
        step = 1
    with localcontext(_EXACT):
        whole = int((number / lot).to_integral_value(ROUND_FLOOR))
        exact = whole * lot == number and whole % step == 0
    if not exact:
        below = whole - whole % step
        raise OffLot(number, from_lots(instrument, below), from_lots(instrument, below + step), field)
    return _bounded(whole, field)


def _around(instrument: Instrument, whole: int, exact: bool) -> tuple[int, int]:
    """The largest valid price at or below, and the smallest valid one at or above, in ticks.

    A step of one band need not reach the start of the next, so the neighbour may lie some bands away.
    """
    starts = [band.from_price_ticks for band in instrument.tick_bands] or [0]
    steps = [max(1, band.step_ticks) for band in instrument.tick_bands] or [1]
    own = max(0, bisect_right(starts, whole) - 1)
    below, top = 0, whole
    for start, step in zip(starts[own::-1], steps[own::-1], strict=True):
        below = top - top % step
        if below >= start:
            break
        top = start - 1
    if exact and below == whole:
        return whole, whole
    above, bottom = 0, whole + 1
    for place in range(own, len(starts)):
        above = -(-bottom // steps[place]) * steps[place]
        if place + 1 == len(starts) or above < starts[place + 1]:
            break
        bottom = starts[place + 1]
    return below, above


def _positive(value: Number, field: str) -> Decimal:
    number = decimal(value, field)
    if number <= 0:
        raise InvalidInput(f"{field} {number} must be greater than zero", field=field)
    return number


def _bounded(whole: int, field: str) -> int:
    if whole > LARGEST:
        raise InvalidInput(f"{field} is out of range", field=field)
    return whole


@lru_cache(maxsize=4096)
def _unit(text: str) -> Decimal:
    return Decimal(text)


def from_ticks(instrument: Instrument, ticks: int) -> Decimal:
    """Ticks as a price."""
    return _EXACT.multiply(Decimal(ticks), _unit(instrument.tick_size))


def from_lots(instrument: Instrument, lots: int) -> Decimal:
    """Lots as a quantity."""
    return _EXACT.multiply(Decimal(lots), _unit(instrument.lot_size))


def from_micros(micros: int) -> Decimal:
    """Micros as an amount, with two places at least."""
    amount = _EXACT.divide(Decimal(micros), MICROS)
    if micros % 10_000 == 0:
        return _EXACT.quantize(amount, Decimal("0.01"))
    return _EXACT.normalize(amount)


def from_money(money: Money) -> Decimal:
    """The amount of `money`."""
    return Decimal(money.amount or "0")


def to_money(amount: Number, currency_code: str) -> Money:
    """A positive amount of a currency, exact to a micro."""
    number = _positive(amount, "amount")
    if _EXACT.remainder(_EXACT.multiply(number, MICROS), Decimal(1)):
        raise InvalidInput(f"amount {number} has more than six places", field="amount")
    return Money(currency_code=currency_code, amount=f"{number:f}")


def from_ns(time_ns: int) -> datetime:
    """Nanoseconds since the epoch as a time in UTC, to the microsecond."""
    return _EPOCH + timedelta(microseconds=time_ns // 1000)


def to_ns(time: datetime, field: str) -> int:
    """A time with a zone as nanoseconds since the epoch. InvalidInput if they do not fit 63 bits."""
    if time.tzinfo is None:
        raise InvalidInput(f"{field} has no time zone: give one, e.g. datetime.now(UTC)", field=field)
    time_ns = (time - _EPOCH) // timedelta(microseconds=1) * 1000
    if not 0 <= time_ns <= LARGEST:
        raise InvalidInput(f"{field} must lie between the years 1970 and 2262", field=field)
    return time_ns
