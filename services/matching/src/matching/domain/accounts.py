"""Accounts: who there is, cash and holdings, what orders reserve and what trades move."""

from __future__ import annotations

from typing import Any

from .compiled import I64, U64, hot, inner
from .state import (
    LARGEST_ACCOUNTS,
    account_at,
    account_cell_at,
    cash_at,
    currency_at,
    head,
    holding_at,
    rules_at,
)
from .tree import find_in_tree, insert_into_tree
from .words import ACCOUNT_HALTED, BUY, CURRENCIES, MILLION, NONE, OK, T1

_CELLS = 2 * LARGEST_ACCOUNTS - 1


@hot
def first_cell(account_id: int) -> int:
    """Where the search for an account begins. Neighbours stay neighbours, so a thousand accounts are a few cache
    lines."""
    return (account_id ^ (account_id >> 21)) & _CELLS


@hot
def next_cell(cell: int) -> int:
    """Where the search goes on; behind the last cell comes the first."""
    return (cell + 1) & _CELLS


@hot
def find_account(b: int, account_id: int) -> int:
    """Row of an account, or NONE. Rows stand in cells by open addressing; accounts never go."""
    cell = first_cell(account_id)
    while True:
        entry = account_cell_at(b, cell)
        if entry.account_id == account_id:
            return I64(entry.index) if account_id != 0 else NONE
        if entry.account_id == 0:
            return NONE
        cell = next_cell(cell)


@inner
def open_account(b: int, account_id: int) -> int:
    """Row of an account that is made if it is not there."""
    index = find_account(b, account_id)
    if index != NONE:
        return index
    cell = first_cell(account_id)
    while account_cell_at(b, cell).account_id != 0:
        cell = next_cell(cell)
    h = head(b)
    index = h.accounts
    h.accounts += 1
    entry = account_cell_at(b, cell)
    entry.account_id = account_id
    entry.index = index
    account = account_at(b, index)
    account.account_id = account_id
    account.first_order = NONE
    account.last_order = NONE
    return I64(index)


@hot
def check_account(b: int, account: int) -> int:
    """Whether an account (or NONE, which has nothing to trade with) may place and change orders: OK or the reason."""
    if account != NONE and account_at(b, account).halted != 0:
        return I64(ACCOUNT_HALTED)
    return I64(OK)


@hot
def cash_of(b: int, account: int, currency: int) -> Any:
    """Cash of an account's row in a currency."""
    return cash_at(b, account * CURRENCIES + currency)


@hot
def find_holding(b: int, account: int, instrument: int) -> int:
    """Row of what an account holds of an instrument, or NONE.

    Most accounts trade the same instrument again and again: its row is kept beside the account's other numbers.
    """
    owner = account_at(b, account)
    if owner.recent_instrument == instrument:
        return I64(owner.recent_holding)
    index = find_in_tree(b, I64(owner.holdings_root), I64(owner.holdings_height), instrument, 0)
    if index != NONE:
        owner.recent_instrument = instrument
        owner.recent_holding = index
    return index


@hot
def open_holding(b: int, account: int, instrument: int) -> int:
    """Row of what an account holds of an instrument, made if it is not there."""
    index = find_holding(b, account, instrument)
    if index != NONE:
        return index
    h = head(b)
    owner = account_at(b, account)
    index = h.holdings
    h.holdings += 1
    root, height, _leaf = insert_into_tree(
        b, I64(owner.holdings_root), I64(owner.holdings_height), instrument, 0, index
    )
    owner.holdings_root = root
    owner.holdings_height = height
    holding = holding_at(b, index)
    holding.account = account
    holding.instrument = instrument
    return I64(index)


@hot
def room_for_holding(b: int) -> bool:
    """Whether one more order may come to hold something.

    A trade must never fail for want of a row. Each open order makes at most one, so room is kept for all of them.
    """
    h = head(b)
    return h.holdings + h.open_orders < h.max_holdings  # type: ignore[no-any-return]


@hot
def available_lots(b: int, account: int, instrument: int) -> int:
    """Lots that an account (or NONE) may sell now."""
    if account == NONE:
        return 0
    index = find_holding(b, account, instrument)
    if index == NONE:
        return 0
    holding = holding_at(b, index)
    return I64(holding.total - holding.held - holding.bought_today)


@hot
def free_cash(b: int, account: int, currency: int) -> int:
    """Micros that an account (or NONE) may spend now."""
    if account == NONE:
        return 0
    cash = cash_of(b, account, currency)
    return I64(cash.total - cash.held)


@hot
def free_for(b: int, account: int, instrument: int, side: int) -> int:
    """What an order of `side` may reserve: micros for a buy, lots for a sell."""
    if side == BUY:
        return free_cash(b, account, I64(rules_at(b, instrument).currency_id))
    return available_lots(b, account, instrument)


@hot
def fee(value: int, ppm: int) -> int:
    """Millionths of a value, rounded down. In unsigned words: division by a constant is then a multiplication."""
    whole = U64(value) // U64(MILLION)
    rest = U64(value) - whole * U64(MILLION)
    return I64(whole * U64(ppm) + rest * U64(ppm) // U64(MILLION))


@hot
def fee_up(value: int, ppm: int) -> int:
    """Millionths of a value, rounded up."""
    whole = U64(value) // U64(MILLION)
    rest = U64(value) - whole * U64(MILLION)
    return I64(whole * U64(ppm) + (rest * U64(ppm) + U64(MILLION - 1)) // U64(MILLION))


@hot
def needed_reserve(b: int, instrument: int, side: int, price: int, lots: int) -> int:
    """What an order must hold back: value and the larger fee for a buy, lots for a sell."""
    if side != BUY:
        return lots
    rules = rules_at(b, instrument)
    value = price * lots * rules.tick_value
    return I64(value + fee_up(value, rules.reserve_ppm))


@hot
def change_hold(b: int, account: int, instrument: int, side: int, change: int) -> None:
    """Hold more or less for orders of an account."""
    if side == BUY:
        cash_of(b, account, I64(rules_at(b, instrument).currency_id)).held += change
    else:
        holding_at(b, find_holding(b, account, instrument)).held += change


@hot
def settle(
    b: int, instrument: int, buyer: int, seller: int, value: int, lots: int, paid: int, kept: int, duty: int
) -> None:
    """Move value and lots of a trade; `paid` and `kept` are the fees of buyer and seller."""
    rules = rules_at(b, instrument)
    currency = I64(rules.currency_id)
    cash_of(b, buyer, currency).total -= value + paid
    cash_of(b, seller, currency).total += value - kept - duty
    holding_at(b, find_holding(b, seller, instrument)).total -= lots
    bought = holding_at(b, open_holding(b, buyer, instrument))
    bought.total += lots
    if rules.settlement == T1:
        bought.bought_today += lots
    collected = currency_at(b, currency)
    collected.fees += paid + kept
    collected.duties += duty
