"""Random frames with conservation checked after each; frames of many and frames of one come to the same state."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matching.domain import COMMAND, EVENT, Core

KINDS = (1, 1, 1, 1, 1, 2, 3, 4, 5, 16, 22, 23, 24, 25)


def random_commands(random: np.random.Generator, count: int, now: int) -> Any:
    """Commands of two accounts that trade a lot, and now and then make no sense."""
    rows = np.zeros(count, COMMAND)
    rows["kind"] = random.choice(KINDS, count)
    rows["account_id"] = random.integers(1, 4, count)
    rows["instrument_id"] = random.choice((1, 1, 1, 2, 0), count)
    rows["client_order_id"] = random.integers(1, 60, count)
    rows["side"] = random.integers(1, 3, count)
    rows["order_type"] = random.choice((1, 1, 1, 1, 2), count)
    rows["time_in_force"] = random.choice((1, 1, 2, 3, 4, 5), count)
    rows["price_ticks"] = random.integers(90, 111, count) * (rows["order_type"] == 1)
    rows["quantity_lots"] = random.integers(1, 20, count)
    rows["create_time_ns"] = now
    rows["request_id"] = random.integers(1, 10_000, count)
    rows["post_only"] = random.choice((0, 0, 0, 1, 2), count)
    rows["self_trade_prevention"] = random.integers(0, 6, count)
    rows["expire_time_ns"] = np.where(
        rows["time_in_force"] == 3, now + random.integers(1, 9, count) * 10**8, 0
    )
    rows["amount_micros"] = random.integers(1, 50_000, count)
    return rows


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 2**32), st.sampled_from([0, 77, 99_999]))
def test_conservation_and_frames(new_venue: Any, small_settings: Any, seed: int, fee: int) -> None:
    random = np.random.default_rng(seed)
    venue = new_venue(small_settings)
    venue.define(
        1, maker_fee_ppm=fee, taker_fee_ppm=fee // 2, stamp_duty_ppm=fee // 3, settlement=1 + seed % 2
    )
    venue.define(2, bands=((0, 1), (100, 3)), board_lot=5, odd_lot_rule=2, maker_fee_ppm=fee)
    for account in (1, 2, 3):
        venue.fund(account, 400_000, 100)
        venue.fund(account, lots=77, instrument_id=2)
    single = Core.load(copy_of(venue.core), venue.core.settings)
    unread = [
        Core.load(copy_of(venue.core), venue.core.settings, check_conservation=check)
        for check in (False, True)
    ]
    frames = [random_commands(random, 25, venue.now + step * 10**8) for step in range(12)]
    for step, commands in enumerate(frames):
        now = venue.now + step * 10**8
        together = venue.core.apply(commands, now).copy()
        apart = np.concatenate([single.apply(commands[i : i + 1], now).copy() for i in range(len(commands))])
        apart["command_index"] = together["command_index"]
        assert together.tolist() == apart.astype(EVENT).tolist()
    assert venue.core.state_hash() == single.state_hash()
    for core in unread:
        cuts = [(25 * (step + 1), venue.now + step * 10**8) for step in range(12)]
        core.apply_unread(np.concatenate(frames), np.array(cuts))
        assert core.state_hash() == single.state_hash()
        assert core.first_sequence == venue.core.first_sequence


@pytest.mark.parametrize("ends", [[], [3], [2, 1, 4], [5], [4, 4, 3]])
def test_frames_must_end_where_the_commands_do(new_venue: Any, small_settings: Any, ends: list[int]) -> None:
    core = new_venue(small_settings).core
    before = core.state_hash()
    commands = random_commands(np.random.default_rng(1), 4, 1)
    with pytest.raises(ValueError, match="must ascend"):
        core.apply_unread(commands, np.array([(end, 1) for end in ends], np.int64).reshape(-1, 2))
    assert core.state_hash() == before


def copy_of(core: Core) -> Any:
    import io

    file = io.BytesIO()
    core.save(file)
    file.seek(0)
    return file
