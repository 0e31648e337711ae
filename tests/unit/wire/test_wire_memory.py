"""No byte outside the buffers: inputs and outputs that end where the memory ends."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import smartex_wire

ROUNDS = 100 if os.environ.get("NUMBA_DISABLE_JIT") == "1" else 3000
PAGES = 16
NO_ACCESS = 0


class Guarded:
    """Memory between two pages that nobody may touch: one byte too far ends the process."""

    def __init__(self) -> None:
        page = mmap.PAGESIZE
        self._map = mmap.mmap(-1, (PAGES + 2) * page)
        self.memory = np.frombuffer(self._map, np.uint8)[page:-page]
        self._libc = ctypes.CDLL(None, use_errno=True)
        for address in (self.memory.ctypes.data - page, self.memory.ctypes.data + PAGES * page):
            self._protect(address, page, NO_ACCESS)
        self._edges = (self.memory.ctypes.data - page, self.memory.ctypes.data + PAGES * page)

    def _protect(self, address: int, size: int, protection: int) -> None:
        if self._libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(size), protection):
            raise OSError(ctypes.get_errno(), "mprotect")

    def last(self, size: int) -> Any:
        """The last bytes before the guard."""
        return self.memory[len(self.memory) - size :]

    def first(self, size: int) -> Any:
        """The first bytes behind the guard."""
        return self.memory[:size]

    def open(self) -> None:
        for address in self._edges:
            self._protect(address, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE)


@pytest.fixture
def guarded() -> Iterator[tuple[Guarded, Guarded]]:
    source, target = Guarded(), Guarded()
    yield source, target
    source.open()
    target.open()


def _inputs(every: Any) -> Iterator[bytes]:
    """Valid messages, their beginnings, and mutations of them."""
    rng = random.Random(11)
    rows = [{"f1": -1, "f2": 2**64 - 1, "f4": 1, "f5": 1, "f13": 1.0, "f14": 1.0, "f16": -1, "f2048": -1}] * 3
    data = every.envelope(f2=2**32 - 1, f3=-1, f5000=-1, rows=rows).SerializeToString()
    data += b"\x9b\x06\x08\x05\xa3\x06\xa4\x06\x9c\x06" + b"\xa2\x06\x03abc"
    yield from (data[:size] for size in range(len(data) + 1))
    for _ in range(ROUNDS):
        mutated = bytearray(data[: rng.randint(1, len(data))])
        for _ in range(rng.randint(1, 5)):
            mutated[rng.randrange(len(mutated))] = rng.choice([0xFF, 0x80, 0x7F, 0, rng.randrange(256)])
        yield bytes(mutated)


def _placed(where: Any, data: bytes) -> Any:
    """The bytes at the end of guarded memory, read-only as from bytes."""
    view = where.last(len(data))
    view[:] = np.frombuffer(data, np.uint8)
    view.flags.writeable = False
    return view


def test_reading_stops_where_the_input_stops(every: Any, guarded: tuple[Guarded, Guarded]) -> None:
    source, _ = guarded
    flat = smartex_wire.flat_codec(every.row)
    for data in _inputs(every):
        placed = memoryview(_placed(source, data))
        try:
            header, rows = every.codec.decode(placed)
        except smartex_wire.WireError as error:
            with pytest.raises(smartex_wire.WireError, match=error.reason):
                every.codec.decode(data)
        else:
            expected_header, expected = every.codec.decode(data)
            assert (header.tobytes(), rows.tobytes()) == (expected_header.tobytes(), expected.tobytes())
        with contextlib.suppress(smartex_wire.WireError):
            flat.decode(placed)


@pytest.mark.parametrize("edge", ["first", "last"])
@pytest.mark.parametrize("room", [0, 1, 2, 3])
def test_rows_stay_in_their_array(edge: str, room: int, every: Any, guarded: tuple[Guarded, Guarded]) -> None:
    source, target = guarded
    size = every.codec.row_dtype.itemsize
    target.memory[:] = 0xA5
    out = getattr(target, edge)(room * size).view(every.codec.row_dtype)
    for data in _inputs(every):
        with contextlib.suppress(smartex_wire.WireError):
            every.codec.decode_into(memoryview(_placed(source, data)), out)
    rest = (
        target.memory[room * size :] if edge == "first" else target.memory[: len(target.memory) - room * size]
    )
    assert (rest == 0xA5).all()


def test_writing_stays_in_the_buffer(every: Any, guarded: tuple[Guarded, Guarded]) -> None:
    """Every size of buffer up to the largest form, at the very end of memory, with rows of all ones."""
    _, target = guarded
    for count in (0, 1, 3):
        rows = np.frombuffer(b"\xff" * every.codec.row_dtype.itemsize * count, every.codec.row_dtype)
        header = np.frombuffer(b"\xff" * every.codec.header_dtype.itemsize, every.codec.header_dtype)
        expected = every.codec.encode(rows, header)
        for room in range(every.codec.max_size(count) + 1):
            target.memory[-1000:] = 0xA5
            try:
                length = every.codec.encode_into(rows, target.last(room), header=header)
            except ValueError:
                assert room < every.codec.max_size(count)
            else:
                assert target.last(room)[:length].tobytes() == expected
            assert (target.memory[-1000 : len(target.memory) - room] == 0xA5).all()


def test_encoding_reads_only_its_rows(every: Any, guarded: tuple[Guarded, Guarded]) -> None:
    source, _ = guarded
    dtype = every.codec.row_dtype
    for count in (1, 2, 5):
        for view in (source.first(count * dtype.itemsize), source.last(count * dtype.itemsize)):
            view[:] = 0x5A
            rows = view.view(dtype)
            assert every.codec.encode(rows) == every.codec.encode(rows.copy())
