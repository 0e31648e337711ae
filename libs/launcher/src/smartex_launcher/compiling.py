"""The first start compiles kernels for a minute: it shows that it gets on, and two processors share the work.

`python -m smartex_launcher.compiling NAME…` is the second process. It compiles for the services named, from the last
part to the first, while we go from the first to the last; what one has put on the disk the other finds there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

from smartex_chassis import in_abandoned_thread

from . import services

_EVENT = "numba:compile"
_LOOK_SECONDS = 0.2


class CompileCounter:
    """`count` functions were compiled since `watch`."""

    def __init__(self) -> None:
        self.count = 0
        self._watching = False

    def watch(self) -> None:
        """Begin to count. Does nothing where no service has loaded Numba."""
        if self._watching or "numba" not in sys.modules:
            return
        from numba.core import event  # only there if a service depends on it

        counter = self

        class Listener(event.Listener):  # type: ignore[misc, unused-ignore]
            def on_start(self, event: Any) -> None:
                pass

            def on_end(self, event: Any) -> None:
                counter.count += 1

        register: Any = event.register
        register(_EVENT, Listener())
        self._watching = True


async def warm_up(found: Sequence[services.Found], compiled: CompileCounter) -> None:
    """Compile all kernels of the services, or load them from the disk."""
    before = compiled.count
    parts = [part for each in found for part in each.warm_ups]
    ours = asyncio.create_task(in_abandoned_thread(lambda: _do_all(parts)))
    second: asyncio.subprocess.Process | None = None
    try:
        while not (await asyncio.wait({ours}, timeout=_LOOK_SECONDS))[0]:
            if second is None and compiled.count > before:
                second = await _start_second([each.name for each in found])
        await ours
    finally:
        ours.cancel()
        if second is not None:
            with contextlib.suppress(ProcessLookupError):
                second.kill()  # all is compiled: what it still does was in vain
            await second.wait()


async def _start_second(names: Sequence[str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "smartex_launcher.compiling", *names),
        stdin=subprocess.PIPE,  # it ends with it, should we be killed
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # what fails here fails in the first process too, which tells it
        start_new_session=True,
    )


def _do_all(parts: Sequence[Any]) -> None:
    for part in parts:
        part()


def _leave_with_the_input() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def main(names: Sequence[str]) -> None:
    """Compile from the last part to the first, until all is done or the standard input ends."""
    threading.Thread(target=_leave_with_the_input, daemon=True).start()
    found = [each for each in services.find() if each.name in names]
    _do_all([part for each in found for part in each.warm_ups][::-1])


if __name__ == "__main__":
    main(sys.argv[1:])
