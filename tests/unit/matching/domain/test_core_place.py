"""PLACE: every reason to refuse one, with its numbers, and what accepted ones do."""

from typing import Any

import pytest


def refusal(events: list[dict[str, Any]]) -> tuple[str, int, int]:
    (event,) = events
    assert event["kind"] == "REJECTED"
    return event["reason"], event.get("required", 0), event.get("available", 0)


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["kind"] for event in events]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"client_order_id": 0}, ("INVALID_ID", 0, 0)),
        ({"client_order_id": -5}, ("INVALID_ID", 0, 0)),
        ({"create_time_ns": 0}, ("REQUEST_TOO_OLD", 0, 0)),
        ({"create_time_ns": 2**62}, ("REQUEST_FROM_FUTURE", 0, 0)),
        ({"side": 0}, ("INVALID_SIDE", 0, 0)),
        ({"side": 3}, ("INVALID_SIDE", 0, 0)),
        ({"order_type": 3}, ("INVALID_ORDER_TYPE", 0, 0)),
        ({"time_in_force": 0}, ("INVALID_TIME_IN_FORCE", 0, 0)),
        ({"time_in_force": 6}, ("INVALID_TIME_IN_FORCE", 0, 0)),
        ({"order_type": 2, "price_ticks": 0}, ("INVALID_TIME_IN_FORCE", 0, 0)),
        ({"post_only": 3}, ("INVALID_POST_ONLY", 0, 0)),
        ({"post_only": 1, "time_in_force": 4}, ("INVALID_POST_ONLY", 0, 0)),
        ({"self_trade_prevention": 6}, ("INVALID_SELF_TRADE_PREVENTION", 0, 0)),
        ({"min_quantity_lots": 1}, ("INVALID_MIN_QUANTITY", 0, 0)),
        ({"min_quantity_lots": 11, "time_in_force": 4}, ("INVALID_MIN_QUANTITY", 0, 0)),
        ({"expire_time_ns": 1}, ("INVALID_EXPIRE_TIME", 0, 0)),
        ({"time_in_force": 3}, ("INVALID_EXPIRE_TIME", 0, 0)),
        ({"instrument_id": 2}, ("UNKNOWN_INSTRUMENT", 0, 0)),
        ({"instrument_id": 2**32 - 1}, ("UNKNOWN_INSTRUMENT", 0, 0)),
        ({"session_id": 9}, ("UNKNOWN_SESSION", 0, 0)),
        ({"quantity_lots": 0}, ("INVALID_QUANTITY", 0, 0)),
        ({"quantity_lots": -(2**63)}, ("INVALID_QUANTITY", 0, 0)),
        ({"quantity_lots": 1_001}, ("QUANTITY_TOO_LARGE", 1_000, 1_001)),
        ({"price_ticks": 0}, ("INVALID_PRICE", 10_000, 0)),
        ({"price_ticks": 10_001}, ("INVALID_PRICE", 10_000, 0)),
        ({"order_type": 2, "time_in_force": 4, "price_ticks": 1}, ("INVALID_PRICE", 0, 0)),
        ({"order_type": 2, "time_in_force": 4, "price_ticks": 0}, ("NO_LIQUIDITY", 0, 0)),
        ({"quantity_lots": 1_000, "price_ticks": 11}, ("INSUFFICIENT_FUNDS", 110_000, 100_000)),
        ({"side": 2, "quantity_lots": 101}, ("INSUFFICIENT_HOLDINGS", 101, 100)),
        ({"account_id": 7}, ("INSUFFICIENT_FUNDS", 10_000, 0)),
    ],
)
def test_refused(venue: Any, fields: dict[str, int], expected: tuple[str, int, int]) -> None:
    usual = {"account_id": 1, "client_order_id": 1, "instrument_id": 1, "side": 1, "order_type": 1}
    usual |= {"time_in_force": 1, "price_ticks": 100, "quantity_lots": 10}
    before = venue.cash(1), venue.lots(1), venue.core.open_order_count
    assert refusal(venue.do("PLACE", **{**usual, **fields})) == expected
    assert (venue.cash(1), venue.lots(1), venue.core.open_order_count) == before


def test_refused_while_halted_or_closed(venue: Any) -> None:
    for state, reason in ((2, "INSTRUMENT_HALTED"), (3, "INSTRUMENT_CLOSED")):
        venue.do("SET_TRADING_STATE", trading_state=state)
        assert refusal(venue.place(1, "buy", 1, 100))[0] == reason


