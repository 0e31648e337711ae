"""Which checkpoints stay."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from positions.checkpoints import superfluous


def kept(sequences: list[int], most: int) -> list[int]:
    drop = set(superfluous(sequences, most))
    return [each for each in sequences if each not in drop]


def test_old_ones_are_thinned_first() -> None:
    assert superfluous([10, 20, 30], 3) == []
    assert kept([10, 20, 30, 40], 3) == [20, 30, 40]
    assert kept([20, 30, 40, 50], 3) == [20, 40, 50]
    assert kept([7], 1) == [7]
    assert kept([7, 9], 1) == [9]


@given(most=st.integers(2, 40), count=st.integers(1, 300))
def test_one_at_a_time_none_is_far_from_the_next(most: int, count: int) -> None:
    stays: list[int] = []
    for sequence in range(1, count + 1):
        stays = kept([*stays, sequence], most)
        assert len(stays) <= most
        assert stays[-1] == sequence
        gaps = [after - before for before, after in zip([0, *stays], stays, strict=False)]
        assert max(gaps) <= max(1, 4 * sequence / most)
