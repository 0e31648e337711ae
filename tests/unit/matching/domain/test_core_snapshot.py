"""Saving, loading, hashing; what is damaged or foreign is refused."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matching.domain import ConservationError, Core, SnapshotError
from smartex.matching.v1 import log_pb2


@pytest.fixture
def busy(venue: Any) -> Any:
    """A venue with orders of every kind, a session, bands, trades, and outcomes that have left the window."""
    venue.define(9, bands=((0, 1), (100, 5)), settlement=2, currency_id=3)
    venue.fund(1, lots=40, instrument_id=9)
    venue.do("SESSION_OPEN", account_id=1, session_id=4, grace_ns=10**9)
    venue.place(1, "buy", 3, 80, client_order_id=1, session_id=4)
    for number in range(70):
        venue.now += 10**8
        venue.place(1 + number % 2, "sell", 1, 95 + number % 7, time_in_force=1 if number % 5 else 4)
        if number % 3 == 0:
            venue.place(2 - number % 2, "buy", 1, 96, time_in_force=4)
    venue.place(1, "buy", 3, 81, time_in_force=3, expire_time_ns=venue.now + 10**9)
    venue.place(1, "sell", 3, 105, instrument_id=9)
    venue.do("MASS_CANCEL", account_id=2, side=2)
    return venue


def saved(core: Core) -> bytes:
    file = io.BytesIO()
    core.save(file)
    return file.getvalue()


def go_on(venue: Any) -> list[Any]:
    """Things to do next, and what comes of them."""
    seen = venue.place(2, "buy", 9, 99)
    seen += venue.place(1, "buy", 3, 80, client_order_id=1)
    seen += venue.do("CANCEL", account_id=1, client_order_id=1)
    seen += venue.place(2, "sell", 1, 105, instrument_id=9)
    venue.now += 5 * 10**9
    seen += venue.do("CLOCK")
    seen += venue.do("ROLL_DAY", trading_day=1)
    return list(seen)


def test_a_loaded_core_is_the_same_and_stays_so(busy: Any, new_venue: Any) -> None:
    content = saved(busy.core)
    loaded = Core.load(io.BytesIO(content), busy.core.settings, check_conservation=True)
    assert loaded.state_hash() == busy.core.state_hash()
    assert saved(loaded) == content
    twin = new_venue(core=loaded)
    twin.now, twin.next_id = busy.now, busy.next_id
    assert go_on(twin) == go_on(busy)
    assert loaded.state_hash() == busy.core.state_hash()


def test_every_damage_is_noticed(busy: Any) -> None:
    content = saved(busy.core)
    random = np.random.default_rng(5)
    for place in [0, 9, 17, 40, len(content) - 1, *random.integers(0, len(content), 60)]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(random.integers(8))
        with pytest.raises(SnapshotError):
            Core.load(io.BytesIO(damaged), busy.core.settings)


def test_every_cut_is_noticed(busy: Any) -> None:
    content = saved(busy.core)
    for size in (0, 5, 20, 100, len(content) // 2, len(content) - 1):
        with pytest.raises(SnapshotError):
            Core.load(io.BytesIO(content[:size]), busy.core.settings)


def test_other_settings_are_refused(busy: Any) -> None:
    with pytest.raises(SnapshotError, match="was saved with"):
        Core.load(io.BytesIO(saved(busy.core)), replace(busy.core.settings, window=65))


def test_hashes_tell_states_apart(busy: Any) -> None:
    hashes = [busy.core.state_hash()]
    busy.place(1, "buy", 1, 50)
    hashes.append(busy.core.state_hash())
    busy.place(1, "buy", 1, 50)
    hashes.append(busy.core.state_hash())
    assert len(set(hashes)) == 3
    assert busy.core.state_hash() == hashes[-1]


def test_money_out_of_nothing_is_noticed(busy: Any) -> None:
    busy.core.verify_conservation()
    busy.core._memory.table("cash", np.dtype("i8"), 1)[0] += 1
    with pytest.raises(ConservationError, match="cash by currency do not add up"):
        busy.core.verify_conservation()


def test_a_wrong_hold_is_noticed(busy: Any) -> None:
    busy.core._memory.table("cash", np.dtype("i8"), 2)[1] += 1
    with pytest.raises(ConservationError, match="held"):
        busy.core.verify_conservation()


def test_sequences_have_no_gaps(venue: Any) -> None:
    sequence = venue.core.sequence
    for _ in range(3):
        events = venue.place(1, "buy", 1, 90)
        assert venue.core.first_sequence == sequence + 1
        sequence += len(events)
        assert venue.core.sequence == sequence


def test_only_rows_of_commands_are_taken(venue: Any) -> None:
    rows = np.concatenate([venue.command("CLOCK")] * 4)
    venue.core.apply(rows, venue.now)
    for wrong in (np.zeros(3), rows[::2], rows.reshape(2, 2), np.zeros(1, np.dtype([("kind", "u1")]))):
        with pytest.raises(ValueError, match="contiguous array"):
            venue.core.apply(wrong, venue.now)


def test_words_are_those_of_the_contract() -> None:
    from matching.domain import words
    from smartex.matching.v1 import types_pb2

    renamed = {"MASS_CANCEL": "BY_MASS_CANCEL"}
    for enum, prefix in (
        (log_pb2.CommandKind, "COMMAND_KIND_"),
        (log_pb2.EventKind, "EVENT_KIND_"),
        (types_pb2.Reason, "REASON_"),
    ):
        for name, number in enum.items():
            short = name.removeprefix(prefix)
            if number:
                short = renamed.get(short, short) if prefix == "REASON_" else short
                assert getattr(words, short) == number, name


def test_accounts_behind_the_end_of_their_table_are_found_after_loading(new_venue: Any) -> None:
    """The search for both of them begins at the last cell, so one lies in the first."""
    venue = new_venue()
    venue.define()
    venue.fund(2**21 - 1, 1_000)
    venue.fund(2**22 - 2, 5_000, 10)
    loaded = Core.load(io.BytesIO(saved(venue.core)), venue.core.settings)
    for core in (venue.core, loaded):
        assert core.cash(2**22 - 2) == [(0, 5_000, 0)]
        assert [int(row["total"]) for row in core.holdings(2**22 - 2)] == [10]
