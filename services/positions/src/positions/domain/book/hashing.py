"""Numbers to places in a table: open addressing with linear probing, compiled.

A map is a structured array of (key, place); key 0 marks an empty cell, so keys are positive. Its length is a power of
two and at least twice the number of keys.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from positions.domain.book.compiled import inline, kernel, whole

CELL = np.dtype([("key", "i8"), ("place", "i8")])


def new_map(room: int) -> Any:
    """An empty map with room for so many keys."""
    size = 16
    while size < 2 * room:
        size *= 2
    return np.zeros(size, CELL)


@inline
def home(key: int, size: int) -> int:
    """The first cell to look at (Fibonacci hashing: Knuth, vol. 3, 6.4)."""
    mixed = np.uint64(key) * np.uint64(11400714819323198485)
    return whole((mixed >> np.uint64(32)) & np.uint64(size - 1))


@inline
def find(cells: Any, key: int) -> int:
    """The place of a key, -1 if it is not there."""
    mask = len(cells) - 1
    at = home(key, len(cells))
    while cells[at]["key"] != 0:
        if cells[at]["key"] == key:
            return whole(cells[at]["place"])
        at = (at + 1) & mask
    return -1


@inline
def put(cells: Any, key: int, place: int) -> None:
    """Add a key that is not there."""
    mask = len(cells) - 1
    at = home(key, len(cells))
    while cells[at]["key"] != 0:
        at = (at + 1) & mask
    cells[at]["key"] = key
    cells[at]["place"] = place


@inline
def take(cells: Any, key: int) -> None:
    """Remove a key that is there; those behind it move up, so that no gap breaks their chain."""
    size = len(cells)
    mask = size - 1
    hole = home(key, size)
    while cells[hole]["key"] != key:
        hole = (hole + 1) & mask
    at = hole
    while True:
        at = (at + 1) & mask
        moved = cells[at]["key"]
        if moved == 0:
            break
        # It may move into the hole unless its home lies behind the hole.
        if ((at - home(moved, size)) & mask) >= ((at - hole) & mask):
            cells[hole]["key"] = moved
            cells[hole]["place"] = cells[at]["place"]
            hole = at
    cells[hole]["key"] = 0


@kernel
def look_up(cells: Any, key: int) -> int:
    """`find`, for Python."""
    return find(cells, key)


@kernel
def copy_into(old: Any, new: Any) -> None:
    """Put all keys of a map into a larger, empty one."""
    for at in range(len(old)):
        if old[at]["key"] != 0:
            put(new, old[at]["key"], old[at]["place"])
