"""CANCEL, AMEND, REPLACE and MASS_CANCEL: commands about orders that rest."""

from __future__ import annotations

from typing import Any

from .accounts import available_lots, check_account, find_account, free_for, needed_reserve
from .book import take_out
from .compiled import I64, hot, inner
from .events import last_event, refuse_command, said, say
from .idempotency import (
    CHANGE_REFUSED,
    CHANGED,
    REQUESTS,
    check_time,
    find_client_order,
    find_outcome,
    id_hash,
    remember,
    repeat_outcome,
)
from .matching import match, rebook, settle_down
from .orders import cancel_resting, find_order_id, finish, owner_of, price_of
from .rules import check_lots, check_price, check_trading_state, post_only_price
from .state import account_at, order_at, rules_at, terms_at
from .words import (
    AMEND,
    AMEND_REJECTED,
    AMENDED,
    BUY,
    BY_MASS_CANCEL,
    CANCEL_REJECTED,
    CANCELLED_BY_OWNER,
    INSUFFICIENT_FUNDS,
    INSUFFICIENT_HOLDINGS,
    INVALID_ID,
    INVALID_PRICE,
    INVALID_QUANTITY,
    INVALID_SIDE,
    KEPT_PRIORITY,
    MASS_CANCELLED,
    NONE,
    OK,
    QUANTITY_BELOW_EXECUTED,
    REPLACE,
    SELL,
    UNKNOWN_ORDER,
)


@hot
def find_own_order(b: int, command: Any) -> int:
    """Slot of the open order that a command means, if it is the account's own, else NONE."""
    account_id = I64(command.account_id)
    if command.order_id <= 0:
        return find_client_order(b, account_id, I64(command.client_order_id))
    slot = find_order_id(b, I64(command.order_id))
    if slot == NONE or owner_of(b, order_at(b, slot)) != account_id:
        return I64(NONE)
    return slot


@inner
def cancel(b: int, command: Any) -> None:
    """CANCEL."""
    slot = find_own_order(b, command)
    if slot != NONE:
        cancel_resting(b, slot, CANCELLED_BY_OWNER, I64(command.request_id))
        return
    event = say(b, CANCEL_REJECTED)
    event.account_id = command.account_id
    event.order_id = command.order_id
    event.client_order_id = command.client_order_id
    event.request_id = command.request_id
    event.reason = UNKNOWN_ORDER


@inner
def amend(b: int, command: Any) -> None:
    """AMEND and REPLACE: answer a repeat, or check and change, and remember what came of it."""
    number = I64(command.request_id)
    account_id = I64(command.account_id)
    if number <= 0:
        _reject(b, command, NONE, INVALID_ID, 0, 0)
        return
    hashed = id_hash(b, REQUESTS, account_id, number)
    first = find_outcome(b, hashed, REQUESTS, account_id, number)
    if first != NONE:
        repeat_outcome(b, first)
        return
    late = check_time(b, I64(command.create_time_ns))
    if late != OK:
        _reject(b, command, NONE, late, 0, 0)
        return
    slot = find_own_order(b, command)
    reason, required, available = I64(UNKNOWN_ORDER), I64(0), I64(0)
    price = leaves = I64(0)
    if slot != NONE:
        reason, required, available, price, leaves = _check_change(b, command, slot)
    if reason != OK:
        _reject(b, command, slot, reason, required, available)
        other = said(b, last_event(b)).client_order_id
        remember(b, hashed, CHANGE_REFUSED, number, I64(other), last_event(b))
        return
    client_order_id = I64(order_at(b, slot).client_order_id)
    amended = _change(b, command, slot, price, leaves)
    remember(b, hashed, CHANGED, number, client_order_id, amended)


@inner
def _reject(b: int, command: Any, slot: int, reason: int, required: int, available: int) -> None:
    event = say(b, AMEND_REJECTED)
    event.account_id = command.account_id
    event.order_id = command.order_id
    event.client_order_id = command.client_order_id
    if slot != NONE:
        order = order_at(b, slot)
        event.order_id = order.order_id
        event.client_order_id = order.client_order_id
        event.instrument_id = order.instrument
        event.side = order.side
    event.price_ticks = command.price_ticks
    event.quantity_lots = command.quantity_lots
    event.request_id = command.request_id
    event.reason = reason
    event.required = required
    event.available = available


@hot
def _keeps_place(command: Any, order: Any, same_price: bool, leaves: int) -> bool:
    """Whether a change leaves an order where it is; else it arrives anew, and has to be what the market takes now."""
    return command.kind != REPLACE and same_price and leaves <= order.leaves


