"""PLACE: a new order, from its checks to its rest."""

from __future__ import annotations

from typing import Any

from .accounts import (
    available_lots,
    check_account,
    find_account,
    free_for,
    needed_reserve,
    room_for_holding,
)
from .book import best_price, opposite
from .compiled import I64, hot, inner
from .events import last_event, said, say
from .idempotency import (
    ORDERS,
    PLACE_REFUSED,
    PLACED,
    check_time,
    find_outcome,
    find_outlived_order,
    id_hash,
    remember,
    repeat_open_order,
    repeat_outcome,
)
from .instruments import is_instrument
from .matching import cancel_arriving, match, reaches, settle_down
from .orders import add_expiry, enlist, give_slot, new_order_id, take_slot
from .rules import check_lots, check_price, check_trading_state, post_only_price, protecting_price
from .sessions import has_session
from .state import head, order_at, rules_at, terms_at
from .words import (
    ACCEPTED,
    BUY,
    DECREMENT_AND_CANCEL,
    FOK,
    FOK_NOT_FILLABLE,
    GTC,
    GTD,
    INSUFFICIENT_FUNDS,
    INSUFFICIENT_HOLDINGS,
    INVALID_EXPIRE_TIME,
    INVALID_ID,
    INVALID_MIN_QUANTITY,
    INVALID_ORDER_TYPE,
    INVALID_POST_ONLY,
    INVALID_PRICE,
    INVALID_QUANTITY,
    INVALID_SELF_TRADE_PREVENTION,
    INVALID_SIDE,
    INVALID_TIME_IN_FORCE,
    IOC,
    IOC_REST,
    LIMIT,
    MARKET,
    MIN_QUANTITY_NOT_MET,
    NO_LIQUIDITY,
    NONE,
    OK,
    POST_ONLY_SLIDE,
    REJECTED,
    SELL,
    UNKNOWN_INSTRUMENT,
    UNKNOWN_SESSION,
    VENUE_FULL,
)


@inner
def place(b: int, command: Any) -> None:
    """PLACE: answer a repeat, or check, enter and execute, and remember what came of it."""
    number = I64(command.client_order_id)
    account_id = I64(command.account_id)
    if number <= 0:
        _reject(b, command, INVALID_ID, 0, 0)
        return
    hashed = id_hash(b, ORDERS, account_id, number)
    if _is_repeat(b, hashed, account_id, number):
        return
    late = check_time(b, I64(command.create_time_ns))
    if late != OK:
        _reject(b, command, late, 0, 0)
        return
    account = find_account(b, account_id)
    reason, required, available = _check_form(b, command, account)
    price = I64(command.price_ticks)
    if reason == OK:
        reason, required, available, price = _check_price_and_means(b, command, account)
    if reason != OK:
        _reject(b, command, reason, required, available)
        remember(b, hashed, PLACE_REFUSED, number, I64(command.request_id), last_event(b))
        return
    accepted = _enter(b, command, account, price)
    remember(b, hashed, PLACED, number, I64(command.request_id), accepted)


@hot
def _is_repeat(b: int, hashed: int, account_id: int, number: int) -> bool:
    """Answer an id that was used before."""
    first = find_outcome(b, hashed, ORDERS, account_id, number)
    if first != NONE:
        repeat_outcome(b, first)
        return True
    slot = find_outlived_order(b, hashed, account_id, number)
    if slot != NONE:
        repeat_open_order(b, slot)
        return True
    return False


@inner
def _reject(b: int, command: Any, reason: int, required: int, available: int) -> None:
    event = say(b, REJECTED)
    event.account_id = command.account_id
    event.instrument_id = command.instrument_id
    event.client_order_id = command.client_order_id
    event.side = command.side
    event.price_ticks = command.price_ticks
    event.quantity_lots = command.quantity_lots
    event.request_id = command.request_id
    event.reason = reason
    event.required = required
    event.available = available


@hot
def _check_words(b: int, command: Any) -> int:
    """What can be said of an order without looking at the market."""
    time_in_force = command.time_in_force
    takes = time_in_force >= IOC
    if command.side < BUY or command.side > SELL:
        return INVALID_SIDE
    if command.order_type < LIMIT or command.order_type > MARKET:
        return INVALID_ORDER_TYPE
    if time_in_force < GTC or time_in_force > FOK or (command.order_type == MARKET and not takes):
        return INVALID_TIME_IN_FORCE
    if command.post_only > POST_ONLY_SLIDE or (command.post_only != 0 and takes):
        return INVALID_POST_ONLY
    if command.self_trade_prevention > DECREMENT_AND_CANCEL:
        return INVALID_SELF_TRADE_PREVENTION
    minimum = command.min_quantity_lots
    if minimum != 0 and (time_in_force != IOC or minimum < 1 or minimum > command.quantity_lots):
        return INVALID_MIN_QUANTITY
    if time_in_force == GTD:
        return OK if command.expire_time_ns > head(b).now else INVALID_EXPIRE_TIME
    return OK if command.expire_time_ns == 0 else INVALID_EXPIRE_TIME


