"""CANCEL, AMEND, REPLACE and MASS_CANCEL."""

from typing import Any

import pytest


def placed(venue: Any, account: int, side: str, quantity: int, price: int, **fields: int) -> int:
    return int(venue.place(account, side, quantity, price, **fields)[0]["order_id"])


def test_cancel_by_either_id(venue: Any) -> None:
    by_order = placed(venue, 1, "buy", 3, 90)
    placed(venue, 1, "buy", 4, 90, client_order_id=77)
    (event,) = venue.do("CANCEL", account_id=1, order_id=by_order, request_id=5)
    assert (event["kind"], event["reason"], event["quantity_lots"]) == ("CANCELLED", "CANCELLED_BY_OWNER", 3)
    assert (event["request_id"], event["price_ticks"]) == (5, 90)
    assert venue.do("CANCEL", account_id=1, client_order_id=77)[0]["kind"] == "CANCELLED"
    assert venue.cash(1) == (100_000, 0)


@pytest.mark.parametrize(
    "fields", [{"client_order_id": 77, "account_id": 2}, {"client_order_id": 78}, {"order_id": 5}]
)
def test_what_is_not_ones_own_is_unknown(venue: Any, fields: dict[str, int]) -> None:
    order = placed(venue, 1, "buy", 3, 90, client_order_id=77)
    for kind in ("CANCEL", "AMEND", "REPLACE"):
        (event,) = venue.request(kind, **{"account_id": 1, **fields})
        assert (event["kind"], event["reason"]) == (
            "CANCEL_REJECTED" if kind == "CANCEL" else "AMEND_REJECTED",
            "UNKNOWN_ORDER",
        )
    (event,) = venue.do("CANCEL", account_id=2, order_id=order)
    assert event["reason"] == "UNKNOWN_ORDER"
    assert venue.core.open_order_count == 1


def test_less_quantity_keeps_the_place(venue: Any) -> None:
    first = placed(venue, 1, "buy", 5, 90)
    second = placed(venue, 2, "buy", 5, 90)
    (event,) = venue.request("AMEND", 1, order_id=first, quantity_lots=3)
    assert (event["flags"], event["quantity_lots"], event["leaves_lots"]) == (1, 3, 3)
    assert venue.core.orders(1)["order_id"].tolist() == [first, second]
    assert venue.cash(1) == (100_000, 3 * 900)


@pytest.mark.parametrize("fields", [{"quantity_lots": 6}, {"price_ticks": 91}])
def test_more_quantity_or_another_price_lose_it(venue: Any, fields: dict[str, int]) -> None:
    first = placed(venue, 1, "buy", 5, 90)
    second = placed(venue, 2, "buy", 5, fields.get("price_ticks", 90))
    (event,) = venue.request("AMEND", 1, order_id=first, **fields)
    assert "flags" not in event
    assert venue.core.orders(1)["order_id"].tolist() == [second, first]


def test_replace_always_loses_it_and_sends_open_lots(venue: Any) -> None:
    first = placed(venue, 1, "buy", 5, 90)
    second = placed(venue, 1, "buy", 5, 90)
    venue.place(2, "sell", 2, 90)
    (event,) = venue.request("REPLACE", 1, order_id=first)
    assert (event["quantity_lots"], event["leaves_lots"]) == (5, 3)
    assert venue.core.orders(1)["order_id"].tolist() == [second, first]
    (event,) = venue.request("REPLACE", 1, order_id=first, quantity_lots=4)
    assert (event["quantity_lots"], event["leaves_lots"]) == (6, 4)


def test_an_amended_order_trades(venue: Any) -> None:
    venue.place(2, "sell", 3, 95)
    order = placed(venue, 1, "buy", 5, 90)
    amended, trade = venue.request("AMEND", 1, order_id=order, price_ticks=96)
    assert (amended["kind"], amended["leaves_lots"]) == ("AMENDED", 2)
    assert (trade["price_ticks"], trade["order_id"]) == (95, order)
    assert venue.cash(1) == (100_000 - 2_850, 2 * 960)
    venue.place(2, "sell", 9, 97)
    amended, trade = venue.request("AMEND", 1, order_id=order, price_ticks=97)
    assert "leaves_lots" not in amended
    assert venue.core.order(order) is None


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("AMEND", {"price_ticks": -1}, ("INVALID_PRICE", 10_000, 0)),
        ("AMEND", {"price_ticks": 10_001}, ("INVALID_PRICE", 10_000, 0)),
        ("REPLACE", {"quantity_lots": -1}, ("INVALID_QUANTITY", 0, 0)),
        ("AMEND", {"quantity_lots": 2}, ("QUANTITY_BELOW_EXECUTED", 2, 2)),
        ("AMEND", {"quantity_lots": 1_003}, ("QUANTITY_TOO_LARGE", 1_000, 1_001)),
        ("REPLACE", {"quantity_lots": 112}, ("INSUFFICIENT_FUNDS", 112 * 900, 100_000 - 2 * 900)),
        ("AMEND", {"price_ticks": 5_000}, ("INSUFFICIENT_FUNDS", 150_000, 100_000 - 2 * 900)),
        ("AMEND", {"request_id": 0}, ("INVALID_ID", 0, 0)),
        ("AMEND", {"create_time_ns": 5, "client_order_id": 9, "order_id": 0}, ("UNKNOWN_ORDER", 0, 0)),
        ("AMEND", {"create_time_ns": 0}, ("REQUEST_TOO_OLD", 0, 0)),
        ("REPLACE", {"create_time_ns": 2**62}, ("REQUEST_FROM_FUTURE", 0, 0)),
    ],
)
def test_refused_changes(
    venue: Any, kind: str, fields: dict[str, int], expected: tuple[str, int, int]
) -> None:
    order = placed(venue, 1, "buy", 5, 90)
    venue.place(2, "sell", 2, 90)
    before = venue.core.orders(1).tolist(), venue.cash(1)
    (event,) = venue.request(kind, 1, **{"order_id": order, **fields})
    assert event["kind"] == "AMEND_REJECTED"
    assert (event["reason"], event.get("required", 0), event.get("available", 0)) == expected
    assert (venue.core.orders(1).tolist(), venue.cash(1)) == before


