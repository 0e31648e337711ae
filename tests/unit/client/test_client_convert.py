"""People's decimals and the contract's whole numbers: exact both ways, or an error that says what is valid."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartex.matching.v1.types_pb2 import ODD_LOT_RULE_NONE, ODD_LOT_RULE_SELL_REST, Instrument, TickBand
from smartex_client import InvalidInput, OffLot, OffTick, convert

units = st.sampled_from(["0.01", "0.0001", "1", "0.00000001", "0.25", "5", "1000"])
counts = st.integers(1, 2**62)
numbers = st.integers(0, 12).flatmap(lambda places: st.decimals(1, 10**9, places=places))


def outcome(convert_it: Callable[..., int], *values: Any) -> int | InvalidInput:
    try:
        return convert_it(*values)
    except InvalidInput as error:
        return error


@given(unit=units, count=counts)
def test_whole_numbers_come_back(unit: str, count: int) -> None:
    instrument = Instrument(tick_size=unit, lot_size=unit, board_lot=1)
    assert convert.to_ticks(instrument, convert.from_ticks(instrument, count)) == count
    assert convert.to_lots(instrument, convert.from_lots(instrument, count)) == count


@given(
    unit=units, number=numbers, bands=st.lists(st.integers(1, 10**6), unique=True, max_size=4), data=st.data()
)
def test_a_price_is_exact_or_the_neighbours_are_told(
    unit: str, number: Decimal, bands: list[int], data: st.DataObject
) -> None:
    starts = [0, *sorted(bands)] if bands else []
    steps = [data.draw(st.integers(1, 500)) for _ in starts]
    instrument = Instrument(
        tick_size=unit,
        tick_bands=[
            TickBand(from_price_ticks=start, step_ticks=step)
            for start, step in zip(starts, steps, strict=True)
        ],
    )

    def valid(ticks: int) -> bool:
        step = next(
            (step for start, step in reversed(list(zip(starts, steps, strict=True))) if start <= ticks), 1
        )
        return ticks % step == 0

    found = outcome(convert.to_ticks, instrument, number)
    if isinstance(found, int):
        assert found * Decimal(unit) == number
        assert valid(found)
        return
    assert isinstance(found, OffTick)
    assert found.below < number < found.above
    below = int(found.below / Decimal(unit))
    assert below * Decimal(unit) == found.below
    assert valid(below)
    between = range(below + 1, min(int(found.above / Decimal(unit)), below + 600))
    assert not any(valid(each) for each in between)


@given(number=numbers, board=st.integers(1, 1000))
def test_a_quantity_is_whole_boards_or_the_neighbours_are_told(number: Decimal, board: int) -> None:
    instrument = Instrument(lot_size="0.001", board_lot=board, odd_lot_rule=ODD_LOT_RULE_NONE)
    size = board * Decimal("0.001")
    found = outcome(convert.to_lots, instrument, number)
    if isinstance(found, int):
        assert (found % board, found * Decimal("0.001")) == (0, number)
        return
    assert isinstance(found, OffLot)
    assert found.below < number < found.above
    assert found.above - found.below == size
    assert found.below % size == 0


def test_the_odd_rest_of_a_holding_may_be_sold() -> None:
    instrument = Instrument(lot_size="1", board_lot=100, odd_lot_rule=ODD_LOT_RULE_SELL_REST)
    assert convert.to_lots(instrument, 137, selling=True) == 137
    with pytest.raises(OffLot, match="100 and 200"):
        convert.to_lots(instrument, 137)


@given(micros=st.integers(-(2**62), 2**62))
def test_micros_come_back(micros: int) -> None:
    assert convert.from_micros(micros) * 1_000_000 == micros


@pytest.mark.parametrize("value", [1.5, "abc", "NaN", "Infinity", "", "-1", 0, True, "1e400", "1e-400"])
def test_what_is_no_positive_exact_number_is_refused(value: object) -> None:
    instrument = Instrument(tick_size="0.01", lot_size="1", board_lot=1)
    for convert_it in (convert.to_ticks, convert.to_lots):
        with pytest.raises(InvalidInput) as error:
            convert_it(instrument, value)  # type: ignore[arg-type]
        assert error.value.field in ("price", "quantity")
    with pytest.raises(InvalidInput):
        convert.to_money(value, "CNY")  # type: ignore[arg-type]


def test_money_is_exact_to_a_micro() -> None:
    assert convert.to_money("1234.567891", "CNY").amount == "1234.567891"
    assert convert.to_money("1E+3", "CNY").amount == "1000"
    with pytest.raises(InvalidInput, match="six places"):
        convert.to_money("0.0000001", "CNY")


def test_times_need_a_zone() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert convert.from_ns(convert.to_ns(moment, "start")) == moment
    with pytest.raises(InvalidInput, match="time zone"):
        convert.to_ns(datetime(2026, 1, 2), "start")


def test_numbers_and_times_keep_to_what_the_contract_holds() -> None:
    assert convert.in_range(2**32 - 1, "account", 32) == 2**32 - 1
    for wrong in (-1, 2**32):
        with pytest.raises(InvalidInput, match="account must be 0 to 4294967295") as error:
            convert.in_range(wrong, "account", 32)
        assert error.value.field == "account"
    assert convert.to_ms(0.25, "interval") == 250
    for endless in (-0.1, float("inf"), float("nan"), 1e18):
        with pytest.raises(InvalidInput, match="interval"):
            convert.to_ms(endless, "interval")
    for year in (1, 1969, 2263, 9999):
        with pytest.raises(InvalidInput, match="1970 and 2262"):
            convert.to_ns(datetime(year, 12, 31, tzinfo=UTC), "time")