def test_off_lot_and_the_odd_rest(venue: Any) -> None:
    venue.define(2, board_lot=100, odd_lot_rule=2)
    venue.fund(1, 10**7, 250, instrument_id=2)
    assert refusal(venue.place(1, "buy", 50, 100, instrument_id=2)) == ("OFF_LOT", 100, 0)
    assert refusal(venue.place(1, "sell", 20, 100, instrument_id=2)) == ("OFF_LOT", 100, 250)
    assert kinds(venue.place(1, "sell", 150, 100, instrument_id=2)) == ["ACCEPTED"]
    assert refusal(venue.place(1, "sell", 50, 100, instrument_id=2)) == ("OFF_LOT", 100, 100)


def test_ticks_and_limits(venue: Any) -> None:
    venue.define(2, bands=((0, 1), (100, 5)), price_limit_ppm=100_000, reference_price_ticks=105)
    venue.fund(1, 10**7)
    assert refusal(venue.place(1, "buy", 1, 102, instrument_id=2)) == ("OFF_TICK", 5, 0)
    # 105 × 1.1 = 115.5, rounded to 116; 105 × 0.9 = 94.5, rounded to 95.
    assert refusal(venue.place(1, "buy", 1, 120, instrument_id=2)) == ("PRICE_LIMIT", 116, 120)
    assert refusal(venue.place(1, "buy", 1, 94, instrument_id=2)) == ("PRICE_LIMIT", 95, 94)
    assert kinds(venue.place(1, "buy", 1, 95, instrument_id=2)) == ["ACCEPTED"]
    assert kinds(venue.place(1, "buy", 1, 115, instrument_id=2)) == ["ACCEPTED"]


def test_price_then_time(venue: Any) -> None:
    for price in (102, 101, 101):
        venue.place(1, "sell", 5, price)
    events = venue.place(2, "buy", 12, 102)
    assert events[0]["kind"] == "ACCEPTED"
    assert "leaves_lots" not in events[0]
    trades = [(it["price_ticks"], it["quantity_lots"], it["counter_client_order_id"]) for it in events[1:]]
    assert trades == [(101, 5, 1_006), (101, 5, 1_007), (102, 2, 1_005)]
    assert events[-1]["counter_leaves_lots"] == 3
    assert venue.cash(2) == (100_000 - 10 * (1010 + 204), 0)
    assert venue.lots(2) == (112, 0, 0)
    assert venue.core.instrument(1)["last_price_ticks"] == 102


def test_what_rests_is_reserved(venue: Any) -> None:
    venue.place(1, "sell", 5, 100)
    accepted, trade = venue.place(2, "buy", 8, 101)
    assert accepted["leaves_lots"] == trade["leaves_lots"] == 3
    assert venue.cash(2) == (95_000, 3 * 101 * 10)
    bids, asks = venue.core.book(1, 5)
    assert bids.tolist() == [(101, 3, 1)]
    assert len(asks) == 0


def test_fees_and_duty_to_the_micro(venue: Any) -> None:
    venue.define(2, tick_value=333, maker_fee_ppm=101, taker_fee_ppm=1_234, stamp_duty_ppm=1_000)
    venue.fund(1, lots=10, instrument_id=2)
    venue.fund(2, 24)
    venue.place(1, "sell", 3, 100, instrument_id=2)
    # 3 × 100 × 333 = 99,900; held for the larger fee rounded up: 123.28 → 124.
    assert refusal(venue.place(2, "buy", 1_000, 100, instrument_id=2))[1] == 33_300_000 + 41_093
    trade = venue.place(2, "buy", 3, 100, instrument_id=2)[1]
    assert (trade["fee_micros"], trade["counter_fee_micros"], trade["tax_micros"]) == (123, 10, 99)
    assert venue.cash(2) == (100_024 - 99_900 - 123, 0)
    assert venue.cash(1) == (100_000 + 99_900 - 10 - 99, 0)


def test_immediate_or_cancel(venue: Any) -> None:
    venue.place(1, "sell", 5, 100)
    accepted, trade, cancelled = venue.place(2, "buy", 8, 100, time_in_force=4)
    assert "leaves_lots" not in accepted
    assert trade["quantity_lots"] == 5
    assert (cancelled["reason"], cancelled["quantity_lots"]) == ("IOC_REST", 3)
    assert venue.cash(2) == (95_000, 0)