def test_a_halt_refuses_changes_but_not_cancels(venue: Any) -> None:
    order = placed(venue, 1, "buy", 5, 90)
    venue.do("SET_TRADING_STATE", instrument_id=1, trading_state=2)
    assert venue.request("AMEND", 1, order_id=order, quantity_lots=1)[0]["reason"] == "INSTRUMENT_HALTED"
    assert venue.do("CANCEL", account_id=1, order_id=order)[0]["kind"] == "CANCELLED"


def test_an_amended_post_only_order_slides(venue: Any) -> None:
    venue.place(2, "sell", 1, 95)
    sliding, rejecting = (placed(venue, 1, "buy", 1, 90, post_only=mode) for mode in (2, 1))
    assert venue.request("AMEND", 1, order_id=sliding, price_ticks=99)[0]["price_ticks"] == 94
    (event,) = venue.request("AMEND", 1, order_id=rejecting, price_ticks=95)
    assert (event["reason"], event["required"]) == ("POST_ONLY_WOULD_TRADE", 95)


def test_mass_cancel(venue: Any) -> None:
    venue.define(2)
    venue.fund(1, lots=10, instrument_id=2)
    mine = [placed(venue, 1, "buy", 1, 90), placed(venue, 1, "sell", 1, 99), placed(venue, 1, "buy", 1, 80)]
    other = placed(venue, 1, "sell", 1, 99, instrument_id=2)
    venue.place(2, "buy", 1, 90)
    events = venue.do("MASS_CANCEL", account_id=1, instrument_id=1, side=1, request_id=4)
    assert [it["order_id"] for it in events[:-1]] == [mine[0], mine[2]]
    assert {it["request_id"] for it in events} == {4}
    assert (events[-1]["kind"], events[-1]["quantity_lots"]) == ("MASS_CANCELLED", 2)
    assert [it.get("order_id") for it in venue.do("MASS_CANCEL", account_id=1)] == [mine[1], other, None]
    assert venue.do("MASS_CANCEL", account_id=1, side=3)[0]["reason"] == "INVALID_SIDE"
    assert venue.do("MASS_CANCEL", account_id=99)[0].get("quantity_lots", 0) == 0
    assert venue.core.open_order_count == 1


def test_the_odd_rest_of_a_sale_in_part_done_stays_whole(new_venue: Any) -> None:
    venue = new_venue()
    venue.define(board_lot=100, odd_lot_rule=2)
    venue.fund(1, 0, 150)
    venue.fund(2, 10**8, 1_080)
    order = placed(venue, 1, "sell", 150, 100)
    venue.place(2, "sell", 80, 99)
    venue.place(2, "buy", 200, 100, time_in_force=4, self_trade_prevention=0)
    (event, *_) = venue.request("AMEND", 1, order_id=order, quantity_lots=150, price_ticks=101)
    assert (event["kind"], event["leaves_lots"]) == ("AMENDED", 30)
    (event,) = venue.request("AMEND", 1, order_id=order, quantity_lots=130)
    assert (event["kind"], event["reason"]) == ("AMEND_REJECTED", "OFF_LOT")


def test_the_largest_order_is_of_what_is_still_to_trade(new_venue: Any) -> None:
    venue = new_venue()
    venue.define(max_order_lots=1_000)
    venue.fund(1, 10**9)
    venue.fund(2, 0, 10_000)
    order = placed(venue, 1, "buy", 1_000, 100)
    venue.place(2, "sell", 900, 100)
    venue.request("REPLACE", 1, order_id=order, quantity_lots=1_000)
    (event,) = venue.request("AMEND", 1, order_id=order, quantity_lots=1_800)
    assert (event["kind"], event["leaves_lots"]) == ("AMENDED", 900)
    (event,) = venue.request("AMEND", 1, order_id=order, quantity_lots=1_901)
    assert (event["reason"], event["required"], event["available"]) == ("QUANTITY_TOO_LARGE", 1_000, 1_001)


def test_an_order_outside_the_limits_neither_grows_nor_arrives_anew(new_venue: Any) -> None:
    venue = new_venue()
    venue.define(price_limit_ppm=100_000)
    venue.fund(1, 10**9)
    order = placed(venue, 1, "buy", 10, 110)
    venue.do("SET_REFERENCE_PRICE", instrument_id=1, price_ticks=200)
    for kind, lots in (("REPLACE", 10), ("AMEND", 11)):
        (event,) = venue.request(kind, 1, order_id=order, quantity_lots=lots)
        assert (event["kind"], event["reason"], event["required"]) == ("AMEND_REJECTED", "PRICE_LIMIT", 180)
    assert venue.request("AMEND", 1, order_id=order, quantity_lots=9)[0]["kind"] == "AMENDED"
