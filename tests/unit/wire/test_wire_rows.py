"""Arrays of rows put one behind the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartex_wire import joined

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
