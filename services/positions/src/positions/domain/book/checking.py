"""Events that the kernels may be given: they trust every number that they use as a place."""

from __future__ import annotations

from typing import Any

from positions.domain.book import words
from positions.domain.book.tables import CURRENCIES

LARGEST = 2**62
_NUMBERS = (
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


def problem(events: Any) -> str:
    """Why events cannot be folded; empty if they can."""
    used = events[(events["kind"] >= words.ACCEPTED) & (events["kind"] <= words.LAST_KIND)]
    if (used["instrument_id"] > 65_535).any():
        return "an instrument_id above 65535"
    if (used["currency_id"] >= CURRENCIES).any():
        return f"a currency_id of {CURRENCIES} or more"
    for name in _NUMBERS:
        if ((used[name] < 0) | (used[name] > LARGEST)).any():
            return f"a {name} outside 0 … 2⁶²"
    trades = events[events["kind"] == words.TRADE]
    for name in ("instrument_id", "account_id", "counter_account_id", "quantity_lots", "price_ticks"):
        if (trades[name] == 0).any():
            return f"a trade without {name}"
    orders = used[
        (used["kind"] == words.ACCEPTED) | (used["kind"] == words.AMENDED) | (used["kind"] == words.TRADE)
    ]
    if ((orders["order_id"] == 0) | (orders["account_id"] == 0) | (orders["instrument_id"] == 0)).any():
        return "an order without order_id, account_id or instrument_id"
    if ((orders["side"] != words.BUY) & (orders["side"] != words.SELL)).any():
        return "an order without a side"
    moved = used[used["kind"] >= words.CASH_DEPOSITED]
    return "a balance without account_id" if (moved["account_id"] == 0).any() else ""
