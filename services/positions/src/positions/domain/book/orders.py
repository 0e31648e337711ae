"""Open orders: what they bind, and what they would bring."""

from __future__ import annotations

from positions.domain.book.compiled import inline, total
from positions.domain.book.hashing import find
from positions.domain.book.places import account_place, drop_order, holding_place, new_order
from positions.domain.book.tables import Tables
from positions.domain.book.trading import trade_value
from positions.domain.book.words import BUY

MILLION = 1_000_000


@inline
def rest(
    tables: Tables,
    account_id: int,
    instrument: int,
    order_id: int,
    side: int,
    price: int,
    leaves: int,
) -> None:
    """An order rests with so many lots at a price, new or changed; 0 lots: it is done."""
    place = find(tables.order_places, order_id)
    if place < 0:
        if leaves == 0:
            return
        place = new_order(tables, order_id)
        order = tables.orders[place]
        order["holding"] = holding_place(tables, account_place(tables, account_id), instrument)
        order["side"] = side
        order["price"] = price
        tables.accounts[tables.holdings[order["holding"]]["account"]]["open_orders"] += 1
    _set(tables, place, price, leaves)


@inline
def shrink(tables: Tables, order_id: int, leaves: int) -> None:
    """A resting order has so many lots left; 0: it is done. An unknown one never rested."""
    place = find(tables.order_places, order_id)
    if place >= 0:
        _set(tables, place, tables.orders[place]["price"], leaves)


@inline
def _set(tables: Tables, place: int, price: int, leaves: int) -> None:
    order = tables.orders[place]
    holding = tables.holdings[order["holding"]]
    account = holding["account"]
    instrument = holding["instrument"]
    before = trade_value(tables, instrument, order["price"], order["leaves"])
    after = trade_value(tables, instrument, price, leaves)
    if order["side"] == BUY:
        cash = tables.cash[account, tables.instruments[instrument]["currency"]]
        reserve = after + fee_up(after, tables.instruments[instrument]["fee_ppm"])
        cash["held"] = total(cash["held"], reserve - order["reserve"])
        order["reserve"] = reserve
        holding["open_buy_lots"] += leaves - order["leaves"]
        holding["open_buy_value"] = total(holding["open_buy_value"], after - before)
    else:
        holding["held"] += leaves - order["leaves"]
        holding["open_sell_value"] = total(holding["open_sell_value"], after - before)
    order["price"] = price
    order["leaves"] = leaves
    order["changed"] = 1
    holding["changed"] = 1
    tables.accounts[account]["changed"] = 1
    tables.accounts[account]["touched"] = 1
    tables.accounts[account]["active"] = 1
    if leaves == 0:
        tables.accounts[account]["open_orders"] -= 1
        drop_order(tables, place)


@inline
def fee_up(value: int, ppm: int) -> int:
    """A fee rounded up to a micro, as the market reserves it."""
    return value // MILLION * ppm + (value % MILLION * ppm + MILLION - 1) // MILLION
