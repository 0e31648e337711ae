"""What happened, written down: one row for each event, in the room that Python reserved for the frame."""

from __future__ import annotations

from typing import Any

from .compiled import clear, hot, inner
from .state import event_at, head
from .words import CANCELLED, COMMAND_REJECTED


@hot
def say(b: int, kind: int) -> Any:
    """The next event: its kind and index are set, all else is zero."""
    h = head(b)
    event = event_at(h.events_address, h.events)
    h.events += 1
    clear(event)
    event.kind = kind
    event.command_index = h.command_index
    return event


@hot
def last_event(b: int) -> int:
    """Index in the frame of the event that was said last."""
    return head(b).events - 1  # type: ignore[no-any-return]


@hot
def said(b: int, index: int) -> Any:
    """An event of this frame again."""
    return event_at(head(b).events_address, index)


@inner
def refuse_command(b: int, command: Any, reason: int, required: int, available: int) -> None:
    """Refuse a command of the venue."""
    event = say(b, COMMAND_REJECTED)
    event.account_id = command.account_id
    event.instrument_id = command.instrument_id
    event.request_id = command.request_id
    event.reason = reason
    event.required = required
    event.available = available


@hot
def say_cancelled(
    b: int, order: Any, price: int, reason: int, lots: int, request_id: int, account_id: int
) -> None:
    """Lots of an order are taken off, all that it had."""
    event = say(b, CANCELLED)
    event.account_id = account_id
    event.instrument_id = order.instrument
    event.order_id = order.order_id
    event.client_order_id = order.client_order_id
    event.side = order.side
    event.price_ticks = price
    event.quantity_lots = lots
    event.reason = reason
    event.request_id = request_id
