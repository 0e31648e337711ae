"""Random events of a market, valid without one; and whether two books are equal."""

from __future__ import annotations

from typing import Any

import numpy as np
from positions.domain.book import Book, changes, words
from positions.domain.book.changes import Rows
from positions_books import event, new_book, rules

ACCOUNTS, INSTRUMENTS = 5, 3


def world() -> Book:
    return new_book(*(rules(number) for number in range(1, INSTRUMENTS + 1)))


def flow(seed: int, count: int) -> Any:
    """Valid events of random accounts: deposits, trades of what is held, orders that rest and go, days."""
    dice = np.random.default_rng(seed)
    events = [
        event(words.SHARES_DEPOSITED, account_id=account, instrument_id=number, quantity_lots=10_000)
        for account in range(1, ACCOUNTS + 1)
        for number in range(1, INSTRUMENTS + 1)
    ]
    resting: list[int] = []
    for at in range(count):
        one, two = dice.integers(1, ACCOUNTS + 1, 2)
        price, lots = int(dice.integers(900, 1100)), int(dice.integers(1, 30))
        named = {"account_id": one, "instrument_id": dice.integers(1, INSTRUMENTS + 1), "price_ticks": price}
        kind = dice.choice(
            [words.TRADE, words.TRADE, words.ACCEPTED, words.CANCELLED, words.CASH_DEPOSITED, 0]
        )
        if kind == words.TRADE:
            fees = {"fee_micros": dice.integers(0, 99), "tax_micros": dice.integers(0, 99)}
            events.append(
                event(kind, counter_account_id=two, quantity_lots=lots, side=1 + at % 2, **fees, **named)
            )
        elif kind == words.ACCEPTED:
            resting.append(at + 1)
            events.append(event(kind, order_id=at + 1, side=1 + at % 2, leaves_lots=lots, **named))
        elif kind == words.CANCELLED and resting:
            events.append(event(kind, order_id=resting.pop(0)))
        elif kind == words.CASH_DEPOSITED:
            events.append(event(kind, account_id=one, required=int(dice.integers(1, 10**12))))
        elif kind == 0 and at % 10 == 0:
            events.append(event(words.DAY_ROLLED, available=at))
    return np.concatenate(events)


def equal(one: Rows, two: Rows) -> None:
    for name in ("account_places", "cash", "holding_places", "lots"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    for name, fields in (("accounts", changes.ACCOUNT_FIELDS), ("holdings", changes.HOLDING_FIELDS)):
        for field in fields:
            np.testing.assert_array_equal(getattr(one, name)[field], getattr(two, name)[field])
    for field in ("held", "open_buy_lots", "open_buy_value", "open_sell_value"):
        np.testing.assert_array_equal(one.holdings[field], two.holdings[field])
    orders = [sorted(rows.orders[list(changes.ORDER_FIELDS)].tolist()) for rows in (one, two)]
    assert orders[0] == orders[1]
