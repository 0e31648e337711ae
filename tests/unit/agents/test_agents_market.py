from decimal import Decimal

import pytest
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1.types_pb2 import Instrument
from smartex_agents import PARTICIPANTS, demo_instruments, endowments
from smartex_agents.opening import endowed_lots, number_of, quantity_worth
from smartex_agents.rules import Rules

INSTRUMENTS = demo_instruments()


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda each: each.symbol)
def test_an_instrument_obeys_the_contract(instrument: Instrument) -> None:
    tick_value = Decimal(instrument.tick_size) * Decimal(instrument.lot_size) * 1_000_000
    assert tick_value == int(tick_value) >= 1
    assert instrument.max_price_ticks * instrument.max_order_lots * int(tick_value) <= 10**18
    assert instrument.name.isascii()
    assert instrument.name_zh
    assert not instrument.name_zh.isascii()
    assert 1 <= instrument.risk_level <= 5
    assert Rules.of(instrument).is_valid(instrument.reference_price_ticks)


def test_both_styles_and_two_currencies_are_there() -> None:
    assert {each.currency_code for each in INSTRUMENTS} == {"CNY", "USD"}
    for each in INSTRUMENTS:
        a_share = each.currency_code == "CNY"
        assert (each.settlement == types.SETTLEMENT_T1) == a_share
        assert (each.board_lot == 100) == a_share
        assert (each.price_limit_ppm > 0) == a_share
        assert each.stamp_duty_ppm == (500 if a_share else 0)
        assert (each.odd_lot_rule == types.ODD_LOT_RULE_SELL_REST) == a_share
    assert {each.price_limit_ppm for each in INSTRUMENTS} == {0, 50_000, 100_000, 200_000}


def test_symbols_and_accounts_are_unique() -> None:
    assert len({each.symbol for each in INSTRUMENTS}) == len(INSTRUMENTS)
    accounts = [each.account_id for each in endowments()]
    assert len(set(accounts)) == len(accounts)
    assert {each.account_id for each in PARTICIPANTS} < set(accounts)
    assert {1001, 1002} < set(accounts)


def test_endowments_are_whole_board_lots() -> None:
    for endowment in endowments():
        for instrument in INSTRUMENTS:
            assert endowed_lots(instrument, endowment) % instrument.board_lot == 0


def test_a_quantity_is_worth_about_what_is_asked() -> None:
    bank = INSTRUMENTS[0]
    assert quantity_worth(bank, Decimal(100_000)) == 7_800
    assert quantity_worth(bank, Decimal(1)) == 100


def test_request_numbers_are_stable_positive_and_apart() -> None:
    assert number_of("deposit", 1001, "CNY") == number_of("deposit", 1001, "CNY")
    numbers = {number_of("deposit", each.account_id, "CNY") for each in endowments()}
    assert len(numbers) == len(endowments())
    assert all(0 < number < 2**63 for number in numbers)
