"""Tells the market the time, so that what is due happens."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import smartex_wire
from numba import njit
from smartex.matching.v1.log_pb2 import COMMAND_KIND_CLOCK
from smartex.matching.v1.types_pb2 import TIME_IN_FORCE_GTD
from smartex_chassis import Overloaded, Unavailable, start_task, stop_tasks

from matching.domain import EVENT
from matching.frames import Frame, holds, one_command
from matching.sequencer import Sequencer

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]

_IDLE_NS = 1_000_000_000


def _any_good_till_date(events: Any) -> bool:
    for place in range(len(events)):  # noqa: SIM110 - Numba compiles no generators
        if events[place].time_in_force == TIME_IN_FORCE_GTD:
            return True
    return False


# Compiled: NumPy takes ten times as long for the one event that most frames have.
_compiled: Any = njit(cache=True, nogil=True, error_model="numpy")(_any_good_till_date)


@cache
def _kernel() -> Callable[..., bool]:
    return smartex_wire.direct(_compiled, EVENT)


class Ticker:
    """Appends a clock command every interval while an order or a session may end by time.

    Otherwise once a second while anything happens, and none in a quiet market. It keeps still when another
    pod's clock was just seen: a second one changes nothing.
    """

    def __init__(
        self, sequencer: Sequencer, interval_ms: int, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._sequencer = sequencer
        self._interval_ns = interval_ms * 1_000_000
        self._clock = clock
        self._may_expire = False
        self._told_sequence = 0
        self._clock_seen_ns = 0
        self._task: asyncio.Task[None] | None = None

    def on_applied(self, offset: int, first_sequence: int, time_ns: int, events: Rows) -> None:
        """Note orders that end by time."""
        if not self._may_expire and len(events):
            self._may_expire = _kernel()(events)

    def _on_frame(self, offset: int, frame: Frame) -> None:
        """Note when a clock command came, of whatever pod."""
        if len(frame.commands) == 1 and holds(frame.commands, COMMAND_KIND_CLOCK):
            self._clock_seen_ns = self._clock()

    async def start(self) -> None:
        """Begin."""
        self._sequencer.frame_hooks.append(self._on_frame)
        core = self._sequencer.replica.core
        # Which resting orders have an end is not asked of the core; after a start any of them might.
        self._may_expire = core.open_order_count > 0
        self._told_sequence = core.sequence
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
                    applied = await self._sequencer.submit(one_command(kind=COMMAND_KIND_CLOCK))
                    self._told_sequence = applied.first_sequence + len(applied.events) - 1
            await asyncio.sleep(self._interval_ns / 1e9)

    def _is_due(self) -> bool:
        core = self._sequencer.replica.core
        since = self._clock() - self._clock_seen_ns
        if self._may_expire and core.open_order_count == 0:
            self._may_expire = False
        if self._may_expire or len(core.sessions()):
            return since >= self._interval_ns // 2
        return since >= _IDLE_NS and core.sequence != self._told_sequence


def warm_up() -> None:
    """Compile the kernel, or load it from the cache."""
    _kernel()
