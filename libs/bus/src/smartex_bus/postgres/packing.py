"""Large values as the table keeps them: packed, if that makes them smaller."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import cramjam

SMALLEST = 1024
"""Bytes from which on a value is packed: below, a row is small anyway, and an order should not wait for it."""
_INLINE = 1 << 19
"""Bytes that are packed on the event loop, in some 0.5 ms: what a thread has packed waits ten times as long until the
event loop, if it is busy, comes around to it."""

Packed = tuple[list[bytes], list[int | None] | None]
"""The values to store, and the size of each once unpacked; no sizes if all are stored as they are."""


async def pack(values: list[bytes]) -> Packed:
    """Pack what is large enough."""
    large = sum(len(value) for value in values if len(value) >= SMALLEST)
    if not large:
        return values, None
    if large <= _INLINE:
        return _pack(values)
    return await asyncio.to_thread(_pack, values)


def _pack(values: Sequence[bytes]) -> Packed:
    stored: list[bytes] = []
    sizes: list[int | None] = []
    for value in values:
        packed = (
            bytes(cramjam.lz4.compress_block(value, store_size=False)) if len(value) >= SMALLEST else value
        )
        smaller = len(packed) < len(value)
        stored.append(packed if smaller else value)
        sizes.append(len(value) if smaller else None)
    return stored, sizes


def unpack(stored: bytes, size: int | None) -> bytes:
    """The value as it was appended."""
    return stored if size is None else bytes(cramjam.lz4.decompress_block(stored, output_len=size))
