"""Tasks that go on beside the calls."""

from __future__ import annotations

import asyncio
from typing import Any

from smartex_chassis import start_task, stop_tasks


async def forever() -> None:
    await asyncio.Event().wait()


async def fails() -> None:
    raise RuntimeError("a bug")


async def test_all_are_stopped_however_they_end_and_what_was_never_begun_is_no_matter() -> None:
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    tasks = [start_task(forever(), "goes on"), start_task(fails(), "fails")]
    await asyncio.sleep(0)
    await stop_tasks(*tasks, None)
    assert [task.cancelled() for task in tasks] == [True, False]
    await stop_tasks(*tasks)  # once more


async def test_one_that_fails_is_told_at_once_and_one_that_is_stopped_is_not() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context))
    failing = start_task(fails(), "fails")
    await stop_tasks(start_task(forever(), "goes on"))
    await asyncio.sleep(0)
    assert [context["task"] for context in told] == [failing]


async def test_a_stop_that_runs_out_of_time_does_not_wait_for_a_task_that_does_not_end() -> None:

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if free.is_set():
                    raise

    free = asyncio.Event()
    task = start_task(stubborn(), "stubborn")
    await asyncio.sleep(0)
    stopping = asyncio.create_task(stop_tasks(task))
    await asyncio.sleep(0)
    stopping.cancel()
    await asyncio.wait({stopping}, timeout=60)
    assert stopping.cancelled()
    assert not task.done()
    free.set()
    await stop_tasks(task)
