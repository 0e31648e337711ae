"""The kernel that reads single orders takes what the contract's own checks take, and makes the same command of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from matching.api.request_commands import place_command
from matching.api.validation import check_place
from matching.frames import one_command
from smartex.matching.v1.log_pb2 import COMMAND_KIND_PLACE
from smartex.matching.v1.order_entry_pb2 import PlaceOrderRequest
from smartex_chassis import InvalidInput

GOOD: dict[str, int] = {
    "client_order_id": 1,
    "instrument_id": 2,
    "side": 1,
    "order_type": 1,
    "time_in_force": 1,
    "price_ticks": 5,
    "quantity_lots": 6,
    "create_time_ns": 7,
    "post_only": 0,
    "self_trade_prevention": 0,
    "min_quantity_lots": 0,
    "expire_time_ns": 0,
}
INT64 = st.sampled_from([-(2**63), -1, 0, 1, 2**63 - 1]) | st.integers(-(2**63), 2**63 - 1)
ENUM = st.integers(-1, 8) | st.sampled_from([-(2**31), 254, 255, 256, 257, 2**31 - 1])
VALUES = {
    name: st.just(good)
    | (
        st.integers(0, 2**32 - 1)
        if name == "instrument_id"
        else INT64
        if name.endswith(("_id", "_ticks", "_lots", "_ns"))
        else ENUM
    )
    for name, good in GOOD.items()
}
ACCOUNT = 2**32 - 1


def by_the_book(values: dict[str, int]) -> Any:
    """The command of an order as the contract's checks have it, or why there is none."""
    request = PlaceOrderRequest(**values)  # type: ignore[arg-type]
    check_place(request)
    return one_command(kind=COMMAND_KIND_PLACE, account_id=ACCOUNT, **values)


@given(st.fixed_dictionaries(VALUES))
@example(GOOD)
@example(GOOD | {"order_type": 2, "price_ticks": 0})
@example(GOOD | {"order_type": 2, "price_ticks": -1})
@example(GOOD | {"time_in_force": 3, "expire_time_ns": 2**63 - 1, "min_quantity_lots": 2**63 - 1})
def test_as_by_the_book(values: dict[str, int]) -> None:
    raw = PlaceOrderRequest(**values).SerializeToString()  # type: ignore[arg-type]
    try:
        expected = by_the_book(values)
    except InvalidInput as refusal:
        with pytest.raises(InvalidInput) as caught:
            place_command(raw, ACCOUNT)
        assert caught.value.field_violations == refusal.field_violations
        assert str(caught.value) == str(refusal)
    else:
        assert place_command(raw, ACCOUNT).tobytes() == expected.tobytes()


@given(st.binary(max_size=80))
def test_any_bytes(raw: bytes) -> None:
    try:
        command = place_command(raw, ACCOUNT)
    except InvalidInput:
        return
    request = PlaceOrderRequest.FromString(raw)
    check_place(request)
    assert command["client_order_id"][0] == request.client_order_id


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_broken_bytes_are_named_so(cut: int) -> None:
    raw = PlaceOrderRequest(**GOOD).SerializeToString()  # type: ignore[arg-type]
    with pytest.raises(InvalidInput) as caught:
        place_command(raw[:-cut], ACCOUNT)
    assert caught.value.reason == "MESSAGE_MALFORMED"


def test_an_order_leaves_nothing_behind() -> None:
    full = GOOD | {"post_only": 2, "min_quantity_lots": 9, "expire_time_ns": 9, "self_trade_prevention": 5}
    place_command(PlaceOrderRequest(**full).SerializeToString(), ACCOUNT)  # type: ignore[arg-type]
    command = place_command(PlaceOrderRequest(**GOOD).SerializeToString(), 1)  # type: ignore[arg-type]
    assert command["account_id"][0] == 1
    for name in ("post_only", "min_quantity_lots", "expire_time_ns", "self_trade_prevention", "order_id"):
        assert not command[name].any()