def test_minimum_quantity(venue: Any) -> None:
    venue.place(1, "sell", 5, 100)
    events = venue.place(2, "buy", 8, 100, time_in_force=4, min_quantity_lots=6)
    assert (events[1]["reason"], events[1]["quantity_lots"]) == ("MIN_QUANTITY_NOT_MET", 8)
    assert kinds(venue.place(2, "buy", 8, 100, time_in_force=4, min_quantity_lots=5)) == [
        "ACCEPTED",
        "TRADE",
        "CANCELLED",
    ]


def test_fill_or_kill(venue: Any) -> None:
    venue.place(1, "sell", 5, 100)
    venue.place(1, "sell", 5, 200)
    killed = venue.place(2, "buy", 10, 199, time_in_force=5)
    assert (killed[1]["reason"], killed[1]["quantity_lots"]) == ("FOK_NOT_FILLABLE", 10)
    assert kinds(venue.place(2, "buy", 10, 200, time_in_force=5)) == ["ACCEPTED", "TRADE", "TRADE"]


@pytest.mark.parametrize(
    ("prevention", "killed"), [(0, False), (1, False), (2, True), (3, True), (4, True), (5, True)]
)
def test_fill_or_kill_does_not_count_own_orders(venue: Any, prevention: int, killed: bool) -> None:
    venue.place(2, "sell", 5, 100)
    venue.place(1, "sell", 5, 101)
    events = venue.place(2, "buy", 10, 101, time_in_force=5, self_trade_prevention=prevention)
    assert (events[-1].get("reason") == "FOK_NOT_FILLABLE") == killed
    # Without its own order, five lots are there: behind one that is skipped, not behind one that stops.
    if killed:
        events = venue.place(2, "buy", 5, 101, time_in_force=5, self_trade_prevention=prevention)
        assert (events[-1]["kind"] == "TRADE") == (prevention == 3)


def test_market_order_stops_at_its_band(venue: Any) -> None:
    venue.define(market_band_ppm=50_000)
    for price in (100, 105, 106):
        venue.place(1, "sell", 1, price)
    accepted, *rest = venue.market(2, "buy", 3)
    assert accepted["price_ticks"] == 105
    assert [it["kind"] for it in rest] == ["TRADE", "TRADE", "CANCELLED"]
    venue.place(2, "buy", 1, 99)
    # 99 × 0.95 = 94.05, rounded up.
    assert venue.market(1, "sell", 1)[0]["price_ticks"] == 95


def test_post_only(venue: Any) -> None:
    venue.define(2, bands=((0, 1), (90, 10)))
    venue.fund(1, 10**6, 50, instrument_id=2)
    venue.place(1, "sell", 1, 100, instrument_id=2)
    assert refusal(venue.place(2, "buy", 1, 100, instrument_id=2, post_only=1)) == (
        "POST_ONLY_WOULD_TRADE",
        100,
        0,
    )
    assert venue.place(2, "buy", 1, 110, instrument_id=2, post_only=2)[0]["price_ticks"] == 90
    assert venue.place(1, "sell", 1, 80, instrument_id=2, post_only=2)[0]["price_ticks"] == 100


def test_slide_beyond_the_limits_is_refused(venue: Any) -> None:
    venue.define(price_limit_ppm=100_000)
    venue.place(1, "sell", 1, 95)
    venue.do("SET_REFERENCE_PRICE", instrument_id=1, price_ticks=106)
    assert refusal(venue.place(2, "buy", 1, 96, post_only=2)) == ("POST_ONLY_WOULD_TRADE", 95, 0)


@pytest.mark.parametrize(
    ("prevention", "expected"),
    [
        (0, [("ACCEPTED", 0), ("TRADE", 5), ("TRADE", 3)]),
        (1, [("ACCEPTED", 0), ("TRADE", 5), ("TRADE", 3)]),
        (2, [("ACCEPTED", 0), ("CANCELLED", 8)]),
        (3, [("ACCEPTED", 5), ("CANCELLED", 5), ("TRADE", 3)]),
        (4, [("ACCEPTED", 0), ("CANCELLED", 5), ("CANCELLED", 8)]),
        (5, [("ACCEPTED", 0), ("CANCELLED", 5), ("REDUCED", 5), ("TRADE", 3)]),
    ],
)
def test_self_trade_prevention(venue: Any, prevention: int, expected: list[tuple[str, int]]) -> None:
    venue.place(1, "sell", 5, 100)
    venue.place(2, "sell", 3, 100)
    events = venue.place(1, "buy", 8, 100, self_trade_prevention=prevention)
    assert [it["kind"] for it in events] == [kind for kind, _ in expected]
    assert events[0].get("leaves_lots", 0) == expected[0][1]
    assert [it["quantity_lots"] for it in events[1:]] == [lots for _, lots in expected[1:]]


