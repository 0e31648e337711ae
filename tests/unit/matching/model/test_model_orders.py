"""Worked cases by hand: orders in the reference model."""

import pytest
from reference.records import Settings
from reference.scenario import SECOND, START_NS, Scenario, kinds, trades
from reference.words import Flag, Kind, PostOnly, Prevention, Side, TimeInForce

BUY, SELL = Side.BUY, Side.SELL
IOC, FOK, DAY, GTD = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.DAY, TimeInForce.GTD


def test_best_price_first_then_oldest_at_the_resting_price() -> None:
    market = Scenario()
    for account, price in ((1, 1001), (2, 1000), (1, 1000)):
        market.place(account, SELL, 10, price)
    events = market.place(2, BUY, 25, 1005)
    assert trades(events) == [(1000, 10, 2), (1000, 10, 1), (1001, 5, 1)]
    assert events[0].leaves_lots == 0
    assert [event.leaves_lots for event in events[1:]] == [15, 5, 0]
    assert events[-1].counter_leaves_lots == 5


def test_rest_of_a_limit_order_rests_and_accepted_says_so_first() -> None:
    market = Scenario()
    market.place(1, SELL, 10, 1000)
    events = market.place(2, BUY, 15, 1000)
    assert kinds(events) == ["ACCEPTED", "TRADE"]
    assert events[0].leaves_lots == 5
    assert [order.leaves for order in market.market.instruments[1].bids] == [5]


def test_fees_and_duty_to_the_micro() -> None:
    market = Scenario(tick_value=1, maker_fee_ppm=333, taker_fee_ppm=1001, stamp_duty_ppm=999)
    market.place(1, SELL, 7, 1001)
    events = market.place(2, BUY, 7, 1001)
    worth = 7 * 1001  # 7,007 micros; 2.33 maker fee, 7.01 taker fee, 6.99 duty: all rounded down
    assert (events[1].counter_fee_micros, events[1].fee_micros, events[1].tax_micros) == (2, 7, 6)
    assert market.cash(1) == (10**12 + worth - 2 - 6, 0)
    assert market.cash(2) == (10**12 - worth - 7, 0)


def test_reserve_of_a_buy_is_value_and_the_larger_fee_rounded_up() -> None:
    market = Scenario(tick_value=1, maker_fee_ppm=333, taker_fee_ppm=1001)
    market.place(1, BUY, 7, 1001)
    assert market.cash(1) == (10**12, 7007 + 8)


def test_reserve_stays_as_booked_until_the_order_changes() -> None:
    market = Scenario(tick_value=1, taker_fee_ppm=1000)
    market.place(1, BUY, 10, 1000)
    market.redefine(taker_fee_ppm=0)
    assert market.cash(1) == (10**12, 10_010)
    market.place(2, SELL, 4, 1000)
    assert market.cash(1) == (10**12 - 4000, 6000)


@pytest.mark.parametrize(("side", "reason"), [(BUY, "INSUFFICIENT_FUNDS"), (SELL, "INSUFFICIENT_HOLDINGS")])
def test_unpayable_orders_are_rejected_with_numbers(side: Side, reason: str) -> None:
    market = Scenario()
    (event,) = market.place(1, side, 2000, 99_999)
    assert kinds([event]) == [f"REJECTED {reason}"]
    numbers = (2000 * 99_999 * 10_000, 10**12) if side == BUY else (2000, 1000)
    assert (event.required, event.available) == numbers


def test_market_order_stops_at_its_band() -> None:
    market = Scenario(market_band_ppm=10_000)
    for price in (1000, 1010, 1011):
        market.place(1, SELL, 5, price)
    events = market.place(2, BUY, 15, 0)
    assert events[0].price_ticks == 1010
    assert trades(events) == [(1000, 5, 1), (1010, 5, 1)]
    assert kinds(events)[-1] == "CANCELLED IOC_REST"


def test_fill_or_kill_is_all_or_nothing() -> None:
    market = Scenario()
    market.place(1, SELL, 5, 1000)
    market.place(1, SELL, 5, 1001)
    assert kinds(market.place(2, BUY, 11, 1001, time_in_force=FOK)) == [
        "ACCEPTED",
        "CANCELLED FOK_NOT_FILLABLE",
    ]
    assert trades(market.place(2, BUY, 10, 1001, time_in_force=FOK)) == [(1000, 5, 1), (1001, 5, 1)]


@pytest.mark.parametrize(
    ("mode", "fills"),
    [
        (Prevention.NONE, True),
        (Prevention.CANCEL_NEWEST, False),
        (Prevention.CANCEL_OLDEST, True),
        (Prevention.CANCEL_BOTH, False),
        (Prevention.DECREMENT_AND_CANCEL, False),
    ],
)
def test_fill_or_kill_counts_what_prevention_lets_it_reach(mode: Prevention, fills: bool) -> None:
    market = Scenario()
    market.place(1, SELL, 5, 1000)
    market.place(2, SELL, 5, 1001)
    market.place(1, SELL, 5, 1002)
    events = market.place(2, BUY, 10, 1002, time_in_force=FOK, self_trade_prevention=mode)
    assert bool(trades(events)) == fills


