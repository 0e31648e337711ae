"""Memory is gathered into huge pages where it is used, and holds what it held."""

from __future__ import annotations

import ctypes
import mmap
import re
import sys
from pathlib import Path

import pytest
from smartex_chassis.memory import HUGE, gather_memory, huge_stretches, private_spans

MAPS = """\
560000000000-560000400000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000300000 rw-p 00000000 00:00 0
7f0000400000-7f0000800000 r--p 00000000 00:00 0
7f0000800000-7f0000a00000 r-xp 00001000 08:01 1234                       /usr/lib/libpython3.11.so.1.0
7f0000a00000-7f0000e00000 rw-p 00001000 08:01 1234                       /usr/lib/libpython3.11.so.1.0
7ffd00000000-7ffd00800000 rw-p 00000000 00:00 0                          [stack]
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be asked")


def test_only_private_memory_that_can_be_written_to_is_looked_at() -> None:
    assert list(private_spans(MAPS.splitlines())) == [
        (0x560000000000, 0x560000400000),
        (0x7F0000000000, 0x7F0000300000),
    ]


def test_stretches_are_whole_and_aligned() -> None:
    assert list(huge_stretches([(HUGE, 3 * HUGE), (10 * HUGE + 4096, 12 * HUGE - 1)])) == [HUGE, 2 * HUGE]
    assert list(huge_stretches([(5 * HUGE - 4096, 7 * HUGE + 4096)])) == [5 * HUGE, 6 * HUGE]
    assert list(huge_stretches([(4096, HUGE)])) == []


def huge_bytes(start: int) -> int:
    """What of the mapping that an address lies in is in huge pages."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if span := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = int(span[1], 16) <= start < int(span[2], 16)
        elif inside and line.startswith("AnonHugePages:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no such mapping")


@linux
def test_used_memory_is_gathered_and_unused_is_not() -> None:
    with mmap.mmap(-1, 8 * HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        # Between memory of its own kind a mapping would grow together with others.
        memory.madvise(mmap.MADV_DONTFORK)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        first = -start % HUGE
        for page in range(first, first + 2 * HUGE, 4096):
            memory[page : page + 8] = page.to_bytes(8, "little")
        memory[first + 5 * HUGE] = 7  # one page of its stretch
        gathered = gather_memory()
        held = [
            int.from_bytes(memory[page : page + 8], "little") for page in range(first, first + 2 * HUGE, 4096)
        ]
        assert held == list(range(first, first + 2 * HUGE, 4096))
        assert memory[first + 5 * HUGE] == 7
        if not gathered:
            pytest.skip("this kernel has no MADV_COLLAPSE")
        assert huge_bytes(start) == 2 * HUGE


@linux
def test_a_kernel_that_does_not_tell_what_is_in_use_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise PermissionError("not yours to look at")

    monkeypatch.setattr("os.pread", refuse)
    assert gather_memory() == 0
