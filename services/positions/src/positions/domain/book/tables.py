"""What the book keeps, as arrays that kernels work on and that grow between folds.

Places in tables are numbers from 0; lists run through `next` fields and end with -1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from positions.domain.book.hashing import copy_into, new_map

CURRENCIES = 16
"""Currencies that the market can have."""

NOBODY = -1

ACCOUNT = np.dtype(
    [
        ("account_id", "i8"),
        ("first_holding", "i8"),  # list through HOLDING.next
        ("open_orders", "i8"),
        ("growth", "f8"),  # time-weighted, up to the last flow of money or shares
        ("base", "f8"),  # equity right after that flow
        ("peak_growth", "f8"),
        ("day_start_equity", "f8"),
        ("day_flow", "f8"),  # deposits − withdrawals of the day
        ("net_deposits", "f8"),
        ("changed", "i8"),  # 1: rows are not written yet
        ("touched", "i8"),  # 1: a listener has not looked yet
        ("active", "i8"),  # 1: changed since its last point of history
    ]
)
CASH = np.dtype([("total", "i8"), ("held", "i8")])
HOLDING = np.dtype(
    [
        ("account", "i8"),  # place
        ("instrument", "i8"),  # id
        ("next", "i8"),  # next holding of the account
        ("next_holder", "i8"),  # next holding of the instrument
        ("quantity", "i8"),
        ("held", "i8"),
        ("bought_today", "i8"),
        ("cost", "i8"),  # of its lots, first in, first out
        ("average_cost", "i8"),  # of all, by average cost
        ("realised", "i8"),
        ("fees", "i8"),
        ("first_lot", "i8"),  # list through LOT.next
        ("last_lot", "i8"),
        ("lot_count", "i8"),
        ("day_start_value", "i8"),
        ("day_flow", "i8"),  # paid − received today, deposits of shares included
        ("open_buy_lots", "i8"),
        ("open_buy_value", "i8"),
        ("open_sell_value", "i8"),
        ("changed", "i8"),
    ]
)
LOT = np.dtype(
    [
        ("next", "i8"),  # also the free list
        ("quantity", "i8"),
        ("cost", "i8"),
        ("sequence", "i8"),
        ("time_ns", "i8"),
        ("day", "i8"),  # trading day that it was opened on
    ]
)
ORDER = np.dtype(
    [
        ("order_id", "i8"),
        ("holding", "i8"),
        ("side", "i8"),
        ("price", "i8"),
        ("leaves", "i8"),
        ("reserve", "i8"),  # cash held by a buy
        ("next_free", "i8"),
        ("changed", "i8"),
    ]
)
INSTRUMENT = np.dtype(
    [
        ("tick_value", "i8"),  # micros of one lot at a price of one tick; 0: not known
        ("currency", "i8"),
        ("t1", "i8"),  # 1: what is bought today is sold tomorrow
        ("fee_ppm", "i8"),  # the larger of maker's and taker's
        ("industry", "i8"),
        ("reference", "i8"),
        (
            "reference_set",
            "i8",
        ),  # 1: by the operator, and nothing was traded since: the next day begins with it
        ("last", "i8"),  # last trade's price, 0: none
        ("last_time_ns", "i8"),
        ("mid", "f8"),  # middle of the book in ticks, 0: not known
        ("mid_time_ns", "i8"),
        ("first_holder", "i8"),  # list through HOLDING.next_holder
        ("volume_today", "i8"),
        ("changed", "i8"),
        ("moved", "i8"),  # 1: its mark moved and no listener has looked yet
    ]
)
FILL = np.dtype(
    [
        ("account_id", "i8"),
        ("sequence", "i8"),  # of the trade
        ("side", "i8"),
        ("time_ns", "i8"),
        ("instrument_id", "i8"),
        ("order_id", "i8"),
        ("client_order_id", "i8"),
        ("order_type", "i8"),
        ("price_ticks", "i8"),
        ("quantity_lots", "i8"),
        ("fee_micros", "i8"),
        ("tax_micros", "i8"),
        ("previous_ticks", "i8"),  # price of the trade before, else the reference price
        ("taker", "?"),
    ]
)
"""One side of a trade."""
HEADER = np.dtype(
    [
        ("sequence", "i8"),
        ("time_ns", "i8"),
        ("day", "i8"),
        ("accounts", "i8"),
        ("holdings", "i8"),
        ("lots", "i8"),
        ("free_lot", "i8"),
        ("orders", "i8"),
        ("free_order", "i8"),
        ("arriving", "i8"),  # order that the command under way brought
        ("arriving_type", "i8"),
        ("gone", "i8"),  # entries of Tables.gone
        ("fills", "i8"),  # entries of Tables.fills
    ]
)


class Tables(NamedTuple):
    """All of it, as kernels take it."""

    header: Any
    accounts: Any
    cash: Any
    """Accounts × currencies."""
    holdings: Any
    lots: Any
    orders: Any
    instruments: Any
    """By id."""
    rates: Any
    """Base currency for one unit, by currency."""
    gone: Any
    """Ids of orders that left since they were last asked for."""
    fills: Any
    """Sides of trades since they were last asked for."""
    account_places: Any
    holding_places: Any
    order_places: Any


def new_tables(instruments: int = 65_536) -> Tables:
    """Empty tables. They grow; what they reserve costs no memory before it is used."""
    header = np.zeros(1, HEADER)
    header["day"] = 1
    header["free_lot"] = header["free_order"] = NOBODY
    listed = np.zeros(instruments, INSTRUMENT)
    listed["first_holder"] = NOBODY
    listed["industry"] = NOBODY
    return Tables(
        header,
        np.zeros(64, ACCOUNT),
        np.zeros((64, CURRENCIES), CASH),
        np.zeros(256, HOLDING),
        np.zeros(1024, LOT),
        np.zeros(1024, ORDER),
        listed,
        np.ones(CURRENCIES),
        np.zeros(1024, np.int64),
        np.zeros(1024, FILL),
        new_map(64),
        new_map(256),
        new_map(1024),
    )


def with_room(tables: Tables, events: int) -> Tables:
    """The tables with room for what so many events may add: each two accounts, holdings and lots, and an order."""
    head = tables.header[0]
    accounts = _grown(tables.accounts, int(head["accounts"]) + 2 * events)
    return tables._replace(
        accounts=accounts,
        cash=_grown(tables.cash, len(accounts)),
        holdings=_grown(tables.holdings, int(head["holdings"]) + 2 * events),
        lots=_grown(tables.lots, int(head["lots"]) + 2 * events),
        orders=_grown(tables.orders, int(head["orders"]) + events),
        gone=_grown(tables.gone, int(head["gone"]) + events),
        fills=_grown(tables.fills, int(head["fills"]) + 2 * events),
        account_places=_grown_map(tables.account_places, int(head["accounts"]) + 2 * events),
        holding_places=_grown_map(tables.holding_places, int(head["holdings"]) + 2 * events),
        order_places=_grown_map(tables.order_places, int(head["orders"]) + events),
    )


def _grown(table: Any, room: int) -> Any:
    if room <= len(table):
        return table
    larger = np.zeros((max(room, 2 * len(table)), *table.shape[1:]), table.dtype)
    larger[: len(table)] = table
    return larger


def _grown_map(cells: Any, room: int) -> Any:
    if 2 * room <= len(cells):
        return cells
    larger = new_map(2 * room)
    copy_into(cells, larger)
    return larger
