"""An order meets the book: matching, self-trade prevention, and what is left (RULES.md §5)."""

from reference.money import book_reserve, fee, settle, value
from reference.prices import crosses
from reference.records import Event
from reference.state import Instrument, Market, Order
from reference.words import EventKind, OrderType, Prevention, Reason, Side, TimeInForce

SKIPS = (Prevention.CANCEL_OLDEST,)
ENDS_WALK = (Prevention.CANCEL_NEWEST, Prevention.CANCEL_BOTH, Prevention.DECREMENT_AND_CANCEL)


def finish(market: Market, order: Order) -> None:
    """An order is done: nothing is held for it, its ids no longer find it, its slot is free."""
    order.leaves = 0
    book_reserve(market, order)
    market.orders.pop(order.order_id, None)
    market.orders_by_client_id.pop((order.account_id, order.client_order_id), None)
    market.free_slots.append(order.order_id % 2**24)


def say_cancelled(market: Market, order: Order, reason: Reason, lots: int, request_id: int = 0) -> None:
    market.say(
        Event(
            kind=EventKind.CANCELLED,
            account_id=order.account_id,
            instrument_id=order.instrument_id,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            side=order.side,
            price_ticks=order.price,
            quantity_lots=lots,
            reason=reason,
            request_id=request_id,
        )
    )


def cancel_resting(market: Market, order: Order, reason: Reason, request_id: int = 0) -> None:
    say_cancelled(market, order, reason, order.leaves, request_id)
    market.instruments[order.instrument_id].take_out(order)
    finish(market, order)


def execute(market: Market, order: Order) -> None:
    """Match an order that holds its reserve and let the rest rest or go. It is in no table yet."""
    instrument = market.instruments[order.instrument_id]
    reason = refusal_before_matching(instrument, order)
    if reason:
        say_cancelled(market, order, reason, order.leaves)
        finish(market, order)
        return
    match(market, instrument, order)
    if order.leaves and (order.order_type == OrderType.MARKET or order.time_in_force == TimeInForce.IOC):
        say_cancelled(market, order, Reason.IOC_REST, order.leaves)
        order.leaves = 0
    if order.leaves == 0:
        finish(market, order)
        return
    instrument.rest(order)
    market.orders[order.order_id] = order
    market.orders_by_client_id[order.account_id, order.client_order_id] = order


def refusal_before_matching(instrument: Instrument, order: Order) -> Reason | None:
    """FOK and a minimum quantity look before they trade."""
    if order.time_in_force == TimeInForce.FOK and reachable(instrument, order) < order.quantity:
        return Reason.FOK_NOT_FILLABLE
    if order.min_quantity and reachable(instrument, order) < order.min_quantity:
        return Reason.MIN_QUANTITY_NOT_MET
    return None


def reachable(instrument: Instrument, order: Order) -> int:
    """Lots that the order could trade now."""
    lots = 0
    for resting in instrument.opposite(order.side):
        if not crosses(order.side, order.price, resting.price):
            break
        if resting.account_id == order.account_id:
            if order.self_trade_prevention in SKIPS:
                continue
            if order.self_trade_prevention in ENDS_WALK:
                break
        lots += resting.leaves
    return lots


def match(market: Market, instrument: Instrument, order: Order) -> None:
    queue = instrument.opposite(order.side)
    while order.leaves and queue and crosses(order.side, order.price, queue[0].price):
        resting = queue[0]
        prevented = order.self_trade_prevention > Prevention.NONE
        if prevented and resting.account_id == order.account_id:
            prevent(market, order, resting)
        else:
            trade(market, instrument, order, resting)


def trade(market: Market, instrument: Instrument, order: Order, resting: Order) -> None:
    """The arriving and the resting order trade as much as both have, at the resting order's price."""
    rules = instrument.rules
    lots = min(order.leaves, resting.leaves)
    price = resting.price
    order.leaves -= lots
    resting.leaves -= lots
    if order.side == Side.BUY:
        duty = settle(market, order, resting, price, lots, rules.taker_fee_ppm, rules.maker_fee_ppm)
    else:
        duty = settle(market, resting, order, price, lots, rules.maker_fee_ppm, rules.taker_fee_ppm)
    worth = value(rules, price, lots)
    instrument.last_price = price
    instrument.traded_since = True
    market.say(
        Event(
            kind=EventKind.TRADE,
            instrument_id=order.instrument_id,
            account_id=order.account_id,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            side=order.side,
            price_ticks=price,
            quantity_lots=lots,
            leaves_lots=order.leaves,
            counter_account_id=resting.account_id,
            counter_order_id=resting.order_id,
            counter_client_order_id=resting.client_order_id,
            counter_leaves_lots=resting.leaves,
            fee_micros=fee(worth, rules.taker_fee_ppm),
            counter_fee_micros=fee(worth, rules.maker_fee_ppm),
            tax_micros=duty,
        )
    )
    if resting.leaves == 0:
        instrument.take_out(resting)
        finish(market, resting)


def prevent(market: Market, order: Order, resting: Order) -> None:
    """An order meets one of its own account, and its own mode says what goes."""
    mode = order.self_trade_prevention
    if mode == Prevention.DECREMENT_AND_CANCEL:
        lots = min(order.leaves, resting.leaves)
        if shrink(market, resting, lots):
            market.instruments[resting.instrument_id].take_out(resting)
            finish(market, resting)
        shrink(market, order, lots)
        return
    if mode in (Prevention.CANCEL_OLDEST, Prevention.CANCEL_BOTH):
        cancel_resting(market, resting, Reason.SELF_TRADE)
    if mode in (Prevention.CANCEL_NEWEST, Prevention.CANCEL_BOTH):
        say_cancelled(market, order, Reason.SELF_TRADE, order.leaves)
        order.leaves = 0


def shrink(market: Market, order: Order, lots: int) -> bool:
    """Take lots off without a trade; True if none are left."""
    order.leaves -= lots
    if order.leaves == 0:
        say_cancelled(market, order, Reason.SELF_TRADE, lots)
        return True
    order.quantity -= lots
    book_reserve(market, order)
    market.say(
        Event(
            kind=EventKind.REDUCED,
            account_id=order.account_id,
            instrument_id=order.instrument_id,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            side=order.side,
            price_ticks=order.price,
            quantity_lots=lots,
            leaves_lots=order.leaves,
            reason=Reason.SELF_TRADE,
        )
    )
    return False
