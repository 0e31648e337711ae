"""From the commands of a Trade message to commands of the log."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import smartex_wire
from numba import njit
from smartex.matching.v1.log_pb2 import COMMAND_KIND_MASS_CANCEL, COMMAND_KIND_PLACE
from smartex.matching.v1.order_entry_pb2 import TradeRequest
from smartex_chassis import InvalidInput

from matching.api.validation import refuse
from matching.domain import COMMAND
from matching.frames import MAX_COMMANDS, Rows

REQUEST_CODEC = smartex_wire.codec(TradeRequest, ignore=("open",), dedicated=True)
_PLACE, _LAST = int(COMMAND_KIND_PLACE), int(COMMAND_KIND_MASS_CANCEL)
_orders = np.empty(MAX_COMMANDS, REQUEST_CODEC.row_dtype)
"""What a message is decoded into, message by message on the event loop: new memory would cost as much as decoding."""
_BAD_KIND: Final = 1
_BAD_SIDE: Final = 2


def _to_commands(orders: Any, account_id: int, session_id: int, commands: Any) -> int:
    """Copy and stamp; returns -1, or 4 × index + what is wrong with the first bad one."""
    for place in range(len(orders)):
        order, command = orders[place], commands[place]
        if order.kind < _PLACE or order.kind > _LAST:
            return place * 4 + _BAD_KIND
        if order.kind == _LAST and order.side > 2:
            return place * 4 + _BAD_SIDE
        command.kind = order.kind
        command.account_id = account_id
        command.instrument_id = order.instrument_id
        command.client_order_id = order.client_order_id
        command.side = order.side
        command.order_type = order.order_type
        command.time_in_force = order.time_in_force
        command.price_ticks = order.price_ticks
        command.quantity_lots = order.quantity_lots
        command.create_time_ns = order.create_time_ns
        command.order_id = order.order_id
        command.request_id = order.request_id
        command.post_only = order.post_only
        command.self_trade_prevention = order.self_trade_prevention
        command.min_quantity_lots = order.min_quantity_lots
        command.expire_time_ns = order.expire_time_ns
        command.session_id = session_id if order.kind == _PLACE else 0
    return -1


_kernel: Any = njit(cache=True, nogil=True, error_model="numpy")(_to_commands)


def to_commands(message: bytes, account_id: int, session_id: int) -> Rows:
    """The commands of a message, stamped with whose they are. InvalidInput names what is malformed."""
    try:
        _, orders = REQUEST_CODEC.decode(message, _orders)
    except smartex_wire.WireError as error:
        if error.reason == "TOO_MANY_ROWS":
            raise refuse("commands", f"send at most {MAX_COMMANDS} in one message") from error
        raise InvalidInput(
            "the bytes are not a TradeRequest; use the published contract", reason="MESSAGE_MALFORMED"
        ) from error
    commands = np.zeros(len(orders), COMMAND)
    bad = _kernel(orders, account_id, session_id, commands)
    if bad >= 0:
        place, what = divmod(int(bad), 4)
        if what == _BAD_KIND:
            raise refuse(f"commands[{place}].kind", "send PLACE, CANCEL, AMEND, REPLACE or MASS_CANCEL")
        raise refuse(f"commands[{place}].side", "give SIDE_BUY or SIDE_SELL, or leave it out for both")
    return commands


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    REQUEST_CODEC.decode(b"")
    _kernel(np.zeros(1, REQUEST_CODEC.row_dtype), 1, 0, np.zeros(1, COMMAND))
