"""Events that the book must not be given, each wrong in one field."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from positions.domain.book import words
from positions.domain.book.checking import LARGEST, LARGEST_INSTRUMENT, problem
from positions.domain.book.tables import CURRENCIES
from positions.intake import EVENTS

NUMBERS = (
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
TRADE_NEEDS = ("instrument_id", "account_id", "counter_account_id", "quantity_lots", "price_ticks")
ORDER_NEEDS = ("order_id", "account_id", "instrument_id")


def event(kind: int, **changes: Any) -> Any:
    events = np.zeros(1, EVENTS.row_dtype)
    for name in (*NUMBERS, *TRADE_NEEDS):
        events[name] = 5
    events["kind"], events["side"], events["currency_id"] = kind, words.SELL, CURRENCIES - 1
    for name, value in changes.items():
        events[name] = value
    return events


KINDS = range(words.LAST_KIND + 5)
WRONG = [
    (words.CANCELLED, {"instrument_id": LARGEST_INSTRUMENT + 1}, "instrument_id"),
    (words.CASH_DEPOSITED, {"currency_id": CURRENCIES}, "currency_id"),
    *((words.REDUCED, {name: value}, f"a {name} outside") for name in NUMBERS for value in (-1, LARGEST + 1)),
    *((words.TRADE, {name: 0}, f"a trade without {name}") for name in TRADE_NEEDS),
    *((kind, {name: 0}, "without") for name in ORDER_NEEDS for kind in (words.ACCEPTED, words.AMENDED)),
    (words.TRADE, {"order_id": 0}, "an order without"),
    *((kind, {"side": side}, "side") for kind in (words.ACCEPTED, words.AMENDED, words.TRADE) for side in (0, 3)),
    *((kind, {"account_id": 0}, "balance") for kind in range(words.CASH_DEPOSITED, words.LAST_KIND + 1)),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "changes", "said"), WRONG)
def test_one_wrong_field_is_found_wherever_it_is(kind: int, changes: dict[str, int], said: str) -> None:
    wrong = event(kind, **changes)
    assert said in problem(wrong)
    good = event(words.ACCEPTED)
    assert said in problem(np.concatenate([good, wrong, good]))


@pytest.mark.parametrize("kind", KINDS)
def test_good_events_and_kinds_that_the_book_passes_over(kind: int) -> None:
    assert not problem(event(kind))
    assert not problem(event(kind, **dict.fromkeys(NUMBERS, LARGEST), instrument_id=LARGEST_INSTRUMENT))
    if not words.ACCEPTED <= kind <= words.LAST_KIND:
        assert not problem(event(kind, instrument_id=2**32 - 1, order_id=-1, side=9))
    assert not problem(event(kind)[:0])
