"""Memory that stays, gathered into huge pages.

A call touches Python objects, compiled kernels and buffers on hundreds of pages of 4 KiB. The processor remembers
the addresses of some two thousand, which the processes of one machine share; each other one is looked up, and by a
virtual machine twice over. Of the time that a single order took beyond an echo and an append, an eighth was that.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Final

import structlog

_log = structlog.get_logger("smartex.memory")

_COLLAPSE: Final = 25
"""Linux's MADV_COLLAPSE (from 6.1 on): copies what lies in the stretch to a huge page, whose memory it becomes."""
HUGE: Final = 2 << 20
_PAGE: Final = 4096
_FEWEST: Final = HUGE // _PAGE // 2
"""Pages in use from which on a huge one is worth the memory of those that are not."""
_PAUSE_SECONDS: Final = 0.001
_SETTLE_SECONDS: Final = 10.0
"""Until what a start leaves to be loaded afterwards is there."""


async def gather_when_settled() -> None:
    """Gather once the process has settled, in a thread."""
    await asyncio.sleep(_SETTLE_SECONDS)
    gathered = await asyncio.to_thread(gather_memory)
    _log.debug("memory gathered", mebibytes=gathered * HUGE >> 20)


def gather_memory() -> int:
    """Move the process's heap and other private memory into huge pages where half of one is in use.

    Returns how many there are; 0 where the kernel has no such call, or does not tell what is in use. Nothing else
    changes.
    """
    if sys.platform != "linux":
        return 0
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    gathered = 0
    try:
        with open("/proc/self/maps") as maps, open("/proc/self/pagemap", "rb") as pagemap:
            for start in huge_stretches(list(private_spans(maps))):
                if _used_pages(pagemap.fileno(), start) >= _FEWEST:
                    # Memory that is marked to stay as it is, or gone by now, is refused.
                    gathered += madvise(start, HUGE, _COLLAPSE) == 0
                    time.sleep(_PAUSE_SECONDS)
    except OSError as error:
        _log.debug("memory stays as it is", error=str(error))
    return gathered


def private_spans(maps: Iterable[str]) -> Iterator[tuple[int, int]]:
    """(start, end) of the heap and of anonymous memory that can be written to, from the lines of `/proc/self/maps`."""
    for line in maps:
        span, permissions, _, _, inode, *path = line.split()
        if permissions.startswith("rw") and inode == "0" and (not path or path[0] == "[heap]"):
            start, _, end = span.partition("-")
            yield int(start, 16), int(end, 16)


def huge_stretches(spans: Iterable[tuple[int, int]]) -> Iterator[int]:
    """Starts of the stretches in the spans that a huge page could hold."""
    for start, end in spans:
        yield from range(-(-start // HUGE) * HUGE, end - HUGE + 1, HUGE)


def _used_pages(pagemap: int, start: int) -> int:
    """Pages of a stretch that are in memory: the highest bit of each one's eight bytes says so."""
    words = os.pread(pagemap, HUGE // _PAGE * 8, start // _PAGE * 8)
    highest = words[7::8] if sys.byteorder == "little" else words[::8]
    return sum(byte >= 0x80 for byte in highest)
