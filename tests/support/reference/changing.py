"""Commands about orders that rest: CANCEL, AMEND, REPLACE and MASS_CANCEL (RULES.md §6)."""

from reference.memory import amend_key, check_time, remember, repeat
from reference.money import available_lots, book_reserve, check_reserve
from reference.orders import check_account, check_trading_state
from reference.prices import check_lots, check_price, post_only_price
from reference.records import Command, Event
from reference.state import Market, Order, RefusedError
from reference.trading import cancel_resting, execute
from reference.venue import refuse_command
from reference.words import EventKind, Flag, Kind, Reason, Side


def find(market: Market, command: Command) -> Order:
    """The open order of this account that a command means."""
    if command.order_id > 0:
        order = market.orders.get(command.order_id)
    else:
        order = market.orders_by_client_id.get((command.account_id, command.client_order_id))
    if order is None or order.account_id != command.account_id:
        raise RefusedError(Reason.UNKNOWN_ORDER)
    return order


def cancel(market: Market, command: Command) -> None:
    try:
        order = find(market, command)
    except RefusedError as refused:
        market.say(
            Event(
                kind=EventKind.CANCEL_REJECTED,
                account_id=command.account_id,
                order_id=command.order_id,
                client_order_id=command.client_order_id,
                request_id=command.request_id,
                reason=refused.reason,
            )
        )
        return
    cancel_resting(market, order, Reason.CANCELLED_BY_OWNER, command.request_id)


def amend(market: Market, command: Command) -> None:
    """AMEND and REPLACE."""
    key = amend_key(command)
    if command.request_id <= 0:
        reject_amend(market, command, RefusedError(Reason.INVALID_ID), None)
        return
    if repeat(market, key):
        return
    try:
        check_time(market, command.create_time_ns)
    except RefusedError as refused:
        reject_amend(market, command, refused, None)
        return
    order = None
    try:
        order = find(market, command)
        price, total, leaves = check_amend(market, command, order)
    except RefusedError as refused:
        remember(market, key, reject_amend(market, command, refused, order))
        return
    remember(market, key, change(market, command, order, price, total, leaves))


def reject_amend(market: Market, command: Command, refused: RefusedError, order: Order | None) -> Event:
    return market.say(
        Event(
            kind=EventKind.AMEND_REJECTED,
            account_id=command.account_id,
            order_id=order.order_id if order else command.order_id,
            client_order_id=order.client_order_id if order else command.client_order_id,
            instrument_id=order.instrument_id if order else 0,
            side=order.side if order else 0,
            price_ticks=command.price_ticks,
            quantity_lots=command.quantity_lots,
            request_id=command.request_id,
            reason=refused.reason,
            required=refused.required,
            available=refused.available,
        )
    )


def check_amend(market: Market, command: Command, order: Order) -> tuple[int, int, int]:
    """All checks of a change; returns the new price, total quantity and leaves."""
    instrument = market.instruments[order.instrument_id]
    check_trading_state(instrument)
    check_account(market, order.account_id)
    if command.price_ticks < 0:
        raise RefusedError(Reason.INVALID_PRICE, instrument.rules.max_price_ticks)
    if command.quantity_lots < 0:
        raise RefusedError(Reason.INVALID_QUANTITY)
    total, leaves = new_quantities(command, order)
    own_lots = order.reserve if order.side == Side.SELL else 0
    if command.quantity_lots:
        available = available_lots(market, order.account_id, order.instrument_id) + own_lots
        if command.kind == Kind.AMEND and order.side == Side.SELL:
            available += order.executed
        check_lots(instrument.rules, order.side, command.quantity_lots, leaves, available)
    price = command.price_ticks or order.price
    if command.kind == Kind.REPLACE or price != order.price or leaves > order.leaves:
        check_price(instrument, price)
    price = post_only_price(instrument, order.side, order.post_only, price)
    check_reserve(market, instrument, order.account_id, order.side, price, leaves, own=order.reserve)
    return price, total, leaves


def new_quantities(command: Command, order: Order) -> tuple[int, int]:
    """New total quantity and new leaves: an AMEND sends the total, a REPLACE the leaves."""
    if command.kind == Kind.REPLACE:
        leaves = command.quantity_lots or order.leaves
        return order.executed + leaves, leaves
    total = command.quantity_lots or order.quantity
    if total <= order.executed:
        raise RefusedError(Reason.QUANTITY_BELOW_EXECUTED, total, order.executed)
    return total, total - order.executed


def change(market: Market, command: Command, order: Order, price: int, total: int, leaves: int) -> Event:
    keeps_place = command.kind == Kind.AMEND and price == order.price and leaves <= order.leaves
    instrument = market.instruments[order.instrument_id]
    if not keeps_place:
        instrument.take_out(order)
        del market.orders[order.order_id]
        del market.orders_by_client_id[order.account_id, order.client_order_id]
    order.price, order.quantity, order.leaves = price, total, leaves
    amended = market.say(
        Event(
            kind=EventKind.AMENDED,
            account_id=order.account_id,
            instrument_id=order.instrument_id,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            side=order.side,
            price_ticks=price,
            quantity_lots=total,
            request_id=command.request_id,
            flags=Flag.KEPT_PRIORITY if keeps_place else 0,
        )
    )
    book_reserve(market, order)
    if not keeps_place:
        execute(market, order)
    amended.leaves_lots = order.leaves
    return amended


def mass_cancel(market: Market, command: Command) -> None:
    if command.side not in [0, *Side]:
        refuse_command(market, command, RefusedError(Reason.INVALID_SIDE))
        return
    meant = [
        order
        for order in sorted(market.orders.values(), key=lambda order: order.order_id)
        if order.account_id == command.account_id
        and command.instrument_id in (0, order.instrument_id)
        and command.side in (0, order.side)
    ]
    for order in meant:
        cancel_resting(market, order, Reason.MASS_CANCEL, command.request_id)
    market.say(
        Event(
            kind=EventKind.MASS_CANCELLED,
            account_id=command.account_id,
            instrument_id=command.instrument_id,
            side=command.side,
            quantity_lots=len(meant),
            request_id=command.request_id,
        )
    )
