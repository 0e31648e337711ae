"""How lots come and go: purchases add lots, sales take the oldest (first in, first out)."""

from __future__ import annotations

from positions.domain.book.compiled import inline, part_of, product, total
from positions.domain.book.marking import in_base, take_flow, worth
from positions.domain.book.places import drop_lot, holding_place, new_lot
from positions.domain.book.tables import NOBODY, Tables

MOST_LOTS = 256
"""Lots of a holding beyond which purchases of one trading day make one lot: a maker buys millions of times."""


@inline
def buy(
    tables: Tables,
    account: int,
    instrument: int,
    quantity: int,
    value: int,
    fee: int,
    sequence: int,
    time_ns: int,
) -> None:
    """Take a purchase in: cash out, a lot in at its price and fee."""
    place = holding_place(tables, account, instrument)
    holding = tables.holdings[place]
    currency = tables.instruments[instrument]["currency"]
    cash = tables.cash[account, currency]
    cash["total"] = total(cash["total"], -(value + fee))
    holding["fees"] = total(holding["fees"], fee)
    holding["day_flow"] = total(holding["day_flow"], value + fee)
    if tables.instruments[instrument]["t1"]:
        holding["bought_today"] += quantity
    add_lot(tables, place, quantity, value + fee, sequence, time_ns)
    _touch(tables, account, place)


@inline
def sell(
    tables: Tables, account: int, instrument: int, quantity: int, value: int, fee: int, tax: int
) -> None:
    """Take a sale in: the oldest lots out, cash in, and the difference realised."""
    place = holding_place(tables, account, instrument)
    holding = tables.holdings[place]
    currency = tables.instruments[instrument]["currency"]
    cash = tables.cash[account, currency]
    proceeds = value - fee - tax
    cash["total"] = total(cash["total"], proceeds)
    holding["fees"] = total(holding["fees"], fee + tax)
    holding["day_flow"] = total(holding["day_flow"], -proceeds)
    cost = remove_lots(tables, place, quantity)
    holding["realised"] = total(holding["realised"], proceeds - cost)
    _touch(tables, account, place)


@inline
def bring_in(tables: Tables, account: int, instrument: int, lots: int, sequence: int, time_ns: int) -> None:
    """Take a deposit of shares in: a lot at the mark of now, which counts as paid in."""
    value = worth(tables, instrument, lots)
    take_flow(tables, account, in_base(tables, tables.instruments[instrument]["currency"], value))
    place = holding_place(tables, account, instrument)
    holding = tables.holdings[place]
    holding["day_flow"] = total(holding["day_flow"], value)
    add_lot(tables, place, lots, value, sequence, time_ns)
    _touch(tables, account, place)


@inline
def take_out(tables: Tables, account: int, instrument: int, lots: int) -> None:
    """Take a withdrawal of shares in: the oldest lots go at their cost, nothing is realised."""
    value = worth(tables, instrument, lots)
    take_flow(tables, account, -in_base(tables, tables.instruments[instrument]["currency"], value))
    place = holding_place(tables, account, instrument)
    holding = tables.holdings[place]
    holding["day_flow"] = total(holding["day_flow"], -value)
    remove_lots(tables, place, lots)
    _touch(tables, account, place)


@inline
def add_lot(tables: Tables, place: int, quantity: int, cost: int, sequence: int, time_ns: int) -> None:
    """Put a lot behind the others of a holding, or into the last one where there are very many."""
    holding = tables.holdings[place]
    holding["quantity"] = total(holding["quantity"], quantity)
    holding["cost"] = total(holding["cost"], cost)
    holding["average_cost"] = total(holding["average_cost"], cost)
    day = tables.header[0]["day"]
    last = holding["last_lot"]
    if holding["lot_count"] >= MOST_LOTS and tables.lots[last]["day"] == day:
        tables.lots[last]["quantity"] = total(tables.lots[last]["quantity"], quantity)
        tables.lots[last]["cost"] = total(tables.lots[last]["cost"], cost)
        return
    made = new_lot(tables)
    lot = tables.lots[made]
    lot["quantity"] = quantity
    lot["cost"] = cost
    lot["sequence"] = sequence
    lot["time_ns"] = time_ns
    lot["day"] = day
    if last == NOBODY:
        holding["first_lot"] = made
    else:
        tables.lots[last]["next"] = made
    holding["last_lot"] = made
    holding["lot_count"] += 1


@inline
def remove_lots(tables: Tables, place: int, quantity: int) -> int:
    """Take the oldest lots out of a holding; what they cost. A split lot keeps the micro that does not divide."""
    holding = tables.holdings[place]
    average = part_of(holding["average_cost"], quantity, holding["quantity"]) if holding["quantity"] else 0
    left, cost = quantity, 0
    while left > 0 and holding["first_lot"] != NOBODY:
        first = holding["first_lot"]
        lot = tables.lots[first]
        taken = min(left, lot["quantity"])
        share = part_of(lot["cost"], taken, lot["quantity"])
        cost += share
        left -= taken
        if taken == lot["quantity"]:
            holding["first_lot"] = lot["next"]
            if lot["next"] == NOBODY:
                holding["last_lot"] = NOBODY
            holding["lot_count"] -= 1
            drop_lot(tables, first)
        else:
            lot["quantity"] -= taken
            lot["cost"] -= share
    holding["quantity"] -= quantity
    holding["cost"] -= cost
    holding["average_cost"] -= average
    return cost


@inline
def trade_value(tables: Tables, instrument: int, price: int, quantity: int) -> int:
    """Micros that lots are worth at a price."""
    return product(price, quantity, tables.instruments[instrument]["tick_value"])


@inline
def _touch(tables: Tables, account: int, holding: int) -> None:
    tables.holdings[holding]["changed"] = 1
    tables.accounts[account]["changed"] = 1
    tables.accounts[account]["touched"] = 1
    tables.accounts[account]["active"] = 1
