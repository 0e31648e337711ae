"""Open orders: the pool, each account's list, the queue of those that expire, and the end of an order."""

from __future__ import annotations

from typing import Any

from .accounts import change_hold
from .book import take_out
from .compiled import I64, hot, inner
from .events import say_cancelled
from .idempotency import forget_open_order
from .state import account_at, expiry_at, head, level_at, order_at, rules_at, terms_at
from .words import NONE, SLOT_BITS, SLOT_MASK

EXPIRES = 1
"""Mark of an order in the queue of those that expire."""
OUTLIVED = 2
"""Mark of an open order whose first outcome has left the window: the table of ids refers to the order itself."""


@hot
def take_slot(b: int) -> int:
    """The slot given back last, or the next never used: live orders stay close together and in cache."""
    h = head(b)
    slot = h.free_slot
    if slot == NONE:
        slot = h.slots_used
        h.slots_used += 1
    else:
        h.free_slot = order_at(b, slot).next
    return I64(slot)


@hot
def give_slot(b: int, slot: int) -> None:
    """An order is done; its slot is free."""
    h = head(b)
    order = order_at(b, slot)
    order.order_id = 0
    order.next = h.free_slot
    h.free_slot = slot


@hot
def new_order_id(b: int, slot: int) -> int:
    """The next order's number: never used again, and it says where the order is."""
    h = head(b)
    h.order_counter += 1
    return I64((h.order_counter << SLOT_BITS) | slot)


@hot
def find_order_id(b: int, order_id: int) -> int:
    """Slot of an open order, or NONE."""
    slot = order_id & SLOT_MASK
    if order_id <= 0 or slot >= head(b).slots_used or order_at(b, slot).order_id != order_id:
        return NONE
    return slot


@hot
def owner_of(b: int, order: Any) -> int:
    """Account id of an order."""
    return I64(account_at(b, I64(order.account)).account_id)


@hot
def price_of(b: int, order: Any) -> int:
    """Price that an order rests at."""
    return I64(level_at(b, I64(order.level)).price)


@hot
def enlist(b: int, slot: int) -> None:
    """An order has come to rest: it is the last of its account's, whose list is thus in order of order ids."""
    order = order_at(b, slot)
    account = account_at(b, I64(order.account))
    order.account_next = NONE
    order.account_previous = account.last_order
    if account.last_order == NONE:
        account.first_order = slot
    else:
        order_at(b, I64(account.last_order)).account_next = slot
    account.last_order = slot
    head(b).open_orders += 1
    rules_at(b, I64(order.instrument)).open_orders += 1


@hot
def finish(b: int, slot: int) -> None:
    """An order that was enlisted is done. It holds nothing any more and is in no level."""
    order = order_at(b, slot)
    before = I64(order.account_previous)
    after = I64(order.account_next)
    if before == NONE:
        account_at(b, I64(order.account)).first_order = after
    else:
        order_at(b, before).account_next = after
    if after == NONE:
        account_at(b, I64(order.account)).last_order = before
    else:
        order_at(b, after).account_previous = before
    if order.marks != 0:
        _unmark(b, slot)
    head(b).open_orders -= 1
    rules_at(b, I64(order.instrument)).open_orders -= 1
    give_slot(b, slot)


@inner
def _unmark(b: int, slot: int) -> None:
    order = order_at(b, slot)
    if order.marks & EXPIRES:
        _remove_expiry(b, I64(terms_at(b, slot).expiry_place))
    if order.marks & OUTLIVED:
        forget_open_order(b, owner_of(b, order), I64(order.client_order_id), slot)


@inner
def cancel_resting(b: int, slot: int, reason: int, request_id: int) -> None:
    """Take an order off the book and say so."""
    order = order_at(b, slot)
    say_cancelled(b, order, price_of(b, order), reason, I64(order.leaves), request_id, owner_of(b, order))
    change_hold(b, I64(order.account), I64(order.instrument), I64(order.side), -I64(order.reserve))
    take_out(b, slot)
    finish(b, slot)


@inner
def add_expiry(b: int, slot: int) -> None:
    """Queue an order by the time when it ends: a heap that knows each order's place, so a cancel leaves no garbage."""
    h = head(b)
    order = order_at(b, slot)
    order.marks = order.marks | EXPIRES
    h.expiries += 1
    _rise(b, h.expiries - 1, slot)


@inner
def _remove_expiry(b: int, place: int) -> None:
    h = head(b)
    h.expiries -= 1
    last = I64(expiry_at(b, h.expiries).slot)
    if place < h.expiries:
        _sink(b, place, last)
        _rise(b, I64(terms_at(b, last).expiry_place), last)


@inner
def _sooner(b: int, one: int, other: int) -> bool:
    time = terms_at(b, one).expire_time
    other_time = terms_at(b, other).expire_time
    if time != other_time:
        return time < other_time  # type: ignore[no-any-return]
    return order_at(b, one).order_id < order_at(b, other).order_id  # type: ignore[no-any-return]


@inner
def _put_expiry(b: int, place: int, slot: int) -> None:
    expiry_at(b, place).slot = slot
    terms_at(b, slot).expiry_place = place


@inner
def _rise(b: int, place: int, slot: int) -> None:
    while place > 0:
        parent = (place - 1) >> 1
        above = I64(expiry_at(b, parent).slot)
        if not _sooner(b, slot, above):
            break
        _put_expiry(b, place, above)
        place = parent
    _put_expiry(b, place, slot)


@inner
def _sink(b: int, place: int, slot: int) -> None:
    count = head(b).expiries
    while True:
        child = 2 * place + 1
        if child >= count:
            break
        below = I64(expiry_at(b, child).slot)
        if child + 1 < count and _sooner(b, I64(expiry_at(b, child + 1).slot), below):
            child += 1
            below = I64(expiry_at(b, child).slot)
        if not _sooner(b, below, slot):
            break
        _put_expiry(b, place, below)
        place = child
    _put_expiry(b, place, slot)
