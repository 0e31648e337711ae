"""What must hold after every frame: money and shares only move, and what is held is what open orders reserve."""

from __future__ import annotations

from typing import Any

import numpy as np

from .blocks import (
    BY_INSTRUMENT,
    TABLES,
    counts_of,
    currencies,
    lasting_head,
    listed_instruments,
    rows_by_instrument,
    used_rows,
)
from .errors import ConservationError
from .state import Memory
from .words import BUY, CURRENCIES

_BY_NAME = {table.name: table for table in TABLES}
Numbers = np.ndarray[Any, np.dtype[np.int64]]


def verify(memory: Memory) -> None:
    """ConservationError with the numbers if something does not add up."""
    counts = counts_of(lasting_head(memory))
    tables = {name: used_rows(memory, table, counts) for name, table in _BY_NAME.items()}
    rules = rows_by_instrument(memory, BY_INSTRUMENT[0])[:, 0]
    cash = tables["cash"].reshape(-1, CURRENCIES)
    _same("cash by currency", _cash_and_fees(memory, cash), currencies(memory)["deposited"])
    listed = listed_instruments(memory, counts)
    holdings = tables["holdings"]
    lots = _sums(holdings["instrument"], holdings["total"], len(rules))
    _same("lots by instrument", lots[listed], rules["deposited"][listed])
    orders = tables["orders"][tables["orders"]["order_id"] != 0]
    _same("open orders", np.array([len(orders)]), np.array([counts["open_orders"]]))
    _verify_cash_holds(orders, cash, rules)
    _verify_lot_holds(orders, holdings)
    _in_range("cash", cash["held"], cash["total"])
    _in_range("lots", holdings["held"] + holdings["bought_today"], holdings["total"])
    _in_range("bought lots", holdings["bought_today"], holdings["total"])


def _cash_and_fees(memory: Memory, cash: Any) -> Numbers:
    kept = currencies(memory)
    totals: Numbers = cash["total"].sum(axis=0) + kept["fees"] + kept["duties"]
    return totals


def _sums(places: Any, amounts: Any, size: int) -> Numbers:
    """Exact sums of amounts by place."""
    sums = np.zeros(size, np.int64)
    np.add.at(sums, places, amounts)
    return sums


def _verify_cash_holds(orders: Any, cash: Any, rules: Any) -> None:
    buys = orders[orders["side"] == BUY]
    currency = rules["currency_id"][buys["instrument"]]
    held = _sums(buys["account"].astype(np.int64) * CURRENCIES + currency, buys["reserve"], cash.size)
    _same("cash held by account and currency", held, cash["held"].reshape(-1))


def _verify_lot_holds(orders: Any, holdings: Any) -> None:
    sells = orders[orders["side"] != BUY]
    keys = holdings["account"].astype(np.int64) << 16 | holdings["instrument"]
    order = np.argsort(keys)
    wanted = sells["account"].astype(np.int64) << 16 | sells["instrument"]
    places = order[np.searchsorted(keys, wanted, sorter=order)] if len(sells) else np.zeros(0, np.int64)
    _same("lots held by holding", _sums(places, sells["reserve"], len(holdings)), holdings["held"])
    _same("lots left of sells", sells["leaves"], sells["reserve"])


def _same(what: str, found: Any, expected: Any) -> None:
    wrong = np.flatnonzero(found != expected)
    if len(wrong):
        place = int(wrong[0])
        raise ConservationError(
            f"{what} do not add up at {place}: {int(found[place])}, should be {int(expected[place])}"
        )


def _in_range(what: str, part: Any, whole: Any) -> None:
    part, whole = part.reshape(-1), whole.reshape(-1)
    wrong = np.flatnonzero((part < 0) | (part > whole))
    if len(wrong):
        place = int(wrong[0])
        raise ConservationError(f"{what} held at {place} are {int(part[place])} of {int(whole[place])}")
