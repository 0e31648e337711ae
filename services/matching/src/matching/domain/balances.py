"""Deposits and withdrawals of cash and shares."""

from __future__ import annotations

from typing import Any

from .accounts import (
    available_lots,
    cash_of,
    find_account,
    free_cash,
    open_account,
    open_holding,
    room_for_holding,
)
from .compiled import I64, inner
from .events import last_event, refuse_command, say
from .idempotency import (
    MOVE_REFUSED,
    MOVED,
    REQUESTS,
    check_time,
    find_outcome,
    id_hash,
    remember,
    repeat_outcome,
)
from .instruments import is_instrument
from .state import currency_at, head, holding_at, rules_at
from .words import (
    CASH_DEPOSITED,
    CASH_WITHDRAWN,
    CURRENCIES,
    DEPOSIT_CASH,
    DEPOSIT_SHARES,
    INSUFFICIENT_FUNDS,
    INSUFFICIENT_HOLDINGS,
    INVALID_AMOUNT,
    INVALID_ID,
    LARGEST_TOTAL,
    LIMIT_REACHED,
    NONE,
    OK,
    SHARES_DEPOSITED,
    SHARES_WITHDRAWN,
    UNKNOWN_CURRENCY,
    UNKNOWN_INSTRUMENT,
    WITHDRAW_CASH,
)


@inner
def move_balance(b: int, command: Any) -> None:
    """DEPOSIT_CASH, WITHDRAW_CASH, DEPOSIT_SHARES, WITHDRAW_SHARES; their ids are the requests of account 0."""
    number = I64(command.request_id)
    if number <= 0 or command.account_id == 0:
        refuse_command(b, command, INVALID_ID, 0, 0)
        return
    hashed = id_hash(b, REQUESTS, 0, number)
    first = find_outcome(b, hashed, REQUESTS, 0, number)
    if first != NONE:
        repeat_outcome(b, first)
        return
    late = check_time(b, I64(command.create_time_ns))
    if late != OK:
        refuse_command(b, command, late, 0, 0)
        return
    if command.kind == DEPOSIT_CASH or command.kind == WITHDRAW_CASH:
        reason, required, available = _move_cash(b, command)
    else:
        reason, required, available = _move_shares(b, command)
    if reason != OK:
        refuse_command(b, command, reason, required, available)
    remember(b, hashed, MOVED if reason == OK else MOVE_REFUSED, number, 0, last_event(b))


@inner
def _check_room(b: int, account: int) -> bool:
    h = head(b)
    return account != NONE or h.accounts < h.max_accounts


@inner
def _move_cash(b: int, command: Any) -> tuple[int, int, int]:
    currency = I64(command.currency_id)
    amount = I64(command.amount_micros)
    if currency >= CURRENCIES:
        return I64(UNKNOWN_CURRENCY), I64(0), I64(0)
    account = find_account(b, I64(command.account_id))
    deposit = command.kind == DEPOSIT_CASH
    venue = currency_at(b, currency)
    if amount <= 0 or (deposit and venue.deposited > LARGEST_TOTAL - amount):
        return I64(INVALID_AMOUNT), I64(0), I64(0)
    if deposit:
        if not _check_room(b, account):
            return I64(LIMIT_REACHED), I64(0), I64(0)
        account = open_account(b, I64(command.account_id))
    else:
        free = free_cash(b, account, currency)
        if amount > free:
            return I64(INSUFFICIENT_FUNDS), amount, free
    change = amount if deposit else -amount
    cash = cash_of(b, account, currency)
    cash.total += change
    venue.deposited += change
    event = say(b, CASH_DEPOSITED if deposit else CASH_WITHDRAWN)
    event.account_id = command.account_id
    event.currency_id = currency
    event.required = amount
    event.available = cash.total
    event.request_id = command.request_id
    return I64(OK), I64(0), I64(0)


@inner
def _move_shares(b: int, command: Any) -> tuple[int, int, int]:
    instrument = I64(command.instrument_id)
    lots = I64(command.quantity_lots)
    if not is_instrument(b, instrument):
        return I64(UNKNOWN_INSTRUMENT), I64(0), I64(0)
    account = find_account(b, I64(command.account_id))
    deposit = command.kind == DEPOSIT_SHARES
    rules = rules_at(b, instrument)
    if lots <= 0 or (deposit and rules.deposited > LARGEST_TOTAL - lots):
        return I64(INVALID_AMOUNT), I64(0), I64(0)
    if deposit:
        if not _check_room(b, account) or not room_for_holding(b):
            return I64(LIMIT_REACHED), I64(0), I64(0)
        account = open_account(b, I64(command.account_id))
    else:
        free = available_lots(b, account, instrument)
        if lots > free:
            return I64(INSUFFICIENT_HOLDINGS), lots, free
    change = lots if deposit else -lots
    holding = holding_at(b, open_holding(b, account, instrument))
    holding.total += change
    rules.deposited += change
    event = say(b, SHARES_DEPOSITED if deposit else SHARES_WITHDRAWN)
    event.account_id = command.account_id
    event.instrument_id = instrument
    event.quantity_lots = lots
    event.available = holding.total
    event.request_id = command.request_id
    return I64(OK), I64(0), I64(0)
