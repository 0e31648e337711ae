"""Arrays of rows made without asking NumPy field by field, which takes many times as long."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]


_FEW_ROWS = 64


def joined(parts: Sequence[Rows]) -> Rows:
    """The rows of all, in order, in memory of their own: one array at least, all of one dtype and without gaps.

    `numpy.concatenate` takes 14 µs for every array of records, to find the type that all have in common; this takes
    as long as it takes to copy them. ValueError if the dtypes differ.
    """
    dtype = parts[0].dtype
    if len(parts) == 1 and len(parts[0]) <= _FEW_ROWS:
        # NumPy copies few rows sooner than it describes them to `join`.
        return np.frombuffer(bytearray(parts[0].tobytes()), dtype)
    if any(part.dtype is not dtype and part.dtype != dtype for part in parts):
        raise ValueError("rows of different dtypes cannot be joined")
    return np.frombuffer(bytearray().join(parts), dtype)  # type: ignore[arg-type]


def row_maker(dtype: np.dtype[np.void]) -> Callable[[Mapping[str, int | float]], Rows]:
    """A function that makes an array of one row from its values by name; all others are zero.

    It raises TypeError for a name that such rows do not have, `struct.error` for a value that does not fit.
    """
    pack, zeros = packer(dtype).pack, dict.fromkeys(dtype.names or (), 0)

    def make(values: Mapping[str, int | float]) -> Rows:
        row = {**zeros, **values}
        if len(row) > len(zeros):
            raise TypeError(f"the rows have no field {', '.join(values.keys() - zeros.keys())}")
        return np.frombuffer(bytearray(pack(*row.values())), dtype)

    return make


def packer(dtype: np.dtype[np.void]) -> struct.Struct:
    """Makes the bytes of a row from its values."""
    formats = {"i": "bhiq", "u": "BHIQ", "f": "efd"}
    packed, at = "<", 0
    for name in dtype.names or ():
        assert dtype.fields is not None
        kind, offset = dtype.fields[name][:2]
        size = kind.itemsize
        code = {1: 0, 2: 1, 4: 2, 8: 3}[size] if kind.kind != "f" else {4: 1, 8: 2}[size]
        packed += f"{offset - at}x{formats[kind.kind][code]}"
        at = offset + size
    return struct.Struct(f"{packed}{dtype.itemsize - at}x")
