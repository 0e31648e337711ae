"""What changed in the book since it was last asked, as rows for tables; and the book from such rows again."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from positions.domain.book.compiled import inline, kernel, total
from positions.domain.book.hashing import put
from positions.domain.book.places import holding_key, new_order
from positions.domain.book.tables import NOBODY, Tables, new_tables, with_room
from positions.domain.book.trading import trade_value
from positions.domain.book.words import BUY

SAVED_LOT = np.dtype(
    [("sequence", "<i8"), ("time_ns", "<i8"), ("day", "<i8"), ("quantity", "<i8"), ("cost", "<i8")]
)
"""A lot as it is kept: those of a holding follow each other, the oldest first."""

ACCOUNT_FIELDS = (
    "account_id",
    "growth",
    "base",
    "peak_growth",
    "day_start_equity",
    "day_flow",
    "net_deposits",
)
HOLDING_FIELDS = (
    "account",
    "instrument",
    "quantity",
    "bought_today",
    "cost",
    "average_cost",
    "realised",
    "fees",
    "lot_count",
    "day_start_value",
    "day_flow",
)
ORDER_FIELDS = ("order_id", "holding", "side", "price", "leaves", "reserve")
INSTRUMENT_FIELDS = ("reference", "reference_set", "last", "last_time_ns", "volume_today")
HEADER_FIELDS = ("sequence", "time_ns", "day", "arriving", "arriving_type")


class Rows(NamedTuple):
    """Rows of the book: all, or those that changed. Places are numbers that rows keep for ever."""

    header: Any
    account_places: Any
    accounts: Any
    cash: Any
    """Totals, accounts × currencies. What is held follows from the orders."""
    holding_places: Any
    holdings: Any
    lots: Any
    """`SAVED_LOT`, those of the first holding first, `lot_count` for each."""
    orders: Any
    instrument_numbers: Any
    instruments: Any
    gone: Any
    """Ids of orders that are done; some may have come and gone unseen."""
    fills: Any


def take_changes(tables: Tables) -> Rows:
    """Rows that changed since the last time, copied."""
    head = tables.header[0]
    accounts = _take(tables.accounts[: head["accounts"]])
    holdings = _take(tables.holdings[: head["holdings"]])
    orders = _take(tables.orders[: head["orders"]])
    instruments = _take(tables.instruments)
    found = _copy(tables, accounts, holdings, orders, instruments)
    head["gone"] = head["fills"] = 0
    return found


def all_rows(tables: Tables) -> Rows:
    """Every row, copied; nothing is marked as taken."""
    head = tables.header[0]
    orders = np.flatnonzero(tables.orders[: head["orders"]]["order_id"])
    known = np.flatnonzero(tables.instruments["tick_value"])
    return _copy(tables, np.arange(head["accounts"]), np.arange(head["holdings"]), orders, known)


def _take(rows: Any) -> Any:
    changed = np.flatnonzero(rows["changed"])
    rows["changed"][changed] = 0
    return changed


def _copy(tables: Tables, accounts: Any, holdings: Any, orders: Any, instruments: Any) -> Rows:
    lots = np.zeros(int(tables.holdings["lot_count"][holdings].sum()), SAVED_LOT)
    _gather_lots(tables, holdings, lots)
    head = tables.header[0]
    return Rows(
        tables.header[0].copy(),
        accounts,
        tables.accounts[accounts],
        tables.cash["total"][accounts],
        holdings,
        tables.holdings[holdings],
        lots,
        tables.orders[orders],
        instruments,
        tables.instruments[instruments],
        tables.gone[: head["gone"]].copy(),
        tables.fills[: head["fills"]].copy(),
    )


@kernel
def _gather_lots(tables: Tables, holdings: Any, lots: Any) -> None:
    count = 0
    for row in range(len(holdings)):
        at = tables.holdings[holdings[row]]["first_lot"]
        while at != NOBODY:
            lot = tables.lots[at]
            lots[count]["sequence"] = lot["sequence"]
            lots[count]["time_ns"] = lot["time_ns"]
            lots[count]["day"] = lot["day"]
            lots[count]["quantity"] = lot["quantity"]
            lots[count]["cost"] = lot["cost"]
            count += 1
            at = lot["next"]


def empty(rows: Rows) -> Tables:
    """Tables with room for rows, and with their instruments' marks; definitions are to be learned before `restore`."""
    tables = with_room(new_tables(), 1)
    for name in HEADER_FIELDS:
        tables.header[name] = rows.header[name]
    for name in INSTRUMENT_FIELDS:
        tables.instruments[name][rows.instrument_numbers] = rows.instruments[name]
    size = max(len(rows.accounts), len(rows.holdings), len(rows.lots), len(rows.orders))
    return with_room(tables, size)