@hot
def _check_change(b: int, command: Any, slot: int) -> tuple[int, int, int, int, int]:
    """All checks of a change: (reason, required, available, new price, new leaves)."""
    order = order_at(b, slot)
    instrument = I64(order.instrument)
    side = I64(order.side)
    zero = I64(0)
    reason, required, available, leaves = _check_new_quantity(b, command, slot)
    if reason != OK:
        return reason, required, available, zero, zero
    old_price = price_of(b, order)
    price = I64(command.price_ticks)
    if price == 0:
        price = old_price
    if not _keeps_place(command, order, price == old_price, leaves):
        reason, required, available = check_price(b, instrument, price)
        if reason != OK:
            return reason, required, available, zero, zero
    if order.post_only != 0:
        reason, price = post_only_price(b, instrument, side, I64(order.post_only), price)
        if reason != OK:
            return reason, price, zero, zero, zero
    required = needed_reserve(b, instrument, side, price, leaves)
    available = free_for(b, I64(order.account), instrument, side) + order.reserve
    if required > available:
        return (
            I64(INSUFFICIENT_FUNDS if side == BUY else INSUFFICIENT_HOLDINGS),
            required,
            available,
            zero,
            zero,
        )
    return I64(OK), zero, zero, price, leaves


@hot
def _check_new_quantity(b: int, command: Any, slot: int) -> tuple[int, int, int, int]:
    """Trading state, account, signs, quantity and lots: (reason, required, available, new leaves)."""
    order = order_at(b, slot)
    instrument = I64(order.instrument)
    side = I64(order.side)
    zero = I64(0)
    reason = I64(check_trading_state(b, instrument))
    if reason == OK:
        reason = I64(check_account(b, I64(order.account)))
    if reason != OK:
        return reason, zero, zero, zero
    if command.price_ticks < 0:
        return I64(INVALID_PRICE), I64(rules_at(b, instrument).max_price_ticks), zero, zero
    lots = I64(command.quantity_lots)
    if lots < 0:
        return I64(INVALID_QUANTITY), zero, zero, zero
    if lots == 0:
        return I64(OK), zero, zero, I64(order.leaves)
    executed = zero
    if command.kind == AMEND:
        executed = I64(terms_at(b, slot).quantity - order.leaves)
    leaves = lots - executed
    if leaves <= 0:
        return I64(QUANTITY_BELOW_EXECUTED), lots, executed, zero
    sellable = zero
    if side == SELL:
        sellable = available_lots(b, I64(order.account), instrument) + order.reserve + executed
    reason, required, available = check_lots(b, instrument, side, lots, leaves, sellable)
    return reason, required, available, leaves


@hot
def _change(b: int, command: Any, slot: int, price: int, leaves: int) -> int:
    """Change an order in place, or take it out and let it arrive anew; index of the AMENDED event."""
    order = order_at(b, slot)
    terms = terms_at(b, slot)
    old_price = price_of(b, order)
    stays = _keeps_place(command, order, price == old_price, leaves)
    terms.quantity += leaves - order.leaves
    event = say(b, AMENDED)
    event.account_id = command.account_id
    event.instrument_id = order.instrument
    event.order_id = order.order_id
    event.client_order_id = order.client_order_id
    event.side = order.side
    event.price_ticks = price
    event.quantity_lots = terms.quantity
    event.leaves_lots = leaves
    event.request_id = command.request_id
    amended = last_event(b)
    if stays:
        event.flags = KEPT_PRIORITY
        order.leaves = leaves
        rebook(b, slot, price)
        return amended
    _release(b, slot)
    take_out(b, slot)
    order.leaves = leaves
    match(b, slot, price)
    said(b, amended).leaves_lots = order.leaves
    if order.leaves == 0:
        finish(b, slot)
    else:
        settle_down(b, slot, price)
    return amended


@hot
def _release(b: int, slot: int) -> None:
    """Give back all that an order holds."""
    order_at(b, slot).leaves = 0
    rebook(b, slot, 0)


@inner
def mass_cancel(b: int, command: Any) -> None:
    """MASS_CANCEL: costs what the account has open, not what the venue has."""
    if command.side > SELL:
        refuse_command(b, command, INVALID_SIDE, 0, 0)
        return
    tell_cancelled(b, command, MASS_CANCELLED, cancel_of_account(b, command, BY_MASS_CANCEL))


@inner
def cancel_of_account(b: int, command: Any, reason: int) -> int:
    """Cancel the account's orders of the instrument and side that a command names, 0 for all; how many they were."""
    cancelled = I64(0)
    account = find_account(b, I64(command.account_id))
    slot = I64(NONE) if account == NONE else I64(account_at(b, account).first_order)
    while slot != NONE:
        order = order_at(b, slot)
        following = I64(order.account_next)
        meant = command.instrument_id == 0 or command.instrument_id == order.instrument
        if meant and (command.side == 0 or command.side == order.side):
            cancel_resting(b, slot, reason, I64(command.request_id))
            cancelled += 1
        slot = following
    return cancelled


@inner
def tell_cancelled(b: int, command: Any, kind: int, cancelled: int) -> None:
    """The outcome of a command that took so many orders off."""
    event = say(b, kind)
    event.account_id = command.account_id
    event.instrument_id = command.instrument_id
    event.side = command.side
    event.quantity_lots = cancelled
    event.request_id = command.request_id
