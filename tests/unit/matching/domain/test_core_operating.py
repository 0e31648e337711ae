"""What operators do to others: CANCEL_ORDERS and SET_ACCOUNT_STATE."""

from io import BytesIO
from typing import Any

import pytest
from matching.domain import Core

OPEN, HALTED, CLOSED = 1, 2, 3


def cancelled(events: list[dict[str, Any]]) -> list[tuple[int, int, int]]:
    """(account, side, price) of the orders that were taken off, before the outcome."""
    *taken, outcome = events
    assert outcome["kind"] == "ORDERS_CANCELLED"
    assert outcome.get("quantity_lots", 0) == len(taken)
    for event in taken:
        assert (event["kind"], event["reason"]) == ("CANCELLED", "CANCELLED_BY_OPERATOR")
        assert event["request_id"] == outcome["request_id"]
    return [(event["account_id"], event["side"], event["price_ticks"]) for event in taken]


@pytest.fixture
def busy(venue: Any) -> Any:
    """Orders of two accounts in two instruments."""
    venue.define(2)
    venue.place(1, "buy", 1, 90)
    venue.place(2, "buy", 1, 91)
    venue.place(1, "sell", 1, 101)
    venue.place(2, "sell", 1, 100)
    venue.place(1, "buy", 1, 80, instrument_id=2)
    return venue


def test_an_account_loses_all_it_has_open_and_nobody_else_does(busy: Any) -> None:
    events = busy.request("CANCEL_ORDERS", 1)
    assert cancelled(events) == [(1, 1, 90), (1, 2, 101), (1, 1, 80)]
    assert busy.cash(1) == (100_000, 0)
    assert busy.lots(1) == (100, 0, 0)
    assert busy.core.open_order_count == 2


def test_a_book_is_cleared_bids_first_in_priority(busy: Any) -> None:
    busy.do("SET_TRADING_STATE", instrument_id=1, trading_state=HALTED)
    events = busy.request("CANCEL_ORDERS", 0, instrument_id=1)
    assert cancelled(events) == [(2, 1, 91), (1, 1, 90), (2, 2, 100), (1, 2, 101)]
    assert [len(side) for side in busy.core.book(1, 5)] == [0, 0]
    assert busy.core.open_order_count == 1


@pytest.mark.parametrize(
    ("account", "fields", "expected"),
    [
        (0, {"instrument_id": 1, "side": 1}, [(2, 1, 91), (1, 1, 90)]),
        (0, {"instrument_id": 1, "side": 2}, [(2, 2, 100), (1, 2, 101)]),
        (1, {"side": 1}, [(1, 1, 90), (1, 1, 80)]),
        (1, {"instrument_id": 2}, [(1, 1, 80)]),
        (7, {}, []),
        (0, {"instrument_id": 3}, []),
        (0, {"instrument_id": 70_000}, []),
    ],
)
def test_only_what_is_named_goes(
    busy: Any, account: int, fields: dict[str, int], expected: list[tuple[int, int, int]]
) -> None:
    assert cancelled(busy.request("CANCEL_ORDERS", account, **fields)) == expected


def test_neither_account_nor_instrument_cancels_nothing(busy: Any) -> None:
    (event,) = busy.request("CANCEL_ORDERS", 0, side=1)
    assert (event["kind"], event["reason"]) == ("COMMAND_REJECTED", "INVALID_COMMAND")
    (event,) = busy.request("CANCEL_ORDERS", 1, side=3)
    assert (event["kind"], event["reason"]) == ("COMMAND_REJECTED", "INVALID_SIDE")
    assert busy.core.open_order_count == 5


def test_a_halted_account_places_and_changes_nothing_but_cancels(busy: Any) -> None:
    order = busy.place(1, "buy", 5, 85)[0]["order_id"]
    (event,) = busy.request("SET_ACCOUNT_STATE", 1, trading_state=HALTED)
    assert (event["kind"], event["account_id"], event["trading_state"]) == (
        "ACCOUNT_STATE_CHANGED",
        1,
        HALTED,
    )
    assert busy.core.account_state(1) == HALTED
    (event,) = busy.place(1, "buy", 1, 90)
    assert (event["kind"], event["reason"]) == ("REJECTED", "ACCOUNT_HALTED")
    for kind in ("AMEND", "REPLACE"):
        (event,) = busy.request(kind, 1, order_id=order, quantity_lots=1)
        assert (event["kind"], event["reason"]) == ("AMEND_REJECTED", "ACCOUNT_HALTED")
    assert busy.request("CANCEL", 1, order_id=order)[0]["kind"] == "CANCELLED"
    # Others trade, also with what it has resting.
    assert busy.place(2, "sell", 1, 90)[1]["counter_account_id"] == 2
    assert busy.place(2, "sell", 1, 90)[1]["counter_account_id"] == 1
    busy.request("SET_ACCOUNT_STATE", 1, trading_state=OPEN)
    assert busy.core.account_state(1) == OPEN
    assert busy.place(1, "buy", 1, 90)[0]["kind"] == "ACCEPTED"


def test_a_repeat_is_answered_as_before_the_halt(venue: Any) -> None:
    first = venue.place(1, "buy", 1, 90, client_order_id=5)[0]
    venue.request("SET_ACCOUNT_STATE", 1, trading_state=HALTED)
    (event,) = venue.place(1, "buy", 1, 90, client_order_id=5)
    assert (event["kind"], event["order_id"]) == ("REPEATED", first["order_id"])


@pytest.mark.parametrize(
    ("account", "state", "expected"),
    [
        (1, CLOSED, "INVALID_COMMAND"),
        (1, 0, "INVALID_COMMAND"),
        (3, HALTED, "UNKNOWN_ACCOUNT"),
        (0, OPEN, "UNKNOWN_ACCOUNT"),
    ],
)
def test_states_and_accounts_that_there_are_not(venue: Any, account: int, state: int, expected: str) -> None:
    (event,) = venue.request("SET_ACCOUNT_STATE", account, trading_state=state)
    assert (event["kind"], event["reason"]) == ("COMMAND_REJECTED", expected)
    assert venue.core.account_state(account) == (OPEN if account == 1 else 0)


def test_a_halt_outlives_a_snapshot(venue: Any) -> None:
    open_hash = venue.core.state_hash()
    venue.request("SET_ACCOUNT_STATE", 1, trading_state=HALTED)
    halted_hash = venue.core.state_hash()
    assert halted_hash != open_hash
    file = BytesIO()
    venue.core.save(file)
    file.seek(0)
    loaded = Core.load(file, venue.core.settings)
    assert loaded.state_hash() == halted_hash
    assert (loaded.account_state(1), loaded.account_state(2)) == (HALTED, OPEN)
