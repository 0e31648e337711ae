"""Token buckets, by a clock of the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matching.limits import TokenBuckets
from smartex_chassis import Overloaded


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_the_rate() -> None:
    clock = Clock()
    buckets = TokenBuckets(10, 3, clock)
    for _ in range(3):
        buckets.take(1)
    with pytest.raises(Overloaded) as caught:
        buckets.take(1)
    assert caught.value.retry_after is not None
    assert caught.value.retry_after.total_seconds() == pytest.approx(0.1)
    buckets.take(2)  # another account
    clock.now = 0.1
    buckets.take(1)


def test_more_than_a_burst_waits_for_a_full_bucket_and_pays_afterwards() -> None:
    clock = Clock()
    buckets = TokenBuckets(10, 5, clock)
    assert buckets.wait_for(1, 20) == 0
    assert buckets.wait_for(1, 1) == pytest.approx(1.6)


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(1, 10)), max_size=60))
def test_never_more_than_burst_and_rate_allow(steps: list[tuple[float, int]]) -> None:
    clock = Clock()
    buckets = TokenBuckets(7, 10, clock)
    taken = 0
    for seconds, count in steps:
        clock.now += seconds
        if buckets.wait_for(1, count) == 0:
            taken += count
        assert taken <= 10 + 7 * clock.now + 1e-6
