"""Deposits, withdrawals, settlement T+1, definitions and trading states."""

from typing import Any

import pytest


def reason(events: list[dict[str, Any]]) -> tuple[str, int, int]:
    (event,) = events
    assert event["kind"] == "COMMAND_REJECTED"
    return event["reason"], event.get("required", 0), event.get("available", 0)


def test_deposits_and_withdrawals(venue: Any) -> None:
    (event,) = venue.request("DEPOSIT_CASH", 5, amount_micros=70, currency_id=3)
    assert (event["kind"], event["required"], event["available"], event["currency_id"]) == (
        "CASH_DEPOSITED",
        70,
        70,
        3,
    )
    (event,) = venue.request("WITHDRAW_CASH", 5, amount_micros=30, currency_id=3)
    assert (event["kind"], event["required"], event["available"]) == ("CASH_WITHDRAWN", 30, 40)
    (event,) = venue.request("WITHDRAW_SHARES", 1, instrument_id=1, quantity_lots=40)
    assert (event["kind"], event["quantity_lots"], event["available"]) == ("SHARES_WITHDRAWN", 40, 60)
    assert venue.core.cash(5) == [(3, 40, 0)]


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("DEPOSIT_CASH", {"request_id": 0}, ("INVALID_ID", 0, 0)),
        ("DEPOSIT_CASH", {"account_id": 0}, ("INVALID_ID", 0, 0)),
        ("DEPOSIT_CASH", {"currency_id": 16, "amount_micros": 1}, ("UNKNOWN_CURRENCY", 0, 0)),
        ("DEPOSIT_CASH", {"amount_micros": 0}, ("INVALID_AMOUNT", 0, 0)),
        ("DEPOSIT_CASH", {"amount_micros": 4 * 10**18 - 199_999}, ("INVALID_AMOUNT", 0, 0)),
        ("DEPOSIT_SHARES", {"quantity_lots": 2**63 - 1, "instrument_id": 1}, ("INVALID_AMOUNT", 0, 0)),
        ("DEPOSIT_SHARES", {"quantity_lots": 1, "instrument_id": 3}, ("UNKNOWN_INSTRUMENT", 0, 0)),
        ("WITHDRAW_CASH", {"amount_micros": 100_001}, ("INSUFFICIENT_FUNDS", 100_001, 100_000)),
        ("WITHDRAW_CASH", {"amount_micros": 1, "account_id": 6}, ("INSUFFICIENT_FUNDS", 1, 0)),
        ("WITHDRAW_SHARES", {"quantity_lots": 101, "instrument_id": 1}, ("INSUFFICIENT_HOLDINGS", 101, 100)),
    ],
)
def test_refused_moves(venue: Any, kind: str, fields: dict[str, int], expected: tuple[str, int, int]) -> None:
    assert reason(venue.request(kind, **{"account_id": 1, **fields})) == expected
    assert (venue.cash(1), venue.lots(1)) == ((100_000, 0), (100, 0, 0))


def test_what_is_held_cannot_be_withdrawn(venue: Any) -> None:
    venue.place(1, "buy", 10, 90)
    venue.place(1, "sell", 10, 99)
    assert reason(venue.request("WITHDRAW_CASH", 1, amount_micros=91_001)) == (
        "INSUFFICIENT_FUNDS",
        91_001,
        91_000,
    )
    expected = ("INSUFFICIENT_HOLDINGS", 91, 90)
    assert reason(venue.request("WITHDRAW_SHARES", 1, instrument_id=1, quantity_lots=91)) == expected


def test_no_room_for_another_account(venue: Any, small_settings: Any) -> None:
    for account in range(3, small_settings.max_accounts + 1):
        venue.fund(account, 1)
    assert reason(venue.request("DEPOSIT_CASH", 99, amount_micros=1)) == ("LIMIT_REACHED", 0, 0)
    assert reason(venue.request("DEPOSIT_SHARES", 99, instrument_id=1, quantity_lots=1)) == (
        "LIMIT_REACHED",
        0,
        0,
    )
    assert venue.core.account_count == small_settings.max_accounts


def test_bought_today_sold_tomorrow(venue: Any) -> None:
    venue.define(2, settlement=2)
    venue.fund(1, lots=10, instrument_id=2)
    venue.place(1, "sell", 4, 100, instrument_id=2)
    venue.place(2, "buy", 4, 100, instrument_id=2)
    assert venue.lots(2, 2) == (4, 0, 4)
    (event,) = venue.place(2, "sell", 1, 100, instrument_id=2)
    assert (event["reason"], event["required"]) == ("INSUFFICIENT_HOLDINGS", 1)
    assert venue.do("ROLL_DAY", trading_day=1)[-1]["kind"] == "DAY_ROLLED"
    assert venue.lots(2, 2) == (4, 0, 0)
    assert venue.place(2, "sell", 4, 100, instrument_id=2)[0]["kind"] == "ACCEPTED"


