"""Closing aiokafka's clients whatever state they are in."""

from __future__ import annotations

import asyncio
from typing import Any

_SECONDS = 3.0


async def stop_quietly(client: Any) -> None:
    """Stop a consumer or a producer.

    ``stop`` may wait for a broker that is away, and lets the cancellation of its own tasks out; neither may
    reach the caller. What it did not come to is closed here, so that no task or connection stays behind.
    """
    stopping = asyncio.ensure_future(client.stop())
    await asyncio.wait([stopping], timeout=_SECONDS)
    if stopping.done() and not stopping.cancelled() and stopping.exception() is None:
        return
    stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)
    await _end_sender(client)
    fetcher = getattr(client, "_fetcher", None)
    if fetcher is not None:
        await asyncio.gather(fetcher.close(), return_exceptions=True)
    inner = getattr(client, "client", None) or getattr(client, "_client", None)
    if inner is not None:
        await asyncio.gather(inner.close(), return_exceptions=True)


async def _end_sender(client: Any) -> None:
    sender = getattr(client, "_sender", None)
    task = None if sender is None else sender.sender_task
    if task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_SECONDS)