def test_minimum_quantity_must_be_there_at_once() -> None:
    market = Scenario()
    market.place(1, SELL, 5, 1000)
    missed = market.place(2, BUY, 10, 1000, time_in_force=IOC, min_quantity_lots=6)
    assert kinds(missed) == ["ACCEPTED", "CANCELLED MIN_QUANTITY_NOT_MET"]
    met = market.place(2, BUY, 10, 1000, time_in_force=IOC, min_quantity_lots=5)
    assert kinds(met) == ["ACCEPTED", "TRADE", "CANCELLED IOC_REST"]


def meet_own_order(mode: Prevention, resting: int, arriving: int) -> tuple[Scenario, list[str]]:
    market = Scenario()
    market.place(1, SELL, resting, 1000)
    market.place(2, SELL, 5, 1000)
    return market, kinds(market.place(1, BUY, arriving, 1000, self_trade_prevention=mode))


def test_cancel_newest() -> None:
    market, events = meet_own_order(Prevention.CANCEL_NEWEST, 5, 5)
    assert events == ["ACCEPTED", "CANCELLED SELF_TRADE"]
    assert len(market.market.instruments[1].asks) == 2


def test_cancel_oldest() -> None:
    market, events = meet_own_order(Prevention.CANCEL_OLDEST, 5, 5)
    assert events == ["ACCEPTED", "CANCELLED SELF_TRADE", "TRADE"]
    assert market.market.orders == {}


def test_cancel_both() -> None:
    market, events = meet_own_order(Prevention.CANCEL_BOTH, 5, 5)
    assert events == ["ACCEPTED", "CANCELLED SELF_TRADE", "CANCELLED SELF_TRADE"]
    assert [order.account_id for order in market.market.orders.values()] == [2]


def test_decrement_takes_from_both_and_goes_on() -> None:
    market, events = meet_own_order(Prevention.DECREMENT_AND_CANCEL, 3, 5)
    assert events == ["ACCEPTED", "CANCELLED SELF_TRADE", "REDUCED SELF_TRADE", "TRADE"]
    assert [order.leaves for order in market.market.orders.values()] == [3]
    _, events = meet_own_order(Prevention.DECREMENT_AND_CANCEL, 5, 3)
    assert events == ["ACCEPTED", "REDUCED SELF_TRADE", "CANCELLED SELF_TRADE"]


def test_post_only_rejects_or_slides_to_the_next_valid_price() -> None:
    market = Scenario(bands=[(0, 1), (1000, 5)])
    market.place(1, SELL, 5, 1000)
    (rejected,) = market.place(2, BUY, 5, 1000, post_only=PostOnly.REJECT)
    assert kinds([rejected]) == ["REJECTED POST_ONLY_WOULD_TRADE"]
    assert rejected.required == 1000
    slid = market.place(2, BUY, 5, 1000, post_only=PostOnly.SLIDE)
    assert (kinds(slid), slid[0].price_ticks) == (["ACCEPTED"], 999)
    assert market.place(1, SELL, 5, 999, post_only=PostOnly.SLIDE)[0].price_ticks == 1000


def test_order_ids_count_up_and_slots_come_back_last_in_first_out() -> None:
    market = Scenario()
    first, second = (market.place(1, SELL, 5, price)[0].order_id for price in (1000, 1001))
    assert (first, second) == (1 << 24 | 0, 2 << 24 | 1)
    taker = market.place(2, BUY, 5, 1000)[0].order_id
    assert taker == 3 << 24 | 2  # its slot was taken before it matched, and is given back last
    assert market.place(2, BUY, 1, 999)[0].order_id == 4 << 24 | 2
    assert market.place(2, BUY, 1, 999)[0].order_id == 5 << 24 | 0


def test_less_quantity_keeps_the_place_more_loses_it() -> None:
    market = Scenario()
    first = market.place(1, SELL, 10, 1000)[0].order_id
    second = market.place(1, SELL, 10, 1000)[0].order_id
    (kept,) = market.do(Kind.AMEND, 1, order_id=first, quantity_lots=5)
    assert (kept.flags, kept.quantity_lots, kept.leaves_lots) == (Flag.KEPT_PRIORITY, 5, 5)
    assert list(market.market.orders) == [first, second]
    (lost,) = market.do(Kind.AMEND, 1, order_id=first, quantity_lots=6)
    assert lost.flags == 0
    assert [order.order_id for order in market.market.instruments[1].asks] == [second, first]


def test_amend_counts_what_has_traded_and_replace_does_not() -> None:
    market = Scenario()
    order_id = market.place(1, SELL, 10, 1000)[0].order_id
    market.place(2, BUY, 4, 1000)
    (below,) = market.do(Kind.AMEND, 1, order_id=order_id, quantity_lots=4)
    assert kinds([below]) == ["AMEND_REJECTED QUANTITY_BELOW_EXECUTED"]
    assert (below.required, below.available) == (4, 4)
    assert market.do(Kind.AMEND, 1, order_id=order_id, quantity_lots=9)[0].leaves_lots == 5
    (replaced,) = market.do(Kind.REPLACE, 1, order_id=order_id, quantity_lots=9)
    assert (replaced.quantity_lots, replaced.leaves_lots, replaced.flags) == (13, 9, 0)


