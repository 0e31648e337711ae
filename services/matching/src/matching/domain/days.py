"""What time brings: orders expire, silent sessions end, a trading day ends."""

from __future__ import annotations

from typing import Any

from .compiled import I64, inner
from .events import refuse_command, say
from .instruments import cancel_beyond_limits
from .orders import cancel_resting
from .rules import set_limits
from .sessions import end_silent_sessions
from .state import expiry_at, head, holding_at, listed_at, order_at, rules_at, scratch_at, terms_at
from .words import (
    DAY,
    DAY_ENDED,
    DAY_ROLLED,
    DEFINED,
    EXPIRED,
    INVALID_COMMAND,
    REFERENCE_SET,
    SLOT_MASK,
)


@inner
def clock(b: int) -> None:
    """CLOCK: what is due happens."""
    h = head(b)
    while h.expiries > 0:
        slot = I64(expiry_at(b, 0).slot)
        if terms_at(b, slot).expire_time > h.now:
            break
        cancel_resting(b, slot, EXPIRED, 0)
    end_silent_sessions(b)


@inner
def roll_day(b: int, command: Any) -> None:
    """ROLL_DAY."""
    h = head(b)
    if command.trading_day != h.trading_day:
        refuse_command(b, command, INVALID_COMMAND, h.trading_day, command.trading_day)
        return
    cancelled = _cancel_orders_of_the_day(b)
    for row in range(h.holdings):
        holding_at(b, row).bought_today = 0
    for place in range(h.instruments):
        instrument = I64(listed_at(b, place).slot)
        rules = rules_at(b, instrument)
        if rules.last_price != 0 and rules.marks != DEFINED | REFERENCE_SET:
            rules.reference_price = min(rules.last_price, rules.max_price_ticks)
        set_limits(b, instrument)
        cancel_beyond_limits(b, instrument)
    h.trading_day += 1
    event = say(b, DAY_ROLLED)
    event.quantity_lots = cancelled
    event.available = h.trading_day
    event.request_id = command.request_id


@inner
def _cancel_orders_of_the_day(b: int) -> int:
    """Cancel all DAY orders by ascending order id; how many."""
    count = I64(0)
    for slot in range(head(b).slots_used):
        order = order_at(b, slot)
        if order.order_id != 0 and order.time_in_force == DAY:
            scratch_at(b, count).value = order.order_id
            count += 1
    sort_scratch(b, count)
    for place in range(count):
        cancel_resting(b, I64(scratch_at(b, place).value) & SLOT_MASK, DAY_ENDED, 0)
    return count


@inner
def sort_scratch(b: int, count: int) -> None:
    """Sort the first numbers of the scratch table in place (heapsort: no memory, no bad case)."""
    for start in range(count // 2 - 1, -1, -1):
        _sift(b, I64(start), count)
    for end in range(count - 1, 0, -1):
        largest = scratch_at(b, 0).value
        scratch_at(b, 0).value = scratch_at(b, end).value
        scratch_at(b, end).value = largest
        _sift(b, I64(0), I64(end))


@inner
def _sift(b: int, place: int, count: int) -> None:
    value = scratch_at(b, place).value
    while True:
        child = 2 * place + 1
        if child >= count:
            break
        if child + 1 < count and scratch_at(b, child + 1).value > scratch_at(b, child).value:
            child += 1
        if scratch_at(b, child).value <= value:
            break
        scratch_at(b, place).value = scratch_at(b, child).value
        place = child
    scratch_at(b, place).value = value
