"""Values as the PostgreSQL engine keeps them."""

from __future__ import annotations

import asyncio
import random

from hypothesis import given
from hypothesis import strategies as st
from smartex_bus.postgres.packing import SMALLEST, pack, unpack

LARGE = st.builds(lambda seed, n, alphabet: bytes(random.Random(seed).choices(range(alphabet), k=n)),
                  st.integers(0, 1000), st.integers(SMALLEST, 20_000), st.integers(1, 256))  # fmt: skip


@given(st.lists(st.binary(max_size=2 * SMALLEST) | LARGE, max_size=8))
def test_what_is_packed_comes_back_and_is_never_larger(values: list[bytes]) -> None:
    stored, sizes = asyncio.run(pack(values))
    kept = sizes or [None] * len(values)
    assert [unpack(value, size) for value, size in zip(stored, kept, strict=True)] == values
    assert all(len(a) <= len(b) for a, b in zip(stored, values, strict=True))


def test_only_large_values_are_packed() -> None:
    small, large, noise = bytes(SMALLEST - 1), bytes(SMALLEST), random.Random(7).randbytes(4 * SMALLEST)
    assert asyncio.run(pack([small])) == ([small], None)
    stored, sizes = asyncio.run(pack([small, large, noise]))
    assert sizes == [None, len(large), None]
    assert stored[0] == small
    assert stored[2] == noise
    assert len(stored[1]) < 100


def test_a_group_that_is_too_large_for_the_loop_is_packed_in_a_thread() -> None:
    values = [bytes([n]) * 300_000 for n in range(5)]
    stored, sizes = asyncio.run(pack(values))
    assert sizes == [300_000] * 5
    assert [unpack(value, 300_000) for value in stored] == values
