"""From the bytes of requests to commands of the log: the many of a Trade message, and the one of a PlaceOrderRequest.

Kernels read, check and copy. Messages, their attributes and dictionaries of them take several times as long, most of
all when caches are cold, as they are for an order that comes alone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, Final

import numpy as np
import smartex_wire
from google.protobuf.message import DecodeError
from numba import njit
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1.log_pb2 import COMMAND_KIND_MASS_CANCEL, COMMAND_KIND_PLACE
from smartex.matching.v1.order_entry_pb2 import PlaceOrderRequest, TradeRequest
from smartex_chassis import InvalidInput

from matching.api.validation import check_place, refuse
from matching.domain import COMMAND
from matching.frames import MAX_COMMANDS, Rows
from matching.fused import fused

REQUEST_CODEC = smartex_wire.codec(TradeRequest, ignore=("open",), dedicated=True)
_PLACE_CODEC = smartex_wire.flat_codec(PlaceOrderRequest)
_PLACE_KERNELS = _PLACE_CODEC.kernels
_decode_place = _PLACE_KERNELS.decode_flat
_PLACE, _LAST = int(COMMAND_KIND_PLACE), int(COMMAND_KIND_MASS_CANCEL)
_LIMIT, _MARKET = int(types.ORDER_TYPE_LIMIT), int(types.ORDER_TYPE_MARKET)
_orders = np.empty(MAX_COMMANDS, REQUEST_CODEC.row_dtype)
"""What a message is decoded into, message by message on the event loop: new memory would cost as much as decoding."""
_order = np.zeros(1, _PLACE_CODEC.row_dtype)
"""The same for a single order."""
_order_octets = _order.view(np.uint8)
_BAD_KIND: Final = 1
_BAD_SIDE: Final = 2


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[misc, unused-ignore]
def _copy(order: Any, account_id: int, command: Any) -> None:
    """What an order says, in a stream or alone, and whose it is."""
    command.account_id = account_id
    command.instrument_id = order.instrument_id
    command.client_order_id = order.client_order_id
    command.side = order.side
    command.order_type = order.order_type
    command.time_in_force = order.time_in_force
    command.price_ticks = order.price_ticks
    command.quantity_lots = order.quantity_lots
    command.create_time_ns = order.create_time_ns
    command.post_only = order.post_only
    command.self_trade_prevention = order.self_trade_prevention
    command.min_quantity_lots = order.min_quantity_lots
    command.expire_time_ns = order.expire_time_ns


def _to_commands(orders: Any, account_id: int, session_id: int, commands: Any) -> int:
    """Copy and stamp; returns -1, or 4 × index + what is wrong with the first bad one."""
    for place in range(len(orders)):
        order, command = orders[place], commands[place]
        if order.kind < _PLACE or order.kind > _LAST:
            return place * 4 + _BAD_KIND
        if order.kind == _LAST and order.side > 2:
            return place * 4 + _BAD_SIDE
        command.kind = order.kind
        _copy(order, account_id, command)
        command.order_id = order.order_id
        command.request_id = order.request_id
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


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[misc, unused-ignore]
def _is_sound(order: Any) -> bool:
    """What `check_place` checks."""
    return bool(
        order.client_order_id > 0
        and order.instrument_id > 0
        and 1 <= order.side <= 2
        and (order.order_type == _MARKET or (order.order_type == _LIMIT and order.price_ticks > 0))
        and 1 <= order.time_in_force <= 5
        and order.post_only <= 2
        and order.self_trade_prevention <= 5
        and order.quantity_lots > 0
        and order.create_time_ns > 0
        and order.price_ticks >= 0
        and order.min_quantity_lots >= 0
        and order.expire_time_ns >= 0
    )


@fused(_PLACE_KERNELS)
def _to_command(program: Any, request: Any, octets: Any, orders: Any, account_id: int, commands: Any) -> bool:
    """Read the request into the order that `octets` and `orders` both are, and copy it; False if something is wrong."""
    if _decode_place(program, request, octets) < 0:
        return False
    order, command = orders[0], commands[0]
    if not _is_sound(order):
        return False
    command.kind = _PLACE
    _copy(order, account_id, command)
    return True


@cache
def _place_kernel() -> Callable[..., bool]:
    return smartex_wire.direct(_to_command, np.uint64, bytes, np.uint8, _order.dtype, int, COMMAND)


def place_command(request: bytes, account_id: int) -> Rows:
    """The command of a PlaceOrderRequest, an array of one. InvalidInput names what is wrong with it."""
    command = np.zeros(1, COMMAND)
    if _place_kernel()(_PLACE_KERNELS.program, request, _order_octets, _order, account_id, command):
        return command
    raise _refusal(request)


def _refusal(request: bytes) -> InvalidInput:
    """What is wrong with a request that the kernel does not take."""
    with suppress(DecodeError, ValueError):
        check_place(PlaceOrderRequest.FromString(request))
    return InvalidInput(
        "the bytes are not a message of this RPC; use the published contract", reason="MESSAGE_MALFORMED"
    )


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    REQUEST_CODEC.decode(b"")
    _kernel(np.zeros(1, REQUEST_CODEC.row_dtype), 1, 0, np.zeros(1, COMMAND))
    _place_kernel()
