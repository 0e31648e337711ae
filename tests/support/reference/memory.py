"""What the venue remembers of answered requests, and which it is too late to ask (RULES.md §4)."""

from reference.records import Command, Event
from reference.state import IdKey, Market, RefusedError
from reference.words import EventKind, Flag, Reason

REJECTIONS = (EventKind.REJECTED, EventKind.AMEND_REJECTED, EventKind.COMMAND_REJECTED)
AMENDMENTS = (EventKind.AMENDED, EventKind.AMEND_REJECTED)


def order_key(command: Command) -> IdKey:
    return ("order", command.account_id, command.client_order_id)


def amend_key(command: Command) -> IdKey:
    return ("request", command.account_id, command.request_id)


def balance_key(command: Command) -> IdKey:
    return ("request", 0, command.request_id)


def remember(market: Market, key: IdKey, outcome: Event) -> None:
    """Keep an outcome; the oldest one leaves when there are more than the window has room for."""
    market.outcomes[key] = outcome
    market.window.append((key, market.now))
    if len(market.window) > market.settings.window:
        oldest, applied = market.window.popleft()
        del market.outcomes[oldest]
        market.floor = max(market.floor, applied)


def repeat(market: Market, key: IdKey) -> bool:
    """Answer an id that was used before with its first outcome; False if it is new."""
    first = market.outcomes.get(key)
    if first is not None:
        market.say(repeated(first))
        return True
    space, account_id, number = key
    order = market.orders_by_client_id.get((account_id, number)) if space == "order" else None
    if order is None:
        return False
    market.say(
        Event(
            kind=EventKind.REPEATED,
            account_id=order.account_id,
            instrument_id=order.instrument_id,
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            side=order.side,
            price_ticks=order.price,
            quantity_lots=order.quantity,
            leaves_lots=order.leaves,
        )
    )
    return True


def repeated(first: Event) -> Event:
    flags = 0
    if first.kind in REJECTIONS:
        flags += Flag.FIRST_REJECTED
    if first.kind in AMENDMENTS:
        flags += Flag.FIRST_AMEND
    return Event(
        kind=EventKind.REPEATED,
        account_id=first.account_id,
        order_id=first.order_id,
        client_order_id=first.client_order_id,
        request_id=first.request_id,
        instrument_id=first.instrument_id,
        side=first.side,
        price_ticks=first.price_ticks,
        quantity_lots=first.quantity_lots,
        leaves_lots=first.leaves_lots,
        reason=first.reason,
        required=first.required,
        available=first.available,
        flags=flags,
    )


def check_time(market: Market, create_time_ns: int) -> None:
    """Refuse a request that is older than the window can vouch for, or not yet made."""
    skew = market.settings.skew_ns
    if create_time_ns <= 0 or create_time_ns <= market.floor + skew:
        raise RefusedError(Reason.REQUEST_TOO_OLD)
    if create_time_ns > market.now + skew:
        raise RefusedError(Reason.REQUEST_FROM_FUTURE)
