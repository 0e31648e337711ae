"""Kernels that read the state for people and services: books, orders, holdings."""

from __future__ import annotations

import numpy as np

from .accounts import find_account
from .book import book_of
from .compiled import I64, entry, inner, rows
from .matching import level_after
from .orders import find_order_id, owner_of, price_of
from .state import account_at, book_at, child_at, holding_at, level_at, order_at, struct, terms_at
from .tree import lowest_in_tree, next_in_tree
from .words import NONE

LEVEL_ROW = struct(("price_ticks", "i8"), ("quantity_lots", "i8"), ("order_count", "i8"))
"""A price level: its lots and how many orders they are."""

ORDER_ROW = struct(
    ("order_id", "i8"),
    ("account_id", "u4"),
    ("client_order_id", "i8"),
    ("instrument_id", "u4"),
    ("side", "u1"),
    ("price_ticks", "i8"),
    ("quantity_lots", "i8"),
    ("leaves_lots", "i8"),
    ("reserve", "i8"),
    ("time_in_force", "u1"),
    ("post_only", "u1"),
    ("self_trade_prevention", "u1"),
    ("expire_time_ns", "i8"),
    ("session_id", "i8"),
)
"""An open order. `reserve`: micros of a buy, lots of a sell."""

HOLDING_ROW = struct(("instrument_id", "u4"), ("total", "i8"), ("held", "i8"), ("bought_today", "i8"))
"""What an account has of an instrument, in lots."""

SESSION_ROW = struct(("session_id", "i8"), ("account_id", "u4"), ("grace_ns", "i8"), ("last_beat_ns", "i8"))

INSTRUMENT_STATE = struct(
    ("instrument_id", "u4"),
    ("currency_id", "u4"),
    ("tick_value", "i8"),
    ("board_lot", "i8"),
    ("odd_lot_rule", "u1"),
    ("settlement", "u1"),
    ("trading_state", "u1"),
    ("price_limit_ppm", "i8"),
    ("reference_price_ticks", "i8"),
    ("last_price_ticks", "i8"),
    ("lower_limit_ticks", "i8"),
    ("upper_limit_ticks", "i8"),
    ("max_price_ticks", "i8"),
    ("max_order_lots", "i8"),
    ("market_band_ppm", "i8"),
    ("maker_fee_ppm", "i8"),
    ("taker_fee_ppm", "i8"),
    ("stamp_duty_ppm", "i8"),
    ("open_orders", "i8"),
)
"""An instrument as it stands. `last_price_ticks` is 0 before the first trade."""

level_row_at = rows(LEVEL_ROW)
order_row_at = rows(ORDER_ROW)
holding_row_at = rows(HOLDING_ROW)


@entry
def locate_account(b: int, account_id: int) -> int:
    """Row of an account, or NONE."""
    return find_account(b, account_id)


@entry
def list_levels(b: int, instrument: int, side: int, depth: int, out: int) -> int:
    """Write the best levels of a side; how many."""
    count = I64(0)
    index = I64(book_at(b, book_of(instrument, side)).best_level)
    while index != NONE and count < depth:
        level = level_at(b, index)
        row = level_row_at(out, count)
        row.price_ticks = level.price
        lots = I64(0)
        orders = I64(0)
        slot = I64(level.first)
        while slot != NONE:
            lots += order_at(b, slot).leaves
            orders += 1
            slot = I64(order_at(b, slot).next)
        row.quantity_lots = lots
        row.order_count = orders
        count += 1
        index = level_after(b, side, index)
    return count


@inner
def write_order(b: int, slot: int, out: int, place: int) -> None:
    """Describe an open order."""
    order = order_at(b, slot)
    terms = terms_at(b, slot)
    row = order_row_at(out, place)
    row.order_id = order.order_id
    row.account_id = owner_of(b, order)
    row.client_order_id = order.client_order_id
    row.instrument_id = order.instrument
    row.side = order.side
    row.price_ticks = price_of(b, order)
    row.quantity_lots = terms.quantity
    row.leaves_lots = order.leaves
    row.reserve = order.reserve
    row.time_in_force = order.time_in_force
    row.post_only = order.post_only
    row.self_trade_prevention = order.prevention
    row.expire_time_ns = terms.expire_time
    row.session_id = terms.session_id


@entry
def list_orders(b: int, instrument: int, out: int) -> int:
    """Write an instrument's orders, bids first, each side in priority; how many."""
    count = I64(0)
    for side in range(1, 3):
        index = I64(book_at(b, book_of(instrument, I64(side))).best_level)
        while index != NONE:
            slot = I64(level_at(b, index).first)
            while slot != NONE:
                write_order(b, slot, out, count)
                count += 1
                slot = I64(order_at(b, slot).next)
            index = level_after(b, I64(side), index)
    return count


@entry
def list_account_orders(b: int, account: int, out: int, room: int) -> int:
    """Write an account's orders by order id while there is room; how many it has."""
    count = I64(0)
    slot = I64(account_at(b, account).first_order)
    while slot != NONE:
        if count < room:
            write_order(b, slot, out, count)
        count += 1
        slot = I64(order_at(b, slot).account_next)
    return count


@entry
def describe_order(b: int, order_id: int, out: int) -> bool:
    """Write an open order; False if there is none of that id."""
    slot = find_order_id(b, order_id)
    if slot == NONE:
        return False
    write_order(b, slot, out, I64(0))
    return True


@entry
def list_holdings(b: int, account: int, out: int, room: int) -> int:
    """Write what an account holds by instrument while there is room; how many rows it has."""
    owner = account_at(b, account)
    count = I64(0)
    if owner.holdings_root == 0:
        return count
    index = lowest_in_tree(b, I64(owner.holdings_root), I64(owner.holdings_height) - 1)
    while index != NONE:
        holding = holding_at(b, index)
        if count < room:
            row = holding_row_at(out, count)
            row.instrument_id = holding.instrument
            row.total = holding.total
            row.held = holding.held
            row.bought_today = holding.bought_today
        count += 1
        index = _holding_after(b, account, I64(holding.instrument))
    return count


@inner
def _holding_after(b: int, account: int, instrument: int) -> int:
    owner = account_at(b, account)
    at = I64(owner.holdings_root)
    shift = 6 * (I64(owner.holdings_height) - 1)
    while shift > 0:
        at = I64(child_at(b, at * 64 + ((instrument >> shift) & 63)).to)
        shift -= 6
    return next_in_tree(b, at, instrument & 63)


def empty_rows(dtype: np.dtype[np.void], count: int) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """Zeroed rows for a kernel to write."""
    return np.zeros(max(count, 1), dtype)