@hot
def _check_form(b: int, command: Any, account: int) -> tuple[int, int, int]:
    """Words, instrument, account, session and lots."""
    reason = I64(_check_words(b, command))
    if reason != OK:
        return reason, I64(0), I64(0)
    instrument = I64(command.instrument_id)
    if not is_instrument(b, instrument):
        return I64(UNKNOWN_INSTRUMENT), I64(0), I64(0)
    reason = I64(check_trading_state(b, instrument))
    if reason == OK:
        reason = I64(check_account(b, account))
    if reason != OK:
        return reason, I64(0), I64(0)
    if command.session_id != 0 and not has_session(b, I64(command.session_id), I64(command.account_id)):
        return I64(UNKNOWN_SESSION), I64(0), I64(0)
    if command.quantity_lots < 1:
        return I64(INVALID_QUANTITY), I64(0), I64(0)
    lots = I64(command.quantity_lots)
    sellable = I64(0)
    if command.side == SELL and rules_at(b, instrument).board_lot != 1:
        sellable = available_lots(b, account, instrument)
    return check_lots(b, instrument, I64(command.side), lots, lots, sellable)


@hot
def _check_price_and_means(b: int, command: Any, account: int) -> tuple[int, int, int, int]:
    """Price, post-only, reserve and room; (reason, required, available, price that the order enters with)."""
    instrument = I64(command.instrument_id)
    side = I64(command.side)
    price = I64(command.price_ticks)
    if command.order_type == MARKET:
        if price != 0:
            return I64(INVALID_PRICE), I64(0), I64(0), price
        best = best_price(b, instrument, opposite(side))
        if best == NONE:
            return I64(NO_LIQUIDITY), I64(0), I64(0), price
        price = protecting_price(b, instrument, side, best)
    else:
        reason, required, available = check_price(b, instrument, price)
        if reason != OK:
            return reason, required, available, price
        if command.post_only != 0:
            reason, price = post_only_price(b, instrument, side, I64(command.post_only), price)
            if reason != OK:
                return reason, price, I64(0), price
    required = needed_reserve(b, instrument, side, price, I64(command.quantity_lots))
    free = free_for(b, account, instrument, side)
    if required > free:
        return I64(INSUFFICIENT_FUNDS if side == BUY else INSUFFICIENT_HOLDINGS), required, free, price
    if head(b).open_orders >= head(b).max_orders or not room_for_holding(b):
        return I64(VENUE_FULL), I64(0), I64(0), price
    return I64(OK), I64(0), I64(0), price


@hot
def _enter(b: int, command: Any, account: int, price: int) -> int:
    """Give a checked order its slot and number, say so, and execute it; index of the ACCEPTED event."""
    slot = take_slot(b)
    order = order_at(b, slot)
    order.order_id = new_order_id(b, slot)
    order.client_order_id = command.client_order_id
    order.leaves = command.quantity_lots
    order.account = account
    order.instrument = command.instrument_id
    order.side = command.side
    order.time_in_force = command.time_in_force
    order.post_only = command.post_only
    order.prevention = command.self_trade_prevention
    order.marks = 0
    terms = terms_at(b, slot)
    terms.quantity = command.quantity_lots
    terms.expire_time = command.expire_time_ns
    terms.session_id = command.session_id
    event = say(b, ACCEPTED)
    event.account_id = command.account_id
    event.instrument_id = command.instrument_id
    event.order_id = order.order_id
    event.client_order_id = command.client_order_id
    event.side = command.side
    event.price_ticks = price
    event.quantity_lots = command.quantity_lots
    event.request_id = command.request_id
    event.order_type = command.order_type
    event.time_in_force = command.time_in_force
    event.expire_time_ns = command.expire_time_ns
    accepted = last_event(b)
    _execute(b, command, slot, price)
    leaves = I64(order.leaves)
    if leaves == 0:
        give_slot(b, slot)
    else:
        said(b, accepted).leaves_lots = leaves
        settle_down(b, slot, price)
        enlist(b, slot)
        if command.time_in_force == GTD:
            add_expiry(b, slot)
    return accepted


@hot
def _execute(b: int, command: Any, slot: int, price: int) -> None:
    """Match; nothing of an order that takes at once is left."""
    if command.time_in_force == FOK and not reaches(b, slot, price, I64(command.quantity_lots)):
        cancel_arriving(b, slot, price, FOK_NOT_FILLABLE)
        return
    if command.min_quantity_lots != 0 and not reaches(b, slot, price, I64(command.min_quantity_lots)):
        cancel_arriving(b, slot, price, MIN_QUANTITY_NOT_MET)
        return
    match(b, slot, price)
    if command.time_in_force >= IOC and order_at(b, slot).leaves > 0:
        cancel_arriving(b, slot, price, IOC_REST)
