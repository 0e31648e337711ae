"""Making memory real: what is written stays, and stopping is quick."""

from __future__ import annotations

import asyncio
import mmap
import sys

import numpy as np
import pytest
from matching.domain import Core, CoreSettings
from matching.prefault import Prefault, populate


@pytest.mark.skipif(sys.platform != "linux", reason="other systems make memory real at the first write")
def test_populated_memory_keeps_what_was_written_and_odd_ends_are_left_alone() -> None:
    memory = np.frombuffer(mmap.mmap(-1, 1 << 20), np.uint8)
    memory[5000] = 7
    assert populate(memory.ctypes.data + 1, (1 << 20) - 2)
    assert populate(memory.ctypes.data + 1, 100)  # not a whole page: nothing to do
    assert memory[5000] == 7
    assert memory.sum() == 7


async def test_a_core_is_the_same_after_its_memory_was_touched() -> None:
    core, other = Core(CoreSettings(window=1000)), Core(CoreSettings(window=1000))
    prefault = Prefault()
    prefault.start(core.filled_by_orders())
    await asyncio.sleep(0.05)
    await prefault.stop()
    assert core.state_hash() == other.state_hash()


async def test_stopping_does_not_wait_for_the_end() -> None:
    memory = np.frombuffer(
        mmap.mmap(-1, 1 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000), np.uint8
    )
    prefault = Prefault()
    prefault.start([(memory.ctypes.data, len(memory))] * 1000)
    async with asyncio.timeout(60):
        await prefault.stop()
    await Prefault().stop()  # never started
