"""Waiting that can be stopped."""

from __future__ import annotations

import asyncio


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, at most so many seconds; whether it is set.

    Not `asyncio.wait_for`: before Python 3.12 that swallows a cancellation which comes as the event is set, and a
    task that was to stop runs on for ever.
    """
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True