def test_amended_price_may_trade_under_the_same_id() -> None:
    market = Scenario()
    market.place(1, SELL, 4, 1000)
    order_id, client_id = (lambda event: (event.order_id, event.client_order_id))(
        market.place(2, BUY, 10, 999)[0]
    )
    events = market.do(Kind.AMEND, 2, client_order_id=client_id, price_ticks=1001)
    assert kinds(events) == ["AMENDED", "TRADE"]
    assert (events[0].order_id, events[0].leaves_lots) == (order_id, 6)


def test_others_orders_are_unknown() -> None:
    market = Scenario()
    order_id = market.place(1, SELL, 4, 1000)[0].order_id
    assert kinds(market.do(Kind.CANCEL, 2, order_id=order_id)) == ["CANCEL_REJECTED UNKNOWN_ORDER"]
    assert kinds(market.do(Kind.AMEND, 2, order_id=order_id)) == ["AMEND_REJECTED UNKNOWN_ORDER"]
    assert kinds(market.do(Kind.CANCEL, 1, order_id=order_id)) == ["CANCELLED CANCELLED_BY_OWNER"]


def test_mass_cancel_by_side_in_order_of_ids() -> None:
    market = Scenario()
    for side, price in ((SELL, 1001), (BUY, 999), (SELL, 1000)):
        market.place(1, side, 1, price)
    market.place(2, SELL, 1, 1000)
    events = market.do(Kind.MASS_CANCEL, 1, side=SELL)
    assert [event.price_ticks for event in events[:2]] == [1001, 1000]
    assert (kinds(events)[-1], events[-1].quantity_lots) == ("MASS_CANCELLED", 2)
    assert kinds(market.do(Kind.MASS_CANCEL, 1, side=3)) == ["COMMAND_REJECTED INVALID_SIDE"]


def test_full_venue_takes_no_order_not_even_one_that_would_trade() -> None:
    market = Scenario(Settings(max_orders=1))
    market.place(1, SELL, 1, 1000)
    assert kinds(market.place(2, BUY, 1, 1000)) == ["REJECTED VENUE_FULL"]


def test_repeat_answers_with_the_first_outcome() -> None:
    market = Scenario()
    first = market.place(1, SELL, 5, 1000, client_order_id=77)[0]
    market.place(2, BUY, 3, 1000)
    (repeat,) = market.place(1, SELL, 8, 1234, client_order_id=77, create_time_ns=1)
    assert kinds([repeat]) == ["REPEATED"]
    assert (repeat.order_id, repeat.price_ticks, repeat.leaves_lots, repeat.flags) == (
        first.order_id,
        1000,
        5,
        0,
    )
    market.place(1, SELL, 5, 0, client_order_id=78, time_in_force=DAY)
    (again,) = market.place(1, SELL, 5, 1000, client_order_id=78)
    assert (kinds([again]), again.flags) == (["REPEATED INVALID_TIME_IN_FORCE"], Flag.FIRST_REJECTED)


def test_what_leaves_the_window_raises_the_floor() -> None:
    market = Scenario(Settings(window=2, skew_ns=0))
    order_id = market.place(1, SELL, 5, 1000, client_order_id=77)[0].order_id
    placed = market.time_ns
    for _ in range(2):
        market.place(1, SELL, 0, 1000)
    assert market.market.floor == placed
    (late,) = market.place(1, SELL, 5, 1000, client_order_id=99, create_time_ns=placed)
    assert kinds([late]) == ["REJECTED REQUEST_TOO_OLD"]
    (repeat,) = market.place(1, SELL, 1, 1, client_order_id=77, create_time_ns=placed)
    assert (kinds([repeat]), repeat.order_id, repeat.leaves_lots) == (["REPEATED"], order_id, 5)
    market.do(Kind.CANCEL, 1, order_id=order_id)
    assert kinds(market.place(1, SELL, 5, 1000, client_order_id=77)) == ["ACCEPTED"]


def test_requests_from_the_future_are_not_remembered() -> None:
    market = Scenario()
    late = START_NS + 3 * SECOND
    assert kinds(market.place(1, SELL, 5, 1000, client_order_id=5, create_time_ns=late)) == [
        "REJECTED REQUEST_FROM_FUTURE"
    ]
    assert kinds(market.place(1, SELL, 5, 1000, client_order_id=5)) == ["ACCEPTED"]


def test_good_till_date_ends_with_the_clock() -> None:
    market = Scenario()
    market.place(1, SELL, 5, 1000, time_in_force=GTD, expire_time_ns=START_NS + SECOND)
    assert kinds(market.do(Kind.CLOCK)) == []
    market.time_ns = START_NS + SECOND - 10**6
    assert kinds(market.do(Kind.CLOCK)) == ["CANCELLED EXPIRED"]
