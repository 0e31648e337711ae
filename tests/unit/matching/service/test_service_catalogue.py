"""The catalogue: numbers for the core, strings for people, alike on every replica."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matching.catalogue import Catalogue, problems_of
from matching.domain import COMMAND, Core, CoreSettings
from matching.frames import NO_COMMANDS, Frame, decode_frame
from matching.replica import LiveInstruments, Replica
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1.log_pb2 import InstrumentDefinition


def instrument(**changes: object) -> types.Instrument:
    fields: dict[str, object] = {
        "symbol": "A",
        "name": "Alpha",
        "currency_code": "USD",
        "tick_size": "0.01",
        "lot_size": "1",
        "board_lot": 1,
        "odd_lot_rule": 1,
        "reference_price_ticks": 100,
        "max_price_ticks": 1000,
        "max_order_lots": 1000,
        "settlement": 1,
        "trading_state": 1,
    }
    return types.Instrument(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
def replica() -> Replica:
    return Replica(Core(CoreSettings(window=64, max_orders=64, max_accounts=16)))


def commands(*each: dict[str, int]) -> Any:
    """Commands of the log, made a few seconds after 1970."""
    rows = np.zeros(len(each), COMMAND)
    for row, values in zip(rows, each, strict=True):
        row["create_time_ns"] = 3 * 10**9
        for name, value in values.items():
            row[name] = value
    return rows


def define(replica: Replica, *instruments: types.Instrument) -> list[int]:
    """Kinds of the outcomes; through the bytes of the log, as in life."""
    definitions = [InstrumentDefinition(instrument=each, request_id=1) for each in instruments]
    frame = decode_frame(Frame(1, 1, 1, NO_COMMANDS, definitions).encode())
    return [int(kind) for kind in replica.apply(replica.next_offset, frame).events["kind"]]


DEFINED, REFUSED, CANCELLED = 16, 24, 4


def test_ids_are_given_in_order_and_symbols_are_unique(replica: Replica) -> None:
    assert define(replica, instrument(), instrument(symbol="B")) == [DEFINED, DEFINED]
    assert [each.instrument_id for each in replica.catalogue.all()] == [1, 2]
    assert define(replica, instrument(instrument_id=7, symbol="B")) == [REFUSED]
    assert define(replica, instrument(symbol="C")) == [DEFINED]
    assert [each.symbol for each in replica.catalogue.all()] == ["A", "B", "C"]


def test_a_repeated_definition_without_id_is_the_same_instrument(replica: Replica) -> None:
    define(replica, instrument())
    assert define(replica, instrument()) == [DEFINED]
    assert define(replica, instrument(name="Other")) == [REFUSED]
    assert len(replica.catalogue.all()) == 1


def test_sizes_stay_and_names_may_change(replica: Replica) -> None:
    define(replica, instrument(instrument_id=5))
    assert define(replica, instrument(instrument_id=5, tick_size="0.1", lot_size="0.1")) == [REFUSED]
    assert define(replica, instrument(instrument_id=5, symbol="NEW", name="Renamed")) == [DEFINED]
    found = replica.catalogue.get(5)
    assert found is not None
    assert (found.symbol, found.name) == ("NEW", "Renamed")


def test_what_a_definition_cancels_hides_none_that_follow(replica: Replica) -> None:
    define(replica, instrument())
    replica.core.apply(
        commands({"kind": 22, "account_id": 1, "request_id": 1, "amount_micros": 10**9}), 3 * 10**9
    )
    order = {"client_order_id": 1, "instrument_id": 1, "side": 1, "order_type": 1, "time_in_force": 1}
    order |= {"kind": 1, "account_id": 1, "quantity_lots": 1, "price_ticks": 150}
    assert replica.core.apply(commands(order), 3 * 10**9)["kind"].tolist() == [1]
    kinds = define(replica, instrument(instrument_id=1, price_limit_ppm=100_000), instrument(symbol="B"))
    assert kinds == [DEFINED, CANCELLED, DEFINED]
    assert [each.version for each in replica.catalogue.all()] == [4, 6]


def test_a_refused_definition_leaves_no_currency(replica: Replica) -> None:
    assert define(replica, instrument(currency_code="EUR", board_lot=0)) == [REFUSED]
    assert not replica.catalogue.currencies
    assert define(replica, instrument()) == [DEFINED]
    assert replica.catalogue.currencies == ("USD",)


def test_currencies_run_out(replica: Replica) -> None:
    codes = [f"CU{chr(65 + i)}" for i in range(17)]
    kinds = define(replica, *(instrument(symbol=code, currency_code=code) for code in codes))
    assert kinds == [DEFINED] * 16 + [REFUSED]


def test_replicas_have_the_same_hash_and_a_dump_comes_back(replica: Replica) -> None:
    other = Replica(Core(CoreSettings(window=64, max_orders=64, max_accounts=16)))
    for each in (replica, other):
        define(each, instrument(), instrument(symbol="B", currency_code="CNY"))
    assert replica.state_hash() == other.state_hash()
    again = Catalogue.load(replica.catalogue.dump())
    assert again.dump() == replica.catalogue.dump()
    assert again.currency_id("CNY") == 1
    define(other, instrument(instrument_id=1, name="Renamed"))
    assert replica.catalogue.digest() != other.catalogue.digest()


def test_a_dump_that_is_cut_short_is_refused(replica: Replica) -> None:
    define(replica, instrument())
    with pytest.raises(ValueError, match="cut short"):
        Catalogue.load(replica.catalogue.dump()[:-3])


def test_live_instruments_tell_the_state_of_now(replica: Replica) -> None:
    define(replica, instrument())
    commands = np.zeros(1, NO_COMMANDS.dtype)
    commands["kind"], commands["instrument_id"], commands["trading_state"] = 19, 1, 2
    replica.apply(replica.next_offset, Frame(1, 2, 2, commands))
    live = LiveInstruments(replica).get(1)
    assert live is not None
    assert live.trading_state == types.TRADING_STATE_HALTED


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("symbol", "lower"),
        ("symbol", ""),
        ("symbol", "X" * 33),
        ("currency_code", "us"),
        ("name", ""),
        ("name", "x" * 129),
        ("name_zh", "bad\x00"),
        ("tick_size", "0"),
        ("tick_size", "abc"),
        ("risk_level", 6),
    ],
)
def test_problems_name_the_field(field: str, value: object) -> None:
    assert field in [found for found, _ in problems_of(instrument(**{field: value}))]


def test_a_sound_instrument_has_no_problems() -> None:
    assert problems_of(instrument(name_zh="甲", industry="Banks", risk_level=5)) == []
