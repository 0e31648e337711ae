"""An arriving order meets the book: reachable lots, trades, self-trade prevention, and what is left.

The arriving order has its row in the pool but is in no list, and nothing is held for it yet: its account was checked
for the whole reserve, a trade pays from what is free, and what rests in the end is reserved then.
"""

from __future__ import annotations

from .accounts import change_hold, fee, needed_reserve, settle
from .book import book_of, flip_of, limit_key, opposite, rest, take_out
from .compiled import I64, hot, inner
from .events import say, say_cancelled
from .orders import cancel_resting, finish, owner_of
from .state import account_at, book_at, level_at, order_at, rules_at, terms_at
from .tree import next_in_tree
from .words import (
    BUY,
    CANCEL_BOTH,
    CANCEL_NEWEST,
    CANCEL_OLDEST,
    DECREMENT_AND_CANCEL,
    DEFINED,
    NONE,
    REDUCED,
    SELF_TRADE,
    TRADE,
)


@hot
def match(b: int, slot: int, price: int) -> None:
    """Trade an arriving order by price, then time, until it is done or meets nobody."""
    order = order_at(b, slot)
    side = I64(order.side)
    instrument = I64(order.instrument)
    book = book_at(b, book_of(instrument, opposite(side)))
    limit = limit_key(side, price)
    while book.best_key <= limit and order.leaves > 0:
        level = level_at(b, I64(book.best_level))
        resting = I64(level.first)
        if order.prevention >= CANCEL_NEWEST and order_at(b, resting).account == order.account:
            _prevent(b, slot, resting, price)
        else:
            _trade(b, slot, resting, I64(level.price))


@hot
def _trade(b: int, slot: int, resting_slot: int, price: int) -> None:
    """The arriving and the resting order trade as much as both have, at the resting order's price."""
    order = order_at(b, slot)
    resting = order_at(b, resting_slot)
    instrument = I64(order.instrument)
    rules = rules_at(b, instrument)
    lots = I64(min(order.leaves, resting.leaves))
    order.leaves -= lots
    resting.leaves -= lots
    value = I64(price * lots * rules.tick_value)
    taker_fee = fee(value, I64(rules.taker_fee_ppm))
    maker_fee = fee(value, I64(rules.maker_fee_ppm))
    duty = fee(value, I64(rules.stamp_duty_ppm))
    taker = I64(order.account)
    maker = I64(resting.account)
    if order.side == BUY:
        settle(b, instrument, taker, maker, value, lots, taker_fee, maker_fee, duty)
    else:
        settle(b, instrument, maker, taker, value, lots, maker_fee, taker_fee, duty)
    rebook(b, resting_slot, price)
    rules.last_price = price
    rules.marks = DEFINED
    event = say(b, TRADE)
    event.instrument_id = instrument
    event.account_id = account_at(b, taker).account_id
    event.order_id = order.order_id
    event.client_order_id = order.client_order_id
    event.side = order.side
    event.price_ticks = price
    event.quantity_lots = lots
    event.leaves_lots = order.leaves
    event.counter_account_id = account_at(b, maker).account_id
    event.counter_order_id = resting.order_id
    event.counter_client_order_id = resting.client_order_id
    event.counter_leaves_lots = resting.leaves
    event.fee_micros = taker_fee
    event.counter_fee_micros = maker_fee
    event.tax_micros = duty
    if resting.leaves == 0:
        take_out(b, resting_slot)
        finish(b, resting_slot)


@hot
def rebook(b: int, slot: int, price: int) -> None:
    """Make what an order holds fit its price and leaves under the rules as they stand."""
    order = order_at(b, slot)
    side = I64(order.side)
    instrument = I64(order.instrument)
    needed = needed_reserve(b, instrument, side, price, I64(order.leaves))
    change_hold(b, I64(order.account), instrument, side, needed - order.reserve)
    order.reserve = needed


@hot
def settle_down(b: int, slot: int, price: int) -> None:
    """What is left of an arriving order rests at the end of its price and is reserved."""
    order_at(b, slot).reserve = 0
    rest(b, slot, price)
    rebook(b, slot, price)


@inner
def _prevent(b: int, slot: int, resting_slot: int, price: int) -> None:
    """An order meets one of its own account, and its own mode says what goes."""
    order = order_at(b, slot)
    mode = order.prevention
    if mode == DECREMENT_AND_CANCEL:
        lots = I64(min(order.leaves, order_at(b, resting_slot).leaves))
        resting_price = I64(level_at(b, I64(order_at(b, resting_slot).level)).price)
        gone = _shrink(b, resting_slot, lots, resting_price)
        rebook(b, resting_slot, resting_price)
        if gone:
            take_out(b, resting_slot)
            finish(b, resting_slot)
        _shrink(b, slot, lots, price)
        return
    if mode == CANCEL_OLDEST or mode == CANCEL_BOTH:
        cancel_resting(b, resting_slot, SELF_TRADE, 0)
    if mode == CANCEL_NEWEST or mode == CANCEL_BOTH:
        cancel_arriving(b, slot, price, SELF_TRADE)


@hot
def cancel_arriving(b: int, slot: int, price: int, reason: int) -> None:
    """Take off what an arriving order has left."""
    order = order_at(b, slot)
    say_cancelled(b, order, price, reason, I64(order.leaves), 0, owner_of(b, order))
    order.leaves = 0


@inner
def _shrink(b: int, slot: int, lots: int, price: int) -> bool:
    """Take lots off without a trade and say so; True if none are left."""
    order = order_at(b, slot)
    order.leaves -= lots
    if order.leaves == 0:
        say_cancelled(b, order, price, SELF_TRADE, lots, 0, owner_of(b, order))
        return True
    terms_at(b, slot).quantity -= lots
    event = say(b, REDUCED)
    event.account_id = owner_of(b, order)
    event.instrument_id = order.instrument
    event.order_id = order.order_id
    event.client_order_id = order.client_order_id
    event.side = order.side
    event.price_ticks = price
    event.quantity_lots = lots
    event.leaves_lots = order.leaves
    event.reason = SELF_TRADE
    return False


@inner
def reaches(b: int, slot: int, price: int, wanted: int) -> bool:
    """Whether an arriving order could trade this many lots now."""
    order = order_at(b, slot)
    side = I64(order.side)
    book = book_at(b, book_of(I64(order.instrument), opposite(side)))
    limit = limit_key(side, price)
    index = I64(book.best_level)
    lots = I64(0)
    while index != NONE:
        level = level_at(b, index)
        if limit_key(side, I64(level.price)) > limit:
            return False
        resting_slot = I64(level.first)
        while resting_slot != NONE:
            resting = order_at(b, resting_slot)
            own = order.prevention >= CANCEL_NEWEST and resting.account == order.account
            if own and order.prevention != CANCEL_OLDEST:
                return False
            if not own:
                lots += resting.leaves
                if lots >= wanted:
                    return True
            resting_slot = I64(resting.next)
        index = level_after(b, opposite(side), index)
    return False


@inner
def level_after(b: int, side: int, index: int) -> int:
    """The next worse level of a side, or NONE."""
    level = level_at(b, index)
    return next_in_tree(b, I64(level.node), I64(level.price & 63) ^ flip_of(side))
