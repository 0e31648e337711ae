"""The clock of the market: told while something may end by time, by one pod at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matching.domain import EVENT, Core, CoreSettings
from matching.frames import NO_COMMANDS, Frame, one_command
from matching.replica import Applied
from matching.sessions import Sessions
from matching.ticker import Ticker
from smartex.matching.v1.log_pb2 import COMMAND_KIND_CLOCK, COMMAND_KIND_ROLL_DAY
from waiting import until

INTERVAL_NS = 10_000_000
LATER = 1_000 * INTERVAL_NS


class Market:
    """A sequencer over a market with one session, whose appends are applied at once."""

    def __init__(self) -> None:
        self.replica = SimpleNamespace(
            core=SimpleNamespace(expiring_order_count=0, session_count=1, sequence=1, now=0)
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


def nobody() -> Any:
    """The beats of a pod without sessions."""
    return NO_COMMANDS


async def no_more(market: Market, clocks: int) -> bool:
    """Whether it stays at so many clocks."""
    await asyncio.sleep(0.1)
    return market.clocks == clocks


@pytest.mark.parametrize(("expiring", "sessions", "clocks"), [(1, 0, 1), (0, 1, 1), (0, 0, 0)])
async def test_what_ended_while_no_pod_ran_is_told_at_once(expiring: int, sessions: int, clocks: int) -> None:
    market = Market()
    market.replica.core.expiring_order_count, market.replica.core.session_count = expiring, sessions
    ticker = Ticker(market, 3_600_000, nobody, clock=lambda: 2 * 3_600 * 10**9)  # type: ignore[arg-type]
    await ticker.start()
    await asyncio.sleep(0)
    assert market.clocks == clocks
    await ticker.stop()


async def test_the_clock_of_any_pod_counts_and_nothing_else_does() -> None:
    now = [LATER]
    market = Market()
    ticker = Ticker(market, INTERVAL_NS // 1_000_000, nobody, clock=lambda: now[0])  # type: ignore[arg-type]
    await ticker.start()
    try:
        market.show(one_command(kind=COMMAND_KIND_CLOCK))  # another pod's
        told = market.clocks
        assert await no_more(market, told)
        now[0] += LATER
        market.show(one_command(kind=COMMAND_KIND_ROLL_DAY))
        # One: its own is seen as well, and the clock stands still.
        await until(lambda: market.clocks == told + 1)
        assert await no_more(market, told + 1)
    finally:
        await ticker.stop()


async def test_a_log_that_stood_still_ends_no_session_whose_stream_is_alive() -> None:
    core, now = Core(CoreSettings(window=64, max_orders=64, max_accounts=4, max_instruments=4)), [LATER]
    stalled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    class Log(Market):
        """Takes everything and brings none of it to the market while it stands still."""

        waiting = False

        async def submit(self, command: Any) -> Applied:
            if command[-1]["kind"] == COMMAND_KIND_CLOCK:
                self.waiting = True
                await stalled
            events = core.apply(command, now[0]).copy()
            self.show(command)
            return Applied(0, core.first_sequence, now[0], events)

    log = Log()
    log.replica.core = core
    sessions = Sessions(log, max_per_account=9)  # type: ignore[arg-type]
    await sessions.open(7, 1, 1000, lambda: None)
    dead = await sessions.open(8, 1, 1000, lambda: None)
    ticker = Ticker(log, 1, sessions.beats, clock=lambda: now[0])  # type: ignore[arg-type]
    sessions.leave(dead)
    await ticker.start()
    try:
        await until(lambda: log.waiting)  # the clock is on its way now
        now[0] += 60 * 10**9
        stalled.set_result(None)
        await until(lambda: len(core.sessions()) == 1)
        await asyncio.sleep(0.01)
    finally:
        await ticker.stop()
    assert core.sessions()["session_id"].tolist() == [7]


async def test_the_clock_behind_the_beats_counts_as_one() -> None:
    now, market = [LATER], Market()
    beat = one_command(kind=COMMAND_KIND_ROLL_DAY)  # any that is no clock
    ticker = Ticker(market, INTERVAL_NS // 1_000_000, lambda: beat, clock=lambda: now[0])  # type: ignore[arg-type]
    await ticker.start()
    try:
        await until(lambda: market.clocks == 1)
        assert await no_more(market, 1)
    finally:
        await ticker.stop()


class Quiet(Market):
    """A market without orders or sessions, whose time is what its last clock said."""

    def __init__(self, began_ns: int) -> None:
        super().__init__()
        self.core = self.replica.core
        self.core.session_count, self.core.now = 0, began_ns
        self.time_ns = began_ns

    def look(self) -> int:
        """A clock on which 50 seconds pass between two looks."""
        self.time_ns += 50 * 10**9
        return self.time_ns

    async def submit(self, command: Any) -> Applied:
        self.core.now = self.time_ns
        await super().submit(command)
        return Applied(0, self.core.sequence + 1, self.time_ns, np.zeros(0, EVENT))


async def test_a_quiet_market_is_told_the_end_of_its_last_candles_and_no_more() -> None:
    """Else the last candle of a day would stay open until the next one's first trade."""
    hour = 3600 * 10**9
    market = Quiet(1000 * hour)
    lengths = (60, 900, 3600)
    ticker = Ticker(market, 1, nobody, clock=market.look, candle_seconds=lengths)  # type: ignore[arg-type]
    await ticker.start()
    try:
        await until(lambda: market.time_ns > 1003 * hour)
        assert market.clocks == len(lengths)
        market.core.sequence += 1  # something happens: that is told, and then the ends of its candles
        market.core.now = market.time_ns
        await until(lambda: market.time_ns > 1006 * hour)
        assert len(lengths) < market.clocks <= 2 * len(lengths) + 1
        told = market.clocks
        await until(lambda: market.time_ns > 1009 * hour)
        assert market.clocks == told
    finally:
        await ticker.stop()
