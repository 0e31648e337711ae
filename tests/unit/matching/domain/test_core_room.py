"""Room for the events of a frame: however many one command brings about, they are all there."""

from typing import Any

import numpy as np
import pytest
from matching.domain import core as core_module


@pytest.fixture
def cramped(new_venue: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A venue that begins with room for sixteen events."""
    monkeypatch.setattr(core_module, "_FEWEST_EVENTS", 16)
    venue = new_venue()
    for instrument in (1, 2, 3, 4):
        venue.define(instrument)
    for account in (1, 2):
        venue.fund(account, 10**6, 1_000)
    return venue


def test_one_order_sweeps_all_others(cramped: Any) -> None:
    for _ in range(31):
        cramped.place(1, "sell", 1, 100)
    events = cramped.place(2, "buy", 31, 100)
    assert [it["kind"] for it in events] == ["ACCEPTED"] + ["TRADE"] * 31
    assert [it["counter_order_id"] >> 24 for it in events[1:]] == list(range(1, 32))


def test_many_commands_for_all_instruments(cramped: Any) -> None:
    commands = np.repeat(cramped.command("SET_TRADING_STATE", trading_state=2), 500)
    events = cramped.core.apply(commands, cramped.now)
    assert len(events) == 4 * 500
    assert events["instrument_id"].tolist() == [1, 2, 3, 4] * 500
    assert events["command_index"].tolist() == np.repeat(np.arange(500), 4).tolist()


def test_orders_and_sessions_that_all_end_at_once(cramped: Any) -> None:
    for session in (1, 2, 3, 4):
        cramped.do("SESSION_OPEN", account_id=1, session_id=session, grace_ns=10**9)
    for number in range(32):
        cramped.place(1, "buy", 1, 50, session_id=1 + number % 4)
    cramped.now += 10**10
    events = cramped.do("CLOCK")
    assert [it["kind"] for it in events] == (["CANCELLED"] * 8 + ["SESSION_ENDED"]) * 4


def test_orders_that_an_order_of_their_own_account_decrements(
    new_venue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two events for each that goes: in a room that was just right for one each."""
    monkeypatch.setattr(core_module, "_FEWEST_EVENTS", 82)
    venue = new_venue()
    venue.define()
    venue.fund(1, 10**6, 1_000)
    for _ in range(30):
        venue.place(1, "sell", 1, 100)
    venue.place(1, "sell", 400, 101)
    sweep = venue.command(
        "PLACE", account_id=1, instrument_id=1, side=1, order_type=1, time_in_force=1, price_ticks=101
    )
    commands = np.repeat(sweep, 10)
    commands["self_trade_prevention"] = 5
    commands["client_order_id"] = np.arange(10) + 10**6
    commands["quantity_lots"] = np.where(np.arange(10) == 0, 30, 1)
    events = venue.core.apply(commands, venue.now)
    assert events["command_index"].tolist() == [0] * (1 + 2 * 30) + np.repeat(np.arange(1, 10), 3).tolist()
    assert venue.core.sequence == venue.core.first_sequence + len(events) - 1
