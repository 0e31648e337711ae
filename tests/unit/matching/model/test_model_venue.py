"""Worked cases by hand: instruments, balances, sessions and days in the reference model."""

from dataclasses import fields

import pytest
from reference.records import Command, Event, Settings
from reference.scenario import SECOND, SHARE, Scenario, kinds, trades
from reference.words import (
    EventKind,
    Flag,
    Kind,
    OddLots,
    OrderType,
    PostOnly,
    Prevention,
    Reason,
    Settlement,
    Side,
    State,
    TimeInForce,
)
from smartex.matching.v1 import log_pb2, types_pb2

BUY, SELL = Side.BUY, Side.SELL
WORDS = {
    Kind: (log_pb2.CommandKind, "COMMAND_KIND"),
    EventKind: (log_pb2.EventKind, "EVENT_KIND"),
    Flag: (log_pb2.EventFlag, "EVENT_FLAG"),
    Reason: (types_pb2.Reason, "REASON"),
    Side: (types_pb2.Side, "SIDE"),
    OrderType: (types_pb2.OrderType, "ORDER_TYPE"),
    TimeInForce: (types_pb2.TimeInForce, "TIME_IN_FORCE"),
    PostOnly: (types_pb2.PostOnly, "POST_ONLY"),
    Prevention: (types_pb2.SelfTradePrevention, "SELF_TRADE_PREVENTION"),
    OddLots: (types_pb2.OddLotRule, "ODD_LOT_RULE"),
    Settlement: (types_pb2.Settlement, "SETTLEMENT"),
    State: (types_pb2.TradingState, "TRADING_STATE"),
}


@pytest.mark.parametrize("words", list(WORDS), ids=lambda words: words.__name__)
def test_words_are_those_of_the_contract(words: type[Kind]) -> None:
    contract, prefix = WORDS[words]
    expected = dict(contract.items())
    settlements = {"T0": "SETTLEMENT_T0", "T1": "SETTLEMENT_T1"}
    ours = {settlements.get(word.name, f"{prefix}_{word.name}"): int(word) for word in words}
    assert ours | {f"{prefix}_UNSPECIFIED": 0} == expected


@pytest.mark.parametrize("record", [Command, Event])
def test_records_have_the_fields_of_the_contract(record: type[Command] | type[Event]) -> None:
    contract = log_pb2.DESCRIPTOR.message_types_by_name[record.__name__]
    assert [item.name for item in fields(record)] == [field.name for field in contract.fields]


def test_daily_limits_are_rounded_to_the_nearest_tick() -> None:
    market = Scenario(price_limit_ppm=100_000, reference_price_ticks=1005)
    assert kinds(market.place(1, SELL, 1, 1106)) == ["ACCEPTED"]  # 1105.5 is rounded up
    (high,) = market.place(1, SELL, 1, 1107)
    assert (kinds([high]), high.required, high.available) == (["REJECTED PRICE_LIMIT"], 1106, 1107)
    (low,) = market.place(1, BUY, 1, 904)
    assert (kinds([low]), low.required) == (["REJECTED PRICE_LIMIT"], 905)


def test_bought_today_is_sold_tomorrow() -> None:
    market = Scenario(settlement=Settlement.T1)
    market.place(1, SELL, 100, 1000)
    market.place(2, BUY, 100, 1000)
    assert market.lots(2) == (1100, 0, 100)
    (rejected,) = market.place(2, SELL, 1001, 1000)
    assert (kinds([rejected]), rejected.available) == (["REJECTED INSUFFICIENT_HOLDINGS"], 1000)
    market.do(Kind.ROLL_DAY, trading_day=1)
    assert market.lots(2) == (1100, 0, 0)
    assert kinds(market.place(2, SELL, 1001, 1000)) == ["ACCEPTED"]


def test_odd_rest_is_sold_at_once_and_whole() -> None:
    market = Scenario(board_lot=100, odd_lot_rule=OddLots.SELL_REST)
    market.do(Kind.DEPOSIT_SHARES, 1, instrument_id=1, quantity_lots=37)
    (split,) = market.place(1, SELL, 36, 1000)
    assert (kinds([split]), split.required, split.available) == (["REJECTED OFF_LOT"], 100, 1037)
    (bought,) = market.place(1, BUY, 37, 1000)
    assert (kinds([bought]), bought.required, bought.available) == (["REJECTED OFF_LOT"], 100, 0)
    assert kinds(market.place(1, SELL, 137, 1000)) == ["ACCEPTED"]
    assert kinds(market.place(1, SELL, 37, 1000)) == ["REJECTED OFF_LOT"]


def test_day_orders_go_and_the_last_price_is_the_new_reference() -> None:
    market = Scenario(price_limit_ppm=100_000)
    market.place(1, SELL, 5, 1100)
    market.place(2, BUY, 5, 1100)
    market.place(1, SELL, 5, 1100, time_in_force=TimeInForce.DAY)
    market.place(1, SELL, 5, 1100)
    assert kinds(market.do(Kind.ROLL_DAY, trading_day=2)) == ["COMMAND_REJECTED INVALID_COMMAND"]
    events = market.do(Kind.ROLL_DAY, trading_day=1)
    assert kinds(events) == ["CANCELLED DAY_ENDED", "DAY_ROLLED"]
    assert (events[-1].quantity_lots, events[-1].available) == (1, 2)
    assert kinds(market.place(1, SELL, 5, 1210)) == ["ACCEPTED"]


