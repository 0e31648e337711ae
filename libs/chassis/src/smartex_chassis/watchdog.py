"""Watches the event loop: how late it runs, and what it was doing when it stood still."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from datetime import timedelta

import structlog

from smartex_chassis import telemetry

_BEAT_SECONDS = 0.05

_log = structlog.get_logger("smartex.watchdog")
_lag = telemetry.histogram(
    "smartex_event_loop_lag_seconds",
    "How late the event loop runs what is due",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
_stalls = telemetry.counter("smartex_event_loop_stalls_total", "Times the event loop stood still too long")


class LoopWatchdog:
    """Measures how late beats on the loop are; a thread logs the loop's stack when one stays away.

    Start and stop it on the loop that it watches.
    """

    def __init__(self, *, threshold: timedelta = timedelta(milliseconds=250)) -> None:
        self._threshold = threshold.total_seconds()
        self._due = 0.0
        self._stopped = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None
        self._loop_thread = 0

    def start(self) -> None:
        """Begin to watch the running loop."""
        loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._schedule(loop)
        self._thread = threading.Thread(target=self._watch, name="loop-watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; the thread ends within one beat."""
        self._stopped.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._thread is not None:
            self._thread.join(1.0)

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = time.monotonic() + _BEAT_SECONDS
        self._timer = loop.call_later(_BEAT_SECONDS, self._beat, loop)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        _lag.observe(max(0.0, time.monotonic() - self._due))
        self._schedule(loop)

    def _watch(self) -> None:
        reported = 0.0
        looked = time.monotonic()
        while not self._stopped.wait(_BEAT_SECONDS):
            before, looked = looked, time.monotonic()
            # When this thread too was away, the whole process stood still (suspended, starved), not the loop.
            if looked - before > self._threshold:
                continue
            late = looked - self._due
            if late > self._threshold and reported != self._due:
                reported = self._due
                self._report(late)

    def _report(self, late: float) -> None:
        _stalls.inc()
        frame = sys._current_frames().get(self._loop_thread)
        stack = "".join(traceback.format_stack(frame)) if frame is not None else "(none)"
        _log.warning("the event loop stands still", late_seconds=round(late, 3), stack=stack)
