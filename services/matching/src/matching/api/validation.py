"""The form of requests, checked before anything reaches the log. What depends on the market is the core's."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from google.protobuf.message import Message
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1.order_entry_pb2 import (
    AmendOrderRequest,
    CancelOrderRequest,
    MassCancelRequest,
    PlaceOrderRequest,
    TradeOpen,
)
from smartex_chassis import InvalidInput, PermissionDenied, principal

LARGEST_ACCOUNT: Final = 2**32 - 1
_SIDES = (types.SIDE_BUY, types.SIDE_SELL)
_ORDER_TYPES = (types.ORDER_TYPE_LIMIT, types.ORDER_TYPE_MARKET)


def own_account() -> int:
    """The caller's account. PermissionDenied if its token speaks for none that can trade here."""
    account_id = principal().require_account()
    if account_id > LARGEST_ACCOUNT:
        raise PermissionDenied("accounts go up to 4294967295; get another token", reason="ACCOUNT_MISSING")
    return account_id


def refuse(field: str, why: str) -> InvalidInput:
    """The error for a field."""
    return InvalidInput(f"{field}: {why}", field=field)


def positive(request: Message, *fields: str) -> None:
    """Refuse the request unless each of these numbers is positive."""
    for field in fields:
        if getattr(request, field) <= 0:
            raise refuse(field, "give a positive number")


def not_negative(request: Message, *fields: str) -> None:
    """Refuse the request if one of these numbers is negative."""
    for field in fields:
        if getattr(request, field) < 0:
            raise refuse(field, "must not be negative")


def one_of(request: Message, field: str, allowed: Collection[Any]) -> None:
    """Refuse the request unless the enumeration has one of these values."""
    if getattr(request, field) not in allowed:
        enum = request.DESCRIPTOR.fields_by_name[field].enum_type
        assert enum is not None
        names = ", ".join(enum.values_by_number[int(value)].name for value in allowed)
        raise refuse(field, f"give one of {names}")


def check_place(request: PlaceOrderRequest) -> None:
    """Refuse an order that no market could take."""
    positive(request, "client_order_id", "instrument_id")
    one_of(request, "side", _SIDES)
    one_of(request, "order_type", _ORDER_TYPES)
    one_of(request, "time_in_force", range(1, 6))
    one_of(request, "post_only", range(3))
    one_of(request, "self_trade_prevention", range(6))
    positive(request, "quantity_lots", "create_time_ns")
    not_negative(request, "price_ticks", "min_quantity_lots", "expire_time_ns")
    if request.order_type == types.ORDER_TYPE_LIMIT:
        positive(request, "price_ticks")


def check_target(request: CancelOrderRequest | AmendOrderRequest) -> None:
    """Refuse a request that does not say which order."""
    not_negative(request, "order_id", "client_order_id", "request_id")
    if not request.order_id and not request.client_order_id:
        raise refuse("order_id", "give order_id or client_order_id")


def check_amend(request: AmendOrderRequest) -> None:
    """Refuse a malformed amendment."""
    check_target(request)
    positive(request, "request_id", "create_time_ns")
    not_negative(request, "price_ticks", "quantity_lots")


def check_mass_cancel(request: MassCancelRequest) -> None:
    """Refuse a malformed mass cancel."""
    one_of(request, "side", range(3))
    not_negative(request, "request_id")


def check_open(opening: TradeOpen, largest_window: int) -> None:
    """Refuse a stream that is set up wrongly."""
    grace = opening.cancel_on_disconnect_ms
    if opening.session_id < 0:
        raise refuse("open.session_id", "must not be negative")
    if grace and not 100 <= grace <= 3_600_000:
        raise refuse(
            "open.cancel_on_disconnect_ms", "give 100 to 3600000, or 0 for orders that outlive the stream"
        )
    if grace and not opening.session_id:
        raise refuse("open.session_id", "cancel_on_disconnect_ms needs a session: give it a positive number")
    if opening.resume_sequence < 0:
        raise refuse("open.resume_sequence", "must not be negative")
    if opening.window > largest_window:
        raise refuse("open.window", f"give at most {largest_window}")
