"""Arrays of rows put one behind the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]


def joined(parts: Sequence[Rows]) -> Rows:
    """The rows of all, in order, in memory of their own: one array at least, all of one dtype and without gaps.

    `numpy.concatenate` takes 14 µs for every array of records, to find the type that all have in common; this takes
    as long as it takes to copy them. ValueError if the dtypes differ.
    """
    dtype = parts[0].dtype
    if any(part.dtype is not dtype and part.dtype != dtype for part in parts):
        raise ValueError("rows of different dtypes cannot be joined")
    return np.frombuffer(bytearray().join(parts), dtype)  # type: ignore[arg-type]
