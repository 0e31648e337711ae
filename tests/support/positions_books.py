"""A live book with accounts, made from events of the market."""

from __future__ import annotations

from typing import Any

import numpy as np
import smartex_wire
from positions.domain.book import Book, Listing, Rules
from positions.domain.book.valuing import Freshness
from smartex.matching.v1.log_pb2 import EventBatch

EVENT = smartex_wire.codec(EventBatch).row_dtype
TRADE, REFERENCE_SET, DAY_ROLLED, CASH_IN, SHARES_IN = 3, 18, 19, 20, 22
HOUR_NS = 3600 * 10**9


def rules(number: int, industry: str = "Banks", reference: int = 1000, t1: bool = False) -> Rules:
    """A share with cents for ticks; a lot is one share."""
    return Rules(number, f"S{number}", "CNY", 10_000, t1, 250, industry, reference)


def new_book(*listed: Rules) -> Book:
    """A book in CNY that knows the instruments."""
    book = Book(Listing(["CNY"], {}, "CNY"))
    book.learn(listed)
    return book


def event(kind: int, **fields: Any) -> Any:
    """One event."""
    row = np.zeros(1, EVENT)
    row["kind"] = kind
    for name, value in fields.items():
        row[name] = value
    return row


def fold(book: Book, *events: Any, time_ns: int = HOUR_NS) -> None:
    """Take events in, after those before."""
    book.fold(np.concatenate(events), book.sequence + 1, time_ns)


def cash(account: int, yuan: float) -> Any:
    """Cash comes in."""
    return event(CASH_IN, account_id=account, required=int(yuan * 1_000_000))


def shares(account: int, number: int, lots: int) -> Any:
    """Shares come in."""
    return event(SHARES_IN, account_id=account, instrument_id=number, quantity_lots=lots)


def trade(buyer: int, seller: int, number: int, price: int, lots: int) -> Any:
    """A trade in which the buyer takes."""
    return event(
        TRADE,
        account_id=buyer,
        counter_account_id=seller,
        instrument_id=number,
        side=1,
        price_ticks=price,
        quantity_lots=lots,
    )


def freshness(now_ns: int = HOUR_NS) -> Freshness:
    """Marks of any age, none stale."""
    return Freshness(now_ns, 10**18, 10**18)
