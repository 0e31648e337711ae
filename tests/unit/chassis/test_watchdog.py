"""The watchdog names what holds the loop up; metrics have units."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import structlog
from prometheus_client import REGISTRY
from smartex_chassis import counter, gauge, histogram
from smartex_chassis.watchdog import LoopWatchdog
from waiting import until


def hold_the_loop_up(while_true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while while_true() and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.2)


async def test_a_blocked_loop_is_reported_with_its_stack_once() -> None:
    before = REGISTRY.get_sample_value("smartex_event_loop_stalls_total") or 0
    watchdog = LoopWatchdog(threshold=timedelta(milliseconds=100))
    with structlog.testing.capture_logs() as logs:

        def reports() -> list[Any]:
            return [log for log in logs if "hold_the_loop_up" in log.get("stack", "")]

        watchdog.start()
        await asyncio.sleep(0.1)
        hold_the_loop_up(lambda: not reports())
        await asyncio.sleep(0.1)
        watchdog.stop()
    assert len(reports()) == 1
    assert reports()[0]["event"] == "the event loop stands still"
    assert reports()[0]["late_seconds"] >= 0.1
    # A busy machine may have held it up besides.
    assert REGISTRY.get_sample_value("smartex_event_loop_stalls_total") == before + len(logs)


async def test_lag_is_measured_and_stopping_stops() -> None:
    def beats() -> float:
        return REGISTRY.get_sample_value("smartex_event_loop_lag_seconds_count") or 0

    before = beats()
    watchdog = LoopWatchdog()
    watchdog.start()
    await until(lambda: beats() > before)
    watchdog.stop()
    thread = watchdog._thread
    assert thread is not None
    await until(lambda: not thread.is_alive())
    after = beats()
    await asyncio.sleep(0.12)
    assert beats() == after


def test_metrics_are_made_once_and_name_their_units() -> None:
    assert counter("smartex_test_orders_total", "x") is counter("smartex_test_orders_total", "x")
    assert gauge("smartex_test_queue_commands", "x") is gauge("smartex_test_queue_commands", "x")
    with pytest.raises(ValueError, match="_total"):
        counter("smartex_test_orders", "x")
    with pytest.raises(ValueError, match="unit"):
        histogram("smartex_test_latency", "x")
    with pytest.raises(ValueError, match="is no Gauge"):
        gauge_of_a_counter()


def gauge_of_a_counter() -> None:
    histogram("smartex_test_twice_seconds", "x")
    gauge("smartex_test_twice_seconds", "x")
