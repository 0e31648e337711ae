"""Clocks, GTD and DAY orders, sessions, and the order in which they end."""

from typing import Any

import pytest

SECOND = 10**9


def test_gtd_orders_end_by_time_then_id(venue: Any) -> None:
    ends = [venue.now + seconds * SECOND for seconds in (5, 3, 5, 4, 9)]
    ids = [venue.place(1, "buy", 1, 90, time_in_force=3, expire_time_ns=end)[0]["order_id"] for end in ends]
    venue.do("CANCEL", account_id=1, order_id=ids[3])
    venue.now += 2 * SECOND
    assert venue.do("CLOCK") == []
    venue.now += 3 * SECOND
    events = venue.do("CLOCK")
    assert [it["order_id"] for it in events] == [ids[1], ids[0], ids[2]]
    assert {it["reason"] for it in events} == {"EXPIRED"}
    assert venue.do("CLOCK") == []


def test_an_amended_gtd_order_still_expires(venue: Any) -> None:
    order = venue.place(1, "buy", 5, 90, time_in_force=3, expire_time_ns=venue.now + SECOND)[0]["order_id"]
    venue.request("AMEND", 1, order_id=order, price_ticks=80)
    venue.now += SECOND
    assert [it["price_ticks"] for it in venue.do("CLOCK")] == [80]


def test_time_never_goes_back(venue: Any) -> None:
    venue.do("CLOCK")
    then = venue.core.now
    venue.now -= 5 * SECOND
    venue.do("CLOCK")
    assert venue.core.now == then


def test_the_day_ends(venue: Any) -> None:
    venue.define(2)
    venue.fund(1, lots=10, instrument_id=2)
    days = [venue.place(1, "buy", 1, price, time_in_force=2)[0]["order_id"] for price in (80, 90)]
    venue.place(1, "buy", 1, 85)
    days.append(venue.place(1, "sell", 1, 120, instrument_id=2, time_in_force=2)[0]["order_id"])
    venue.place(2, "sell", 1, 90, time_in_force=2)
    *cancelled, rolled = venue.do("ROLL_DAY", trading_day=1, request_id=8)
    assert [it["order_id"] for it in cancelled] == [days[0], days[2]]
    assert {it["reason"] for it in cancelled} == {"DAY_ENDED"}
    assert (rolled["quantity_lots"], rolled["available"], rolled["request_id"]) == (2, 2, 8)
    assert venue.core.instrument(1)["reference_price_ticks"] == 90
    assert venue.core.instrument(2)["reference_price_ticks"] == 100
    (refused,) = venue.do("ROLL_DAY", trading_day=1)
    assert (refused["reason"], refused["required"], refused["available"]) == ("INVALID_COMMAND", 2, 1)
    assert venue.core.trading_day == 2


def test_a_silent_session_takes_its_orders_along(venue: Any) -> None:
    assert (
        venue.do("SESSION_OPEN", account_id=1, session_id=7, grace_ns=SECOND)[0]["kind"] == "SESSION_OPENED"
    )
    venue.do("SESSION_OPEN", account_id=2, session_id=3, grace_ns=2 * SECOND)
    mine = [venue.place(1, "buy", 1, 90, session_id=7)[0]["order_id"] for _ in range(2)]
    venue.place(1, "buy", 1, 90)
    assert venue.place(2, "buy", 1, 90, session_id=7)[0]["reason"] == "UNKNOWN_SESSION"
    venue.now += SECOND
    assert venue.do("CLOCK") == []
    assert venue.do("SESSION_BEAT", account_id=2, session_id=3) == []
    venue.now += 1
    *cancelled, ended = venue.do("CLOCK")
    assert [(it["order_id"], it["reason"]) for it in cancelled] == [(order, "DISCONNECTED") for order in mine]
    assert (ended["kind"], ended["order_id"], ended["quantity_lots"]) == ("SESSION_ENDED", 7, 2)
    assert venue.core.sessions().tolist() == [(3, 2, 2 * SECOND, venue.now - 1)]


def test_sessions_are_refused(venue: Any, small_settings: Any) -> None:
    def refused(kind: str, **fields: int) -> str:
        (event,) = venue.do(kind, **fields)
        assert event["kind"] == "COMMAND_REJECTED"
        return str(event["reason"])

    assert refused("SESSION_OPEN", account_id=1, session_id=0, grace_ns=SECOND) == "INVALID_ID"
    assert refused("SESSION_OPEN", account_id=1, session_id=1, grace_ns=10**8 - 1) == "INVALID_ID"
    for session in range(small_settings.max_sessions, 0, -1):
        venue.do("SESSION_OPEN", account_id=1, session_id=session, grace_ns=2**63 - 1)
    assert refused("SESSION_OPEN", account_id=2, session_id=1, grace_ns=SECOND) == "UNKNOWN_SESSION"
    assert refused("SESSION_OPEN", account_id=2, session_id=9, grace_ns=SECOND) == "LIMIT_REACHED"
    assert refused("SESSION_BEAT", account_id=2, session_id=1) == "UNKNOWN_SESSION"
    assert venue.core.sessions()["session_id"].tolist() == [1, 2, 3, 4]
    venue.now += 100 * SECOND
    assert venue.do("CLOCK") == []


