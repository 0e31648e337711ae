"""What is wrong with an instrument's rules, field by field, said before anything reaches the log (RULES.md §2).

The core decides all the same; here the operator learns which field to mend, and the state stays as it was.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from smartex.matching.v1 import types_pb2 as types

from matching.catalogue import problems_of
from matching.money import tick_value

LARGEST_ID = 65_535
_LARGEST_NUMBER = 2**40 - 1
_LARGEST_VALUE = 10**18
_LARGEST_FEE_PPM = 100_000
_PPM = 1_000_000


def instrument_problems(instrument: types.Instrument) -> list[tuple[str, str]]:
    """All that is wrong: (field, what to write instead). An `instrument_id` of 0 is not wrong: it takes the next."""
    found = problems_of(instrument)
    return found or list(_number_problems(instrument))


def _number_problems(instrument: types.Instrument) -> Iterator[tuple[str, str]]:
    if instrument.instrument_id > LARGEST_ID:
        yield "instrument_id", f"write 1 to {LARGEST_ID}, or 0 for the next free one"
    ranges = {
        "board_lot": (1, _LARGEST_NUMBER),
        "price_limit_ppm": (0, _PPM - 1),
        "reference_price_ticks": (1, max(1, instrument.max_price_ticks)),
        "max_price_ticks": (1, _LARGEST_NUMBER),
        "max_order_lots": (1, _LARGEST_NUMBER),
        "market_band_ppm": (0, _PPM),
        "maker_fee_ppm": (0, _LARGEST_FEE_PPM),
        "taker_fee_ppm": (0, _LARGEST_FEE_PPM),
        "stamp_duty_ppm": (0, _LARGEST_FEE_PPM),
        "odd_lot_rule": (1, 2),
        "settlement": (1, 2),
        "trading_state": (1, 3),
    }
    for name, (least, most) in ranges.items():
        if not least <= getattr(instrument, name) <= most:
            yield name, f"write {least} to {most}"
    yield from _band_problems(instrument)
    value = (
        instrument.max_price_ticks
        * instrument.max_order_lots
        * tick_value(instrument.tick_size, instrument.lot_size)
    )
    if value > _LARGEST_VALUE:
        yield (
            "max_order_lots",
            "with max_price_ticks an order could be worth more than 10^12: lower one of them",
        )


def _band_problems(instrument: types.Instrument) -> Iterator[tuple[str, str]]:
    starts = [band.from_price_ticks for band in instrument.tick_bands]
    if starts and (starts[0] != 0 or any(after <= before for before, after in itertools.pairwise(starts))):
        yield "tick_bands", "begin with 0 and let from_price_ticks ascend"
    if any(not 1 <= band.step_ticks <= _LARGEST_NUMBER for band in instrument.tick_bands):
        yield "tick_bands", "write step_ticks of at least 1"
