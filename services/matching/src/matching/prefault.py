"""Makes the memory that coming orders write to real before they come.

Outcomes, ids and market data are kept in rings that are filled round and round. Until the first round is over,
every order would meet new pages, and wait for the kernel to find and clear them: on a virtual machine that took
longer than everything else that the core does for an order.
"""

from __future__ import annotations

import asyncio
import ctypes
import sys
import threading
from collections.abc import Iterable
from typing import Final, TypeAlias

Span: TypeAlias = tuple[int, int]
"""Address and size of memory in bytes."""

_POPULATE_WRITE: Final = 23
"""Linux's MADV_POPULATE_WRITE: as a write to every page would, but nothing changes."""
_STEP: Final = 2 << 20
_PAUSE_SECONDS: Final = 0.001
_PAGE: Final = 4096


class Prefault:
    """Touches the spans in a thread, in small steps: at once while the log is replayed, whose commands come as fast as
    they can be applied; with pauses when the pod already serves."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._pause = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self, spans: Iterable[Span]) -> None:
        """Begin. The memory must stay until `stop` has returned."""
        touching = asyncio.to_thread(self._touch, list(spans))
        self._task = asyncio.create_task(touching, name="matching-prefault")

    def make_pauses(self) -> None:
        """The log is replayed."""
        self._pause = _PAUSE_SECONDS

    async def stop(self) -> None:
        """End, after the step under way."""
        self._stopped.set()
        if self._task is not None:
            await self._task

    def _touch(self, spans: list[Span]) -> None:
        for address, size in spans:
            for start in range(0, size, _STEP):
                if self._stopped.wait(self._pause) or not populate(address + start, min(_STEP, size - start)):
                    return


def populate(address: int, size: int) -> bool:
    """Have the whole pages in a stretch of memory, as if each had been written to; False if that cannot be done."""
    begin, end = -(-address // _PAGE) * _PAGE, (address + size) // _PAGE * _PAGE
    if end <= begin:
        return True
    # Through ctypes, which lets other threads run meanwhile; the mmap module would hold them up.
    return sys.platform == "linux" and bool(_madvise(begin, end - begin, _POPULATE_WRITE) == 0)


_madvise = ctypes.CDLL(None).madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
