"""Tells the market the time, so that what is due happens."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import smartex_wire
from smartex.matching.v1.log_pb2 import COMMAND_KIND_CLOCK
from smartex_chassis import Overloaded, Unavailable, start_task, stop_tasks

from matching.frames import Frame, holds, one_command
from matching.sequencer import Sequencer

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]

_IDLE_NS = 1_000_000_000


class Ticker:
    """Appends a clock command every interval while an order or a session may end by time.

    Otherwise once a second while anything happens. A market that falls quiet is told the time when a candle of its last
    event is over, once for each length, for a candle is closed by the time of the market. It keeps still when another
    pod's clock was just seen: a second one changes nothing.

    `beats`: of this pod's sessions. They go before each clock, in one piece: a clock that had waited for a log that
    stood still would else come before the beats that waited behind it, and end sessions whose streams are alive.
    `candle_seconds`: lengths of candles.
    """

    def __init__(
        self,
        sequencer: Sequencer,
        interval_ms: int,
        beats: Callable[[], Rows],
        clock: Callable[[], int] = time.time_ns,
        candle_seconds: Sequence[int] = (),
    ) -> None:
        self._sequencer = sequencer
        self._interval_ns = interval_ms * 1_000_000
        self._beats = beats
        self._clock = clock
        self._told_sequence = 0
        self._clock_seen_ns = 0
        self._began_ns = 0
        self._active_ns = 0
        self._candles_ns = [seconds * 1_000_000_000 for seconds in candle_seconds]
        self._task: asyncio.Task[None] | None = None

    def _on_frame(self, offset: int, frame: Frame) -> None:
        """Note when a clock command came, of whatever pod."""
        last = frame.commands if len(frame.commands) == 1 else frame.commands[-1:]
        if holds(last, COMMAND_KIND_CLOCK):
            self._clock_seen_ns = self._clock()

    async def start(self) -> None:
        """Begin."""
        self._sequencer.frame_hooks.append(self._on_frame)
        core = self._sequencer.replica.core
        self._told_sequence, self._active_ns, self._began_ns = core.sequence, core.now, self._clock()
        self._task = start_task(self._run(), "matching-clock")

    async def stop(self) -> None:
        """End."""
        await stop_tasks(self._task)

    async def _run(self) -> None:
        # At once: what ended while no pod ran must not trade with the first orders.
        while True:
            if self._sequencer.ready and self._is_due():
                # Too much waits, or the pod is leaving: the next round tries again.
                with contextlib.suppress(Overloaded, Unavailable):
                    self._note_activity()
                    clock = one_command(kind=COMMAND_KIND_CLOCK)
                    applied = await self._sequencer.submit(smartex_wire.joined([self._beats(), clock]))
                    self._told_sequence = applied.last_sequence
            await asyncio.sleep(self._interval_ns / 1e9)

    def _is_due(self) -> bool:
        core = self._sequencer.replica.core
        since = self._clock() - self._clock_seen_ns
        if core.expiring_order_count or core.session_count:
            return since >= self._interval_ns // 2
        if since < _IDLE_NS:
            return False
        return core.sequence != self._told_sequence or self._candle_is_over()

    def _note_activity(self) -> None:
        """Remember when the market did something last."""
        core = self._sequencer.replica.core
        if core.sequence != self._told_sequence:
            self._active_ns = core.now

    def _candle_is_over(self) -> bool:
        """Whether a candle of the last activity has ended and the market does not know. A start waits a little with it,
        so that by itself it changes nothing."""
        told, now = self._sequencer.replica.core.now, self._clock()
        if now - self._began_ns < _IDLE_NS:
            return False
        ends = (self._active_ns // length * length + length for length in self._candles_ns)
        return any(told < end <= now for end in ends)