def test_checkpoints_say_nothing(venue: Any) -> None:
    before = venue.core.state_hash()
    assert venue.do("CHECKPOINT") == []
    assert venue.core.state_hash() == before


def test_a_reference_that_was_set_lasts_until_there_is_a_trade(new_venue: Any) -> None:
    """Say, the price without a dividend: a day without trades does not bring the old one back."""
    venue = new_venue()
    venue.define()
    venue.fund(1, 10**6)
    venue.fund(2, 0, 100)

    def trade(price: int) -> None:
        venue.place(1, "buy", 1, price)
        assert venue.place(2, "sell", 1, price)[-1]["kind"] == "TRADE"

    def rolled() -> int:
        venue.do("ROLL_DAY", trading_day=venue.core.trading_day)
        return int(venue.core.instrument(1)["reference_price_ticks"])

    trade(100)
    assert rolled() == 100
    venue.do("SET_REFERENCE_PRICE", instrument_id=1, price_ticks=50)
    assert [rolled(), rolled()] == [50, 50]
    trade(52)
    assert [rolled(), rolled()] == [52, 52]


@pytest.mark.parametrize(
    "move",
    [
        lambda venue: venue.do("SET_REFERENCE_PRICE", instrument_id=1, price_ticks=50),
        lambda venue: venue.define(price_limit_ppm=50_000),
    ],
    ids=["reference", "rules"],
)
def test_nobody_trades_outside_limits_that_have_moved(new_venue: Any, move: Any) -> None:
    """A share is split in two, or its limits are halved: the bids of before would pay more than the day allows."""
    venue = new_venue()
    venue.define(price_limit_ppm=100_000)
    venue.fund(1, 100_000, 100)
    venue.place(1, "buy", 1, 108)
    for lots in (2, 3):
        venue.place(1, "buy", lots, 110)
    venue.place(1, "buy", 4, 90)
    outcome, *gone = move(venue)
    assert outcome["kind"] in ("REFERENCE_PRICE_SET", "INSTRUMENT_DEFINED")
    assert [(it["kind"], it["reason"], it["price_ticks"], it["quantity_lots"]) for it in gone] == [
        ("CANCELLED", "LIMITS_MOVED", 110, 2),
        ("CANCELLED", "LIMITS_MOVED", 110, 3),
        ("CANCELLED", "LIMITS_MOVED", 108, 1),
    ] + [("CANCELLED", "LIMITS_MOVED", 90, 4)] * (outcome["kind"] == "REFERENCE_PRICE_SET")


def test_asks_below_the_limits_go_and_those_above_stay(new_venue: Any) -> None:
    venue = new_venue()
    venue.define(price_limit_ppm=100_000)
    venue.fund(1, lots=10)
    venue.place(1, "sell", 1, 95)
    venue.place(1, "sell", 2, 104)
    assert [it["kind"] for it in venue.do("SET_REFERENCE_PRICE", instrument_id=1, price_ticks=90)] == [
        "REFERENCE_PRICE_SET"
    ]
    seen = venue.do("SET_REFERENCE_PRICE", instrument_id=1, price_ticks=115)
    assert [(it["kind"], it["price_ticks"]) for it in seen[1:]] == [("CANCELLED", 95)]


def test_a_day_whose_limits_leave_an_order_outside_cancels_it(new_venue: Any) -> None:
    """The last trade lies far below a bid, since the limits were other ones then."""
    venue = new_venue()
    venue.define(price_limit_ppm=0)
    venue.fund(1, 100_000, 100)
    venue.place(1, "buy", 1, 50)
    venue.place(1, "sell", 1, 50)
    venue.place(1, "buy", 1, 105, time_in_force=2)
    venue.place(1, "buy", 2, 104)
    venue.define(price_limit_ppm=100_000)
    seen = venue.do("ROLL_DAY", trading_day=1)
    assert [(it["kind"], it.get("reason")) for it in seen] == [
        ("CANCELLED", "DAY_ENDED"),
        ("CANCELLED", "LIMITS_MOVED"),
        ("DAY_ROLLED", None),
    ]
    assert seen[-1]["quantity_lots"] == 1
    assert venue.cash(1)[1] == 0