def restore(tables: Tables, rows: Rows) -> None:
    """Put all rows into tables made by `empty`. Their places are 0, 1, 2 … without a gap."""
    head = tables.header[0]
    count = len(rows.accounts)
    head["accounts"] = count
    for name in ACCOUNT_FIELDS:
        tables.accounts[name][:count] = rows.accounts[name]
    tables.accounts["first_holding"][:count] = NOBODY
    tables.cash["total"][:count] = rows.cash
    count = len(rows.holdings)
    head["holdings"] = count
    for name in HOLDING_FIELDS:
        tables.holdings[name][:count] = rows.holdings[name]
    head["lots"] = len(rows.lots)
    _link(tables, rows.lots)
    _restore_orders(tables, rows.orders)


@kernel
def _link(tables: Tables, lots: Any) -> None:
    head = tables.header[0]
    for place in range(head["accounts"]):
        put(tables.account_places, tables.accounts[place]["account_id"], place)
    first = 0
    for place in range(head["holdings"]):
        holding = tables.holdings[place]
        account = tables.accounts[holding["account"]]
        instrument = tables.instruments[holding["instrument"]]
        put(tables.holding_places, holding_key(holding["account"], holding["instrument"]), place)
        holding["next"] = account["first_holding"]
        account["first_holding"] = place
        holding["next_holder"] = instrument["first_holder"]
        instrument["first_holder"] = place
        _link_lots(tables, place, lots, first)
        first += holding["lot_count"]


@inline
def _link_lots(tables: Tables, place: int, lots: Any, first: int) -> None:
    holding = tables.holdings[place]
    count = holding["lot_count"]
    holding["first_lot"] = first if count > 0 else NOBODY
    holding["last_lot"] = first + count - 1 if count > 0 else NOBODY
    for at in range(first, first + count):
        lot = tables.lots[at]
        lot["sequence"] = lots[at]["sequence"]
        lot["time_ns"] = lots[at]["time_ns"]
        lot["day"] = lots[at]["day"]
        lot["quantity"] = lots[at]["quantity"]
        lot["cost"] = lots[at]["cost"]
        lot["next"] = at + 1 if at + 1 < first + count else NOBODY


@kernel
def _restore_orders(tables: Tables, orders: Any) -> None:
    for row in range(len(orders)):
        saved = orders[row]
        order = tables.orders[new_order(tables, saved["order_id"])]
        order["holding"] = saved["holding"]
        order["side"] = saved["side"]
        order["price"] = saved["price"]
        order["leaves"] = saved["leaves"]
        order["reserve"] = saved["reserve"]
        holding = tables.holdings[saved["holding"]]
        instrument = holding["instrument"]
        value = trade_value(tables, instrument, saved["price"], saved["leaves"])
        tables.accounts[holding["account"]]["open_orders"] += 1
        if saved["side"] == BUY:
            cash = tables.cash[holding["account"], tables.instruments[instrument]["currency"]]
            cash["held"] = total(cash["held"], saved["reserve"])
            holding["open_buy_lots"] += saved["leaves"]
            holding["open_buy_value"] = total(holding["open_buy_value"], value)
        else:
            holding["held"] += saved["leaves"]
            holding["open_sell_value"] = total(holding["open_sell_value"], value)
