"""Waiting that can be stopped."""

from __future__ import annotations

import asyncio

import pytest
from smartex_chassis import set_within


async def test_an_event_that_is_set_and_one_that_is_not() -> None:
    event = asyncio.Event()
    assert not await set_within(event, 0.001)
    asyncio.get_running_loop().call_later(0.001, event.set)
    assert await set_within(event, 60)


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancellation_that_comes_with_the_event_is_not_lost(turns: int) -> None:
    """Or a loop that stops by being cancelled goes on for ever, and who waits for its end with it."""
    event = asyncio.Event()

    async def loop() -> None:
        while True:
            await set_within(event, 600)
            event.clear()

    running = asyncio.create_task(loop())
    await asyncio.sleep(0)
    event.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running}, timeout=60)
    assert running.cancelled()
