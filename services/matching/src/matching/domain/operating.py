"""CANCEL_ORDERS and SET_ACCOUNT_STATE: how an operator stops an account, or clears a book."""

from __future__ import annotations

from typing import Any

from .accounts import find_account
from .book import book_of
from .changing import cancel_of_account, tell_cancelled
from .compiled import I64, hot, inner
from .events import refuse_command, say
from .instruments import is_instrument
from .orders import cancel_resting
from .state import account_at, book_at, level_at
from .words import (
    ACCOUNT_STATE_CHANGED,
    BUY,
    CANCELLED_BY_OPERATOR,
    HALTED,
    INVALID_COMMAND,
    INVALID_SIDE,
    NONE,
    OPEN,
    ORDERS_CANCELLED,
    SELL,
    UNKNOWN_ACCOUNT,
)


@inner
def cancel_orders(b: int, command: Any) -> None:
    """CANCEL_ORDERS: an account's orders, or everyone's of an instrument."""
    if command.side > SELL:
        refuse_command(b, command, INVALID_SIDE, 0, 0)
        return
    if command.account_id == 0 and command.instrument_id == 0:
        refuse_command(b, command, INVALID_COMMAND, 0, 0)
        return
    if command.account_id != 0:
        cancelled = cancel_of_account(b, command, CANCELLED_BY_OPERATOR)
    else:
        cancelled = _clear_book(b, command)
    tell_cancelled(b, command, ORDERS_CANCELLED, cancelled)


@inner
def _clear_book(b: int, command: Any) -> int:
    """Cancel the orders of an instrument and side (0: both), bids first, each side in priority; how many they were."""
    cancelled = I64(0)
    if not is_instrument(b, I64(command.instrument_id)):
        return cancelled
    if command.side != SELL:
        cancelled += _clear_side(b, command, I64(BUY))
    if command.side != BUY:
        cancelled += _clear_side(b, command, I64(SELL))
    return cancelled


@hot
def _clear_side(b: int, command: Any, side: int) -> int:
    cancelled = I64(0)
    book = book_at(b, book_of(I64(command.instrument_id), side))
    while book.best_level != NONE:
        first = I64(level_at(b, I64(book.best_level)).first)
        cancel_resting(b, first, CANCELLED_BY_OPERATOR, I64(command.request_id))
        cancelled += 1
    return cancelled


@inner
def set_account_state(b: int, command: Any) -> None:
    """SET_ACCOUNT_STATE: OPEN, or HALTED, which leaves what rests as it is."""
    if command.trading_state < OPEN or command.trading_state > HALTED:
        refuse_command(b, command, INVALID_COMMAND, 0, 0)
        return
    account = find_account(b, I64(command.account_id))
    if account == NONE:
        refuse_command(b, command, UNKNOWN_ACCOUNT, 0, 0)
        return
    account_at(b, account).halted = command.trading_state == HALTED
    event = say(b, ACCOUNT_STATE_CHANGED)
    event.account_id = command.account_id
    event.trading_state = command.trading_state
    event.request_id = command.request_id
