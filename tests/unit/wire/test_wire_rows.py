"""Arrays of rows made without NumPy's own way."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartex_wire import joined, row_maker

DTYPE = np.dtype([("kind", "u1"), ("number", "i8"), ("share", "f4")], align=True)


@given(st.lists(st.lists(st.tuples(st.integers(0, 255), st.integers(-(2**63), 2**63 - 1))), min_size=1))
def test_all_rows_come_in_order_and_are_ones_own(lists: list[list[tuple[int, int]]]) -> None:
    parts = [np.array([(kind, number, 0.5) for kind, number in rows], DTYPE) for rows in lists]
    whole = joined(parts)
    assert whole.dtype == DTYPE
    assert whole["number"].tolist() == [number for rows in lists for _, number in rows]
    whole["kind"] += 1  # of no part
    assert [part["kind"].tolist() for part in parts] == [[kind for kind, _ in rows] for rows in lists]


def test_rows_of_two_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="different"):
        joined([np.zeros(1, DTYPE), np.zeros(1, [("kind", "u1")])])


EVERY = np.dtype(
    [("a", "u1"), ("b", "<i4"), ("c", "<u8"), ("d", "<f8"), ("e", "<i2"), ("f", "<f4"), ("g", "<i8")],
    align=True,
)


def test_a_row_of_some_values_has_zeros_elsewhere() -> None:
    row = row_maker(EVERY)({"c": 2**64 - 1, "a": 255, "g": -(2**63), "d": 0.5})
    assert row.dtype == EVERY
    assert row.flags.writeable
    assert row.tolist() == [(255, 0, 2**64 - 1, 0.5, 0, 0.0, -(2**63))]
    expected = np.zeros(1, EVERY)
    expected[0] = row[0]
    assert row.tobytes() == expected.tobytes()


def test_a_row_takes_only_its_own_fields_and_what_fits() -> None:
    make = row_maker(EVERY)
    with pytest.raises(TypeError, match="no field h"):
        make({"a": 1, "h": 1})
    with pytest.raises(struct.error):
        make({"a": 256})
    assert make({}).tolist() == np.zeros(1, EVERY).tolist()
