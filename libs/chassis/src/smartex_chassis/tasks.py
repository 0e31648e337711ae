"""Tasks that go on beside the calls: begun by a module's parts, ended with them, and never missing unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

FAILED: Final = "a background task failed"
"""Message by which the loop's exception handler knows such a failure; the server then drains and leaves."""


def start_task(running: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Run beside the calls. What it raises is not to be expected: the process leaves, to be started again whole."""
    task = asyncio.create_task(running, name=name)
    task.add_done_callback(_look)
    return task


async def stop_tasks(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel tasks and wait until all have ended, however they end; None is a task that was never begun."""
    begun = [task for task in tasks if task is not None]
    for task in begun:
        task.cancel()
    if begun:
        # Not `gather`: when a stop runs out of time, that would wait on for a task that does not end.
        await asyncio.wait(begun)


def _look(task: asyncio.Task[None]) -> None:
    if task.cancelled() or (error := task.exception()) is None:
        return
    task.get_loop().call_exception_handler({"message": FAILED, "exception": error, "task": task})
