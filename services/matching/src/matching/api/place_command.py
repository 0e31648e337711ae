"""From the bytes of a PlaceOrderRequest to a command of the log: what every single order goes through.

One kernel reads, checks and copies. Messages, their attributes and dictionaries of them take several times as long,
most of all when caches are cold, as they are for an order that comes alone.
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
from smartex.matching.v1.log_pb2 import COMMAND_KIND_PLACE
from smartex.matching.v1.order_entry_pb2 import PlaceOrderRequest
from smartex_chassis import InvalidInput

from matching.api.validation import check_place
from matching.domain import COMMAND
from matching.frames import Rows
from matching.fused import fused

_CODEC = smartex_wire.flat_codec(PlaceOrderRequest)
_KERNELS = _CODEC.kernels
_decode = _KERNELS.decode_flat
_order = np.zeros(1, _CODEC.row_dtype)
"""What a request is read into, one after the other on the event loop."""
_order_octets = _order.view(np.uint8)
_PLACE: Final = int(COMMAND_KIND_PLACE)
_LIMIT, _MARKET = int(types.ORDER_TYPE_LIMIT), int(types.ORDER_TYPE_MARKET)


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


@fused(_KERNELS)
def _to_command(program: Any, request: Any, octets: Any, orders: Any, account_id: int, commands: Any) -> bool:
    """Read the request into the order that `octets` and `orders` both are, and copy it; False if something is wrong."""
    if _decode(program, request, octets) < 0:
        return False
    order, command = orders[0], commands[0]
    if not _is_sound(order):
        return False
    command.kind = _PLACE
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
    return True


@cache
def _kernel() -> Callable[..., bool]:
    return smartex_wire.direct(_to_command, np.uint64, bytes, np.uint8, _order.dtype, int, COMMAND)


def place_command(request: bytes, account_id: int) -> Rows:
    """The command of a request, an array of one. InvalidInput names what is wrong with it."""
    command = np.zeros(1, COMMAND)
    if _kernel()(_KERNELS.program, request, _order_octets, _order, account_id, command):
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
    """Compile the kernel, or load it from the cache."""
    _kernel()
