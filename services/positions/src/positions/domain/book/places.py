"""Finding and making rows of the tables."""

from __future__ import annotations

from positions.domain.book.compiled import inline, whole
from positions.domain.book.hashing import find, put, take
from positions.domain.book.tables import NOBODY, Tables


@inline
def account_place(tables: Tables, account_id: int) -> int:
    """The place of an account; a new one begins with nothing."""
    place = find(tables.account_places, account_id)
    if place >= 0:
        return place
    head = tables.header[0]
    place = whole(head["accounts"])
    head["accounts"] += 1
    account = tables.accounts[place]
    account["account_id"] = account_id
    account["first_holding"] = NOBODY
    account["growth"] = 1.0
    account["peak_growth"] = 1.0
    put(tables.account_places, account_id, place)
    return place


@inline
def holding_key(account: int, instrument: int) -> int:
    """One number for a pair of account (place) and instrument (id, 16 bits)."""
    return ((account + 1) << 16) | instrument


@inline
def holding_place(tables: Tables, account: int, instrument: int) -> int:
    """The place of a holding; a new one is empty, and known to its account and to its instrument."""
    key = holding_key(account, instrument)
    place = find(tables.holding_places, key)
    if place >= 0:
        return place
    head = tables.header[0]
    place = whole(head["holdings"])
    head["holdings"] += 1
    holding = tables.holdings[place]
    holding["account"] = account
    holding["instrument"] = instrument
    holding["first_lot"] = NOBODY
    holding["last_lot"] = NOBODY
    holding["next"] = tables.accounts[account]["first_holding"]
    tables.accounts[account]["first_holding"] = place
    holding["next_holder"] = tables.instruments[instrument]["first_holder"]
    tables.instruments[instrument]["first_holder"] = place
    put(tables.holding_places, key, place)
    return place


@inline
def new_lot(tables: Tables) -> int:
    """A free row for a lot."""
    head = tables.header[0]
    place = whole(head["free_lot"])
    if place == NOBODY:
        place = whole(head["lots"])
        head["lots"] += 1
    else:
        head["free_lot"] = tables.lots[place]["next"]
    tables.lots[place]["next"] = NOBODY
    return place


@inline
def drop_lot(tables: Tables, place: int) -> None:
    """Give the row of a lot back."""
    head = tables.header[0]
    tables.lots[place]["quantity"] = 0
    tables.lots[place]["next"] = head["free_lot"]
    head["free_lot"] = place


@inline
def new_order(tables: Tables, order_id: int) -> int:
    """A row for an order, found by its id from now on."""
    head = tables.header[0]
    place = whole(head["free_order"])
    if place == NOBODY:
        place = whole(head["orders"])
        head["orders"] += 1
    else:
        head["free_order"] = tables.orders[place]["next_free"]
    order = tables.orders[place]
    order["order_id"] = order_id
    order["leaves"] = 0
    order["reserve"] = 0
    put(tables.order_places, order_id, place)
    return place


@inline
def drop_order(tables: Tables, place: int) -> None:
    """Forget an order, and remember that it is gone until that is written."""
    head = tables.header[0]
    order = tables.orders[place]
    take(tables.order_places, order["order_id"])
    tables.gone[head["gone"]] = order["order_id"]
    head["gone"] += 1
    order["order_id"] = 0
    order["changed"] = 0
    order["next_free"] = head["free_order"]
    head["free_order"] = place
