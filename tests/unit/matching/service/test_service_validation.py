"""Malformed requests are refused by name, before the log."""

from __future__ import annotations

from typing import Any

import pytest
from matching.api import account, order_entry, venue
from matching.api.request_commands import REQUEST_CODEC, to_commands
from matching.api.validation import check_amend, check_mass_cancel, check_open, check_place, check_target
from matching.domain import COMMAND
from matching.frames import COMMAND_CODEC
from smartex.matching.v1 import account_pb2, order_entry_pb2, venue_pb2
from smartex.matching.v1 import order_entry_pb2 as pb
from smartex_chassis import InvalidInput

GOOD = {
    "client_order_id": 1,
    "instrument_id": 1,
    "side": 1,
    "order_type": 1,
    "time_in_force": 1,
    "price_ticks": 5,
    "quantity_lots": 5,
    "create_time_ns": 5,
}


def test_the_dtype_of_the_core_is_that_of_the_wire() -> None:
    assert COMMAND_CODEC.row_dtype == COMMAND


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("client_order_id", 0),
        ("client_order_id", -(2**63)),
        ("instrument_id", 0),
        ("side", 0),
        ("side", 3),
        ("side", -1),
        ("order_type", 0),
        ("order_type", 2**31 - 1),
        ("time_in_force", 0),
        ("time_in_force", 6),
        ("price_ticks", 0),
        ("price_ticks", -1),
        ("quantity_lots", 0),
        ("create_time_ns", 0),
        ("post_only", 3),
        ("self_trade_prevention", 6),
        ("min_quantity_lots", -1),
        ("expire_time_ns", -1),
    ],
)
def test_place(field: str, value: int) -> None:
    check_place(pb.PlaceOrderRequest(**GOOD))  # type: ignore[arg-type]
    with pytest.raises(InvalidInput) as caught:
        check_place(pb.PlaceOrderRequest(**(GOOD | {field: value})))  # type: ignore[arg-type]
    assert caught.value.field_violations[0].field == field


def test_targets_and_amendments() -> None:
    for request in (pb.CancelOrderRequest(), pb.CancelOrderRequest(order_id=-1)):
        with pytest.raises(InvalidInput):
            check_target(request)
    check_target(pb.CancelOrderRequest(client_order_id=1))
    check_amend(pb.AmendOrderRequest(order_id=1, request_id=1, create_time_ns=1))
    for changes in ({"request_id": 0}, {"create_time_ns": 0}, {"price_ticks": -1}, {"quantity_lots": -1}):
        fields: dict[str, Any] = {"order_id": 1, "request_id": 1, "create_time_ns": 1}
        with pytest.raises(InvalidInput) as caught:
            check_amend(pb.AmendOrderRequest(**(fields | changes)))
        assert caught.value.field_violations[0].field == next(iter(changes))
    with pytest.raises(InvalidInput):
        check_mass_cancel(pb.MassCancelRequest(side=3))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("open.session_id", {"session_id": -1}),
        ("open.session_id", {"cancel_on_disconnect_ms": 100}),
        ("open.cancel_on_disconnect_ms", {"session_id": 1, "cancel_on_disconnect_ms": 99}),
        ("open.cancel_on_disconnect_ms", {"session_id": 1, "cancel_on_disconnect_ms": 3_600_001}),
        ("open.resume_sequence", {"resume_sequence": -1}),
        ("open.window", {"window": 100_001}),
    ],
)
def test_open(field: str, changes: dict[str, int]) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_open(pb.TradeOpen(**changes), 100_000)
    assert caught.value.field_violations[0].field == field


def stream_command(**fields: Any) -> pb.OrderCommand:
    """Numbers for enums too."""
    return pb.OrderCommand(**fields)


def test_stream_commands_are_stamped_and_nothing_else_passes() -> None:
    place = stream_command(kind=1, instrument_id=3, client_order_id=9, price_ticks=-7)
    cancel = stream_command(kind=2, order_id=4)
    message = pb.TradeRequest(commands=[place, cancel]).SerializeToString()
    commands = to_commands(message, 42, 8)
    assert commands["account_id"].tolist() == [42, 42]
    assert commands["session_id"].tolist() == [8, 0]
    assert commands["price_ticks"].tolist() == [-7, 0]
    for name in ("trading_state", "grace_ns", "currency_id", "amount_micros", "trading_day"):
        assert not commands[name].any()


@pytest.mark.parametrize("kind", [0, 6, 16, 22, 26, 255, 300, -1])
def test_venue_commands_do_not_come_through_a_stream(kind: int) -> None:
    message = pb.TradeRequest(commands=[stream_command(kind=1), stream_command(kind=kind)])
    with pytest.raises(InvalidInput) as caught:
        to_commands(message.SerializeToString(), 1, 0)
    assert caught.value.field_violations[0].field == "commands[1].kind"


def test_too_many_and_broken_messages() -> None:
    many = pb.TradeRequest(commands=[stream_command(kind=2)] * 10_001).SerializeToString()
    with pytest.raises(InvalidInput) as caught:
        to_commands(many, 1, 0)
    assert caught.value.field_violations[0].field == "commands"
    with pytest.raises(InvalidInput) as caught:
        to_commands(many[:-1], 1, 0)
    assert caught.value.reason in ("MESSAGE_MALFORMED", "INVALID_INPUT")
    assert REQUEST_CODEC.row_dtype.names is not None


@pytest.mark.parametrize(
    ("module", "file"), [(order_entry, order_entry_pb2), (account, account_pb2), (venue, venue_pb2)]
)
def test_every_rpc_has_a_scope(module: object, file: object) -> None:
    (service,) = file.DESCRIPTOR.services_by_name.values()  # type: ignore[attr-defined]
    methods = {f"/{service.full_name}/{method.name}" for method in service.methods}
    assert module.SCOPES.keys() == methods  # type: ignore[attr-defined]