def test_decrement_leaves_the_larger_resting_order_its_place(venue: Any) -> None:
    venue.place(1, "sell", 9, 100)
    accepted, reduced, cancelled = venue.place(1, "buy", 4, 100, self_trade_prevention=5)
    assert (reduced["kind"], reduced["quantity_lots"], reduced["leaves_lots"]) == ("REDUCED", 4, 5)
    assert (cancelled["kind"], cancelled["order_id"]) == ("CANCELLED", accepted["order_id"])
    assert venue.lots(1) == (100, 5, 0)
    order = venue.core.order(reduced["order_id"])
    assert (order["quantity_lots"], order["leaves_lots"]) == (5, 5)


def test_order_ids_count_and_reuse_slots(venue: Any) -> None:
    first, second = (venue.place(1, "buy", 1, 50)[0]["order_id"] for _ in range(2))
    assert (first, second) == (1 << 24, 2 << 24 | 1)
    venue.do("CANCEL", account_id=1, order_id=first)
    assert venue.place(1, "buy", 1, 50)[0]["order_id"] == 3 << 24
    assert venue.core.order(first) is None


def test_venue_full(venue: Any, small_settings: Any) -> None:
    for _ in range(small_settings.max_orders):
        assert venue.place(1, "buy", 1, 1)[0]["kind"] == "ACCEPTED"
    assert refusal(venue.place(1, "buy", 1, 1)) == ("VENUE_FULL", 0, 0)
    assert refusal(venue.place(2, "sell", 1, 1)) == ("VENUE_FULL", 0, 0)
    venue.do("MASS_CANCEL", account_id=1)
    assert venue.core.open_order_count == 0
    assert venue.place(1, "buy", 1, 1)[0]["kind"] == "ACCEPTED"


def test_prices_that_lie_far_apart(new_venue: Any) -> None:
    venue = new_venue()
    venue.define(tick_value=1, max_price_ticks=2**40 - 1, reference_price_ticks=2**30)
    venue.fund(1, 4 * 10**18, 100)
    prices = [1, 63, 64, 4_095, 4_096, 2**20, 2**24 - 1, 2**30, 2**39]
    for price in prices:
        venue.place(1, "buy", 1, price)
        venue.place(1, "sell", 1, 2**40 - price)
    bids, asks = venue.core.book(1, 100)
    assert bids["price_ticks"].tolist() == [price for price in reversed(prices) if price != 2**39]
    assert asks["price_ticks"].tolist() == [2**40 - price for price in reversed(prices) if price != 2**39]


@pytest.mark.parametrize(
    ("reference", "bands", "lowest", "highest"),
    [
        (100, (), 90, 110),
        (4, (), 3, 5),  # a tenth of it is no tick
        (5, (), 4, 6),
        (1, (), 1, 2),
        (20, ((0, 5),), 15, 25),
    ],
)
def test_the_limits_leave_a_price_on_each_side(
    new_venue: Any, reference: int, bands: Any, lowest: int, highest: int
) -> None:
    venue = new_venue()
    venue.define(bands=bands, price_limit_ppm=100_000, reference_price_ticks=reference)
    venue.fund(1, 10**6)
    step = bands[0][1] if bands else 1
    for price in (lowest, reference, highest):
        assert venue.place(1, "buy", 1, price)[0]["kind"] == "ACCEPTED"
    for price in (lowest - step, highest + step):
        assert venue.place(1, "buy", 1, price)[0]["reason"] in ("PRICE_LIMIT", "INVALID_PRICE")


def test_a_redefinition_leaves_the_reference_among_its_prices(new_venue: Any) -> None:
    venue = new_venue()
    venue.define()
    (event,) = venue.define(max_price_ticks=50, reference_price_ticks=50)
    assert (event["kind"], event["reason"]) == ("COMMAND_REJECTED", "INVALID_INSTRUMENT")
    assert venue.define(max_price_ticks=100)[0]["kind"] == "INSTRUMENT_DEFINED"