BROKEN: list[dict[str, Any]] = [
    {"instrument_id": 0},
    {"instrument_id": 65_536},
    {"board_lot": 0},
    {"odd_lot_rule": 3},
    {"settlement": 0},
    {"trading_state": 4},
    {"bands": ((1, 1),)},
    {"bands": ((0, 1), (5, 0))},
    {"bands": ((0, 1), (5, 1), (5, 2))},
    {"bands": tuple((place, 1) for place in range(17))},
    {"price_limit_ppm": 10**6},
    {"reference_price_ticks": 10_001},
    {"max_price_ticks": 2**40},
    {"max_order_lots": 2**40},
    {"tick_value": 10**18},
    {"market_band_ppm": 10**6 + 1},
    {"maker_fee_ppm": 100_001},
    {"stamp_duty_ppm": -1},
    {"currency_id": 16},
]


@pytest.mark.parametrize("changes", BROKEN)
def test_broken_rules_are_refused(venue: Any, changes: dict[str, Any]) -> None:
    before = venue.core.instrument(1).tolist()
    (event,) = venue.define(**{"instrument_id": 2, **changes})
    assert (event["kind"], event["reason"]) == ("COMMAND_REJECTED", "INVALID_INSTRUMENT")
    assert venue.core.instrument_count == 1
    assert venue.core.instrument(1).tolist() == before


def test_rules_may_change_while_nothing_that_rests_is_harmed(venue: Any) -> None:
    for refused in ({"tick_value": 11}, {"settlement": 2}, {"currency_id": 1}):
        assert reason(venue.define(**refused))[0] == "INVALID_INSTRUMENT"
    assert venue.define(maker_fee_ppm=50, max_price_ticks=9_999)[0]["kind"] == "INSTRUMENT_DEFINED"
    venue.place(1, "buy", 10, 90)
    worse = {"maker_fee_ppm": 50, "max_price_ticks": 9_999}
    for refused in (
        {"taker_fee_ppm": 1},
        {"stamp_duty_ppm": 1},
        {"max_price_ticks": 9_998},
        {"max_order_lots": 999},
    ):
        assert reason(venue.define(**{**worse, **refused}))[0] == "INVALID_INSTRUMENT"
    held = venue.cash(1)
    assert venue.define(**{**worse, "maker_fee_ppm": 0})[0]["kind"] == "INSTRUMENT_DEFINED"
    assert venue.cash(1) == held


def test_no_room_for_another_instrument(venue: Any, small_settings: Any) -> None:
    for instrument in range(2, small_settings.max_instruments + 1):
        venue.define(instrument * 1_000)
    assert reason(venue.define(60_000))[0] == "LIMIT_REACHED"
    assert venue.core.instrument_ids().tolist() == [1, 2_000, 3_000, 4_000]


def test_states_and_reference_prices(venue: Any) -> None:
    venue.define(7)
    changed = venue.do("SET_TRADING_STATE", trading_state=2, request_id=3)
    assert [(it["instrument_id"], it["trading_state"], it["request_id"]) for it in changed] == [
        (1, 2, 3),
        (7, 2, 3),
    ]
    assert reason(venue.do("SET_TRADING_STATE", instrument_id=2, trading_state=1))[0] == "UNKNOWN_INSTRUMENT"
    assert reason(venue.do("SET_TRADING_STATE", trading_state=4))[0] == "INVALID_COMMAND"
    assert reason(venue.do("SET_REFERENCE_PRICE", instrument_id=2, price_ticks=1))[0] == "UNKNOWN_INSTRUMENT"
    refused = reason(venue.do("SET_REFERENCE_PRICE", instrument_id=7, price_ticks=10_001))
    assert refused == ("INVALID_PRICE", 10_000, 0)
    venue.do("SET_REFERENCE_PRICE", instrument_id=7, price_ticks=55)
    assert venue.core.instrument(7)["reference_price_ticks"] == 55


def test_unknown_kind(venue: Any) -> None:
    command = venue.command("CLOCK", account_id=3, request_id=9)
    command["kind"] = 200
    (event,) = venue.seen(venue.core.apply(command, venue.now))
    assert (event["kind"], event["reason"], event["request_id"]) == ("COMMAND_REJECTED", "INVALID_COMMAND", 9)


def test_unknown_instruments_and_accounts_have_nothing(venue: Any) -> None:
    for number in (0, 2, 65_535, 65_536, -1):
        with pytest.raises(KeyError):
            venue.core.book(number, 1)
    assert venue.core.cash(77) == []
    assert len(venue.core.holdings(2**40)) == len(venue.core.account_orders(0)) == 0
    assert venue.core.account_ids().tolist() == [1, 2]


def test_every_holding_row_is_kept_for_open_orders(new_venue: Any, small_settings: Any) -> None:
    from dataclasses import replace

    venue = new_venue(replace(small_settings, max_holdings=3))
    venue.define()
    for account in (1, 2, 3):
        venue.fund(account, 10_000)
    venue.fund(1, lots=10)
    assert venue.place(1, "sell", 1, 100)[0]["kind"] == "ACCEPTED"
    assert venue.place(2, "buy", 1, 90)[0]["kind"] == "ACCEPTED"
    assert venue.place(3, "buy", 1, 100)[0]["reason"] == "VENUE_FULL"
    assert reason(venue.request("DEPOSIT_SHARES", 3, instrument_id=1, quantity_lots=1))[0] == "LIMIT_REACHED"
