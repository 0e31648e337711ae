"""Long work in a thread that nobody waits for when the program is to end, such as compiling kernels for a minute."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress

_threads: list[threading.Thread] = []


async def in_abandoned_thread(work: Callable[[], object]) -> None:
    """As `asyncio.to_thread`; but where this is cancelled, the loop and the program end before the work does."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def tell(error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        failed: BaseException | None = None
        try:
            work()
        except BaseException as error:
            failed = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, failed)

    thread = threading.Thread(target=run, name="abandoned", daemon=True)
    _threads.append(thread)
    thread.start()
    await done


def leave_abandoned(code: int) -> int:
    """The exit code; does not return while such work goes on, for Python's own end would fall over it or wait."""
    if any(thread.is_alive() for thread in _threads):
        os._exit(code)
    return code