def test_halt_stops_orders_and_amendments_but_no_cancel() -> None:
    market = Scenario()
    order_id = market.place(1, SELL, 5, 1000)[0].order_id
    market.do(Kind.SET_TRADING_STATE, trading_state=State.HALTED)
    assert kinds(market.place(2, BUY, 5, 1000)) == ["REJECTED INSTRUMENT_HALTED"]
    assert kinds(market.do(Kind.AMEND, 1, order_id=order_id, quantity_lots=4)) == [
        "AMEND_REJECTED INSTRUMENT_HALTED"
    ]
    assert kinds(market.do(Kind.CANCEL, 1, order_id=order_id)) == ["CANCELLED CANCELLED_BY_OWNER"]


def test_silent_session_loses_its_orders_and_a_beat_keeps_them() -> None:
    market = Scenario()
    market.do(Kind.SESSION_OPEN, 1, session_id=9, grace_ns=SECOND)
    assert kinds(market.place(2, SELL, 1, 1000, session_id=9)) == ["REJECTED UNKNOWN_SESSION"]
    market.place(1, SELL, 1, 1000, session_id=9)
    market.time_ns += SECOND - 3 * 10**6
    market.do(Kind.SESSION_BEAT, 1, session_id=9)
    market.time_ns += SECOND - 10**6
    assert kinds(market.do(Kind.CLOCK)) == []
    events = market.do(Kind.CLOCK)
    assert kinds(events) == ["CANCELLED DISCONNECTED", "SESSION_ENDED"]
    assert (events[-1].order_id, events[-1].quantity_lots) == (9, 1)
    assert kinds(market.do(Kind.SESSION_BEAT, 1, session_id=9)) == ["COMMAND_REJECTED UNKNOWN_SESSION"]


def test_withdrawal_takes_only_what_is_free() -> None:
    market = Scenario()
    market.place(1, BUY, 100, 1000)
    free = 10**12 - 100 * 1000 * 10_000
    (refused,) = market.do(Kind.WITHDRAW_CASH, 1, amount_micros=free + 1)
    assert kinds([refused]) == ["COMMAND_REJECTED INSUFFICIENT_FUNDS"]
    assert (refused.required, refused.available) == (free + 1, free)
    (done,) = market.do(Kind.WITHDRAW_CASH, 1, amount_micros=free)
    assert (kinds([done]), done.available) == (["CASH_WITHDRAWN"], 10**12 - free)


def test_deposit_counts_once_and_shares_its_numbers_with_amendments_of_account_zero() -> None:
    market = Scenario()
    market.do(Kind.DEPOSIT_CASH, 1, amount_micros=5, request_id=500)
    (repeat,) = market.do(Kind.DEPOSIT_CASH, 2, amount_micros=6, request_id=500)
    assert kinds([repeat]) == ["REPEATED"]
    assert (repeat.account_id, repeat.required, repeat.available) == (1, 5, 10**12 + 5)
    assert kinds(market.do(Kind.AMEND, 0, order_id=1, request_id=500)) == ["REPEATED"]


def test_accounts_and_instruments_have_their_limits() -> None:
    market = Scenario(Settings(max_accounts=2, max_instruments=1))
    assert kinds(market.do(Kind.DEPOSIT_CASH, 3, amount_micros=5)) == ["COMMAND_REJECTED LIMIT_REACHED"]
    assert kinds(market.do(Kind.WITHDRAW_CASH, 3, amount_micros=5)) == ["COMMAND_REJECTED INSUFFICIENT_FUNDS"]
    assert kinds(market.redefine(instrument_id=2)) == ["COMMAND_REJECTED LIMIT_REACHED"]


def test_rules_may_not_turn_against_orders_that_rest() -> None:
    market = Scenario(taker_fee_ppm=100)
    market.place(1, BUY, 1, 1000)
    assert kinds(market.redefine(taker_fee_ppm=101)) == ["COMMAND_REJECTED INVALID_INSTRUMENT"]
    assert kinds(market.redefine(taker_fee_ppm=99)) == ["INSTRUMENT_DEFINED"]
    assert kinds(market.redefine(max_order_lots=999_999)) == ["COMMAND_REJECTED INVALID_INSTRUMENT"]
    market.do(Kind.MASS_CANCEL, 1)
    assert kinds(market.redefine(max_order_lots=999_999)) == ["INSTRUMENT_DEFINED"]
    assert kinds(market.redefine(tick_value=SHARE.tick_value + 1)) == ["COMMAND_REJECTED INVALID_INSTRUMENT"]


def test_what_would_trade_outside_new_limits_goes_and_the_rest_stays() -> None:
    market = Scenario(price_limit_ppm=100_000)
    market.place(1, SELL, 5, 1050)
    market.place(1, BUY, 5, 950)
    events = market.do(Kind.SET_REFERENCE_PRICE, instrument_id=1, price_ticks=2000)
    assert kinds(events) == ["REFERENCE_PRICE_SET", "CANCELLED LIMITS_MOVED"]
    assert trades(market.place(2, BUY, 5, 1800)) == []
    market.do(Kind.SET_REFERENCE_PRICE, instrument_id=1, price_ticks=1000)
    assert trades(market.place(2, SELL, 5, 950)) == [(950, 5, 1)]


def test_unknown_kinds_are_refused_and_checkpoints_say_nothing() -> None:
    market = Scenario()
    assert kinds(market.do(Kind.CHECKPOINT)) == []
    market.time_ns += 1
    for kind in (0, 6, 27, 255):
        assert kinds(market.do(kind)) == ["COMMAND_REJECTED INVALID_COMMAND"]  # type: ignore[arg-type]
