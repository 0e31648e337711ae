"""Events that the kernels may be given: they trust every number that they use as a place."""

from __future__ import annotations

from typing import Any, Final

from positions.domain.book import words
from positions.domain.book.compiled import inline, kernel, whole
from positions.domain.book.tables import CURRENCIES

LARGEST: Final = 2**62
LARGEST_INSTRUMENT: Final = 65_535
_NUMBERS: Final = (
    "order_id",
    "price_ticks",
    "quantity_lots",
    "leaves_lots",
    "counter_order_id",
    "counter_leaves_lots",
    "fee_micros",
    "counter_fee_micros",
    "tax_micros",
)
_PARTS_OF_A_TRADE: Final = (
    "instrument_id",
    "account_id",
    "counter_account_id",
    "quantity_lots",
    "price_ticks",
)
_INSTRUMENT, _CURRENCY, _ORDER, _SIDE, _BALANCE = range(1, 6)
_NUMBER, _TRADE = 100, 200
_PROBLEMS: Final = {
    0: "",
    _INSTRUMENT: f"an instrument_id above {LARGEST_INSTRUMENT}",
    _CURRENCY: f"a currency_id of {CURRENCIES} or more",
    _ORDER: "an order without order_id, account_id or instrument_id",
    _SIDE: "an order without a side",
    _BALANCE: "a balance without account_id",
    **{_NUMBER + at: f"a {name} outside 0 … 2⁶²" for at, name in enumerate(_NUMBERS)},
    **{_TRADE + at: f"a trade without {name}" for at, name in enumerate(_PARTS_OF_A_TRADE)},
}


def problem(events: Any) -> str:
    """Why events cannot be folded; empty if they can."""
    return _PROBLEMS[_first_problem(events)]


@kernel
def _first_problem(events: Any) -> int:
    """Compiled: most records hold one event, and NumPy would take longer to look at it than all else does."""
    for at in range(len(events)):
        found = _problem_of(events[at])
        if found:
            return found
    return 0


@inline
def _problem_of(event: Any) -> int:
    kind = event["kind"]
    if kind < words.ACCEPTED or kind > words.LAST_KIND:
        return 0
    if event["instrument_id"] > LARGEST_INSTRUMENT:
        return _INSTRUMENT
    if event["currency_id"] >= CURRENCIES:
        return _CURRENCY
    number = _number_outside(event)
    if number >= 0:
        return _NUMBER + number
    if kind == words.TRADE:
        part = _part_missing(event)
        if part >= 0:
            return _TRADE + part
    if kind == words.ACCEPTED or kind == words.AMENDED or kind == words.TRADE:
        if event["order_id"] == 0 or event["account_id"] == 0 or event["instrument_id"] == 0:
            return _ORDER
        if event["side"] != words.BUY and event["side"] != words.SELL:
            return _SIDE
    if kind >= words.CASH_DEPOSITED and event["account_id"] == 0:
        return _BALANCE
    return 0


@inline
def _number_outside(event: Any) -> int:
    """Place among `_NUMBERS` of the first one that does not fit; -1 if all do."""
    numbers = (
        event["order_id"],
        event["price_ticks"],
        event["quantity_lots"],
        event["leaves_lots"],
        event["counter_order_id"],
        event["counter_leaves_lots"],
        event["fee_micros"],
        event["counter_fee_micros"],
        event["tax_micros"],
    )
    for place in range(len(numbers)):
        if not 0 <= numbers[place] <= LARGEST:
            return place
    return -1


@inline
def _part_missing(event: Any) -> int:
    """Place among `_PARTS_OF_A_TRADE` of the first one that is zero; -1 if none is."""
    parts = (
        whole(event["instrument_id"]),
        whole(event["account_id"]),
        whole(event["counter_account_id"]),
        event["quantity_lots"],
        event["price_ticks"],
    )
    for place in range(len(parts)):
        if parts[place] == 0:
            return place
    return -1
