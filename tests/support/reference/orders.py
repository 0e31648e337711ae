"""New orders: the checks of PLACE and its entry (RULES.md §5)."""

from reference.memory import check_time, order_key, remember, repeat
from reference.money import available_lots, book_reserve, check_reserve, has_room_for_holding
from reference.prices import check_lots, check_price, post_only_price, protecting_price
from reference.records import Command, Event
from reference.state import Instrument, Market, Order, RefusedError
from reference.trading import execute
from reference.words import (
    EventKind,
    OrderType,
    PostOnly,
    Prevention,
    Reason,
    Side,
    State,
    TimeInForce,
)


def place(market: Market, command: Command) -> None:
    key = order_key(command)
    if command.client_order_id <= 0:
        reject(market, command, RefusedError(Reason.INVALID_ID))
        return
    if repeat(market, key):
        return
    try:
        check_time(market, command.create_time_ns)
    except RefusedError as refused:
        reject(market, command, refused)
        return
    try:
        price = check_place(market, command)
    except RefusedError as refused:
        remember(market, key, reject(market, command, refused))
        return
    remember(market, key, enter(market, command, price))


def reject(market: Market, command: Command, refused: RefusedError) -> Event:
    return market.say(
        Event(
            kind=EventKind.REJECTED,
            account_id=command.account_id,
            instrument_id=command.instrument_id,
            client_order_id=command.client_order_id,
            side=command.side,
            price_ticks=command.price_ticks,
            quantity_lots=command.quantity_lots,
            request_id=command.request_id,
            reason=refused.reason,
            required=refused.required,
            available=refused.available,
        )
    )


def check_place(market: Market, command: Command) -> int:
    """All checks of a new order, in the order of the rules; returns the price that it enters with."""
    check_form(command)
    check_min_quantity(command)
    check_expire_time(market, command)
    instrument = market.instruments.get(command.instrument_id)
    if instrument is None:
        raise RefusedError(Reason.UNKNOWN_INSTRUMENT)
    check_trading_state(instrument)
    check_account(market, command.account_id)
    check_session(market, command)
    if command.quantity_lots < 1:
        raise RefusedError(Reason.INVALID_QUANTITY)
    available = available_lots(market, command.account_id, command.instrument_id)
    check_lots(instrument.rules, command.side, command.quantity_lots, command.quantity_lots, available)
    price = entry_price(instrument, command)
    check_reserve(market, instrument, command.account_id, command.side, price, command.quantity_lots)
    if len(market.orders) >= market.settings.max_orders or not has_room_for_holding(market):
        raise RefusedError(Reason.VENUE_FULL)
    return price


def check_form(command: Command) -> None:
    if command.side not in list(Side):
        raise RefusedError(Reason.INVALID_SIDE)
    if command.order_type not in list(OrderType):
        raise RefusedError(Reason.INVALID_ORDER_TYPE)
    time_in_force = command.time_in_force
    if time_in_force not in list(TimeInForce):
        raise RefusedError(Reason.INVALID_TIME_IN_FORCE)
    takes_at_once = time_in_force in (TimeInForce.IOC, TimeInForce.FOK)
    if command.order_type == OrderType.MARKET and not takes_at_once:
        raise RefusedError(Reason.INVALID_TIME_IN_FORCE)
    if command.post_only not in [0, *PostOnly]:
        raise RefusedError(Reason.INVALID_POST_ONLY)
    if command.post_only and (command.order_type != OrderType.LIMIT or takes_at_once):
        raise RefusedError(Reason.INVALID_POST_ONLY)
    if command.self_trade_prevention not in [0, *Prevention]:
        raise RefusedError(Reason.INVALID_SELF_TRADE_PREVENTION)


def check_min_quantity(command: Command) -> None:
    minimum = command.min_quantity_lots
    if minimum == 0:
        return
    if command.time_in_force != TimeInForce.IOC or not 1 <= minimum <= command.quantity_lots:
        raise RefusedError(Reason.INVALID_MIN_QUANTITY)


def check_expire_time(market: Market, command: Command) -> None:
    if command.time_in_force == TimeInForce.GTD:
        valid = command.expire_time_ns > market.now
    else:
        valid = command.expire_time_ns == 0
    if not valid:
        raise RefusedError(Reason.INVALID_EXPIRE_TIME)


def check_trading_state(instrument: Instrument) -> None:
    if instrument.trading_state == State.HALTED:
        raise RefusedError(Reason.INSTRUMENT_HALTED)
    if instrument.trading_state == State.CLOSED:
        raise RefusedError(Reason.INSTRUMENT_CLOSED)


def check_account(market: Market, account_id: int) -> None:
    if account_id in market.halted_accounts:
        raise RefusedError(Reason.ACCOUNT_HALTED)


def check_session(market: Market, command: Command) -> None:
    if command.session_id == 0:
        return
    session = market.sessions.get(command.session_id)
    if session is None or session.account_id != command.account_id:
        raise RefusedError(Reason.UNKNOWN_SESSION)


def entry_price(instrument: Instrument, command: Command) -> int:
    """Check the price sent and return the limit that the order has in the end."""
    if command.order_type == OrderType.MARKET:
        if command.price_ticks != 0:
            raise RefusedError(Reason.INVALID_PRICE)
        return protecting_price(instrument, command.side)
    check_price(instrument, command.price_ticks)
    return post_only_price(instrument, command.side, command.post_only, command.price_ticks)


def enter(market: Market, command: Command, price: int) -> Event:
    """Give a checked order its id, say so, and execute it."""
    order = Order(
        order_id=new_order_id(market),
        account_id=command.account_id,
        client_order_id=command.client_order_id,
        instrument_id=command.instrument_id,
        side=command.side,
        order_type=command.order_type,
        time_in_force=command.time_in_force,
        post_only=command.post_only,
        self_trade_prevention=command.self_trade_prevention,
        price=price,
        quantity=command.quantity_lots,
        leaves=command.quantity_lots,
        expire_time_ns=command.expire_time_ns,
        session_id=command.session_id,
        min_quantity=command.min_quantity_lots,
    )
    accepted = market.say(
        Event(
            kind=EventKind.ACCEPTED,
            account_id=order.account_id,
            instrument_id=order.instrument_id,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            side=order.side,
            price_ticks=price,
            quantity_lots=order.quantity,
            request_id=command.request_id,
            order_type=order.order_type,
            time_in_force=order.time_in_force,
            expire_time_ns=order.expire_time_ns,
        )
    )
    book_reserve(market, order)
    execute(market, order)
    accepted.leaves_lots = order.leaves
    return accepted


def new_order_id(market: Market) -> int:
    market.order_counter += 1
    if market.free_slots:
        slot = market.free_slots.pop()
    else:
        slot = market.next_slot
        market.next_slot += 1
    return market.order_counter * 2**24 + slot
