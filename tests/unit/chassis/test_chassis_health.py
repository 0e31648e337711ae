"""Watchers of the health are woken by news alone, and miss none of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from grpc_health.v1 import health_pb2
from smartex_chassis import InvalidInput, Overloaded, Unavailable
from smartex_chassis.health import MOST_WATCHERS, HealthService

UNKNOWN, SERVING, NOT_SERVING = 3, 1, 2


def asked(name: str = "") -> Any:
    return health_pb2.HealthCheckRequest(service=name)


async def told(watch: Any) -> int:
    return int((await asyncio.wait_for(anext(watch), 60)).status)


async def test_a_status_that_stays_wakes_nobody() -> None:
    health = HealthService()
    health.set({"": True, "a": False})
    waited_on = health._changed
    for _ in range(3):
        health.set({"": True, "a": False})
    assert health._changed is waited_on
    assert not waited_on.is_set()
    health.set({"": True, "a": True})
    assert waited_on.is_set()


async def test_what_changes_while_a_watcher_is_written_to_is_told_next() -> None:
    health = HealthService()
    watch = health.Watch(asked("a"), None)
    assert await told(watch) == UNKNOWN
    health.set({"a": True})
    assert await told(watch) == SERVING
    health.set({"a": False})
    health.set({"a": True})
    waiting = asyncio.create_task(told(watch))
    await asyncio.sleep(0)
    assert not waiting.done()
    health.set({"a": False})
    assert await waiting == NOT_SERVING
    health.end()
    with pytest.raises(Unavailable, match="shutting down"):
        await told(watch)


async def test_a_watcher_that_left_makes_room() -> None:
    health = HealthService()
    watches = [health.Watch(asked(), None) for _ in range(MOST_WATCHERS)]
    for watch in watches:
        await told(watch)
    with pytest.raises(Overloaded):
        await told(health.Watch(asked(), None))
    leaving = asyncio.create_task(told(watches[0]))
    await asyncio.sleep(0)
    leaving.cancel()
    with suppress(asyncio.CancelledError):
        await leaving
    assert await told(health.Watch(asked(), None)) == UNKNOWN


async def test_a_request_that_would_be_kept_must_be_small() -> None:
    health, unknown_field = (
        HealthService(),
        health_pb2.HealthCheckRequest.FromString(b"\x12\x88\x08" + bytes(1032)),
    )
    with pytest.raises(InvalidInput):
        await health.Check(unknown_field, None)
    with pytest.raises(InvalidInput):
        await told(health.Watch(unknown_field, None))
