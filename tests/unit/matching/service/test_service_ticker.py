"""The clock of the market: told while something may end by time, by one pod at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matching.domain import EVENT
from matching.frames import Frame, one_command
from matching.replica import Applied
from matching.ticker import Ticker
from smartex.matching.v1.log_pb2 import COMMAND_KIND_CLOCK, COMMAND_KIND_ROLL_DAY

INTERVAL_NS = 10_000_000
LATER = 1_000 * INTERVAL_NS


class Market:
    """A sequencer over a market with one session, whose appends are applied at once."""

    def __init__(self) -> None:
        self.replica = SimpleNamespace(
            core=SimpleNamespace(expiring_order_count=0, session_count=1, sequence=1)
        )
        self.frame_hooks: list[Callable[[int, Frame], None]] = []
        self.ready = True
        self.clocks = 0

    def show(self, command: Any) -> None:
        """A frame is applied, of whatever pod."""
        for hook in self.frame_hooks:
            hook(0, Frame(1, 1, 0, command))

    async def submit(self, command: Any) -> Applied:
        self.clocks += 1
        self.show(command)
        return Applied(0, 2, 0, np.zeros(0, EVENT))


async def clocks_within(market: Market, seconds: float) -> int:
    before = market.clocks
    await asyncio.sleep(seconds)
    return market.clocks - before


@pytest.mark.parametrize(("expiring", "sessions", "clocks"), [(1, 0, 1), (0, 1, 1), (0, 0, 0)])
async def test_what_ended_while_no_pod_ran_is_told_at_once(expiring: int, sessions: int, clocks: int) -> None:
    market = Market()
    market.replica.core.expiring_order_count, market.replica.core.session_count = expiring, sessions
    ticker = Ticker(market, 3_600_000, clock=lambda: 2 * 3_600 * 10**9)  # type: ignore[arg-type]
    await ticker.start()
    await asyncio.sleep(0)
    assert market.clocks == clocks
    await ticker.stop()


async def test_the_clock_of_any_pod_counts_and_nothing_else_does() -> None:
    now = [LATER]
    market = Market()
    ticker = Ticker(market, INTERVAL_NS // 1_000_000, clock=lambda: now[0])  # type: ignore[arg-type]
    await ticker.start()
    try:
        market.show(one_command(kind=COMMAND_KIND_CLOCK))  # another pod's
        assert await clocks_within(market, 0.1) == 0
        now[0] += LATER
        market.show(one_command(kind=COMMAND_KIND_ROLL_DAY))
        # One: its own is seen as well, and the clock stands still.
        assert await clocks_within(market, 0.1) == 1
    finally:
        await ticker.stop()
