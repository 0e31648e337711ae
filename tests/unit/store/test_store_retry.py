import random

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartex_store import Database, DatabaseRefused, DatabaseUnavailable, retrying
from smartex_store.retry import backoff


@given(st.integers(1, 1000), st.integers())
def test_backoff_grows_to_its_cap(attempt: int, seed: int) -> None:
    delay = backoff(attempt, first=0.05, last=2.0, rng=random.Random(seed))
    top = min(2.0, 0.05 * 2 ** min(attempt - 1, 30))
    assert top / 2 <= delay <= top


class Flaky:
    """Fails with the given errors in turn, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return 42


async def test_repeats_what_passes() -> None:
    flaky = Flaky(ConnectionRefusedError(), asyncpg.SerializationError("conflict"))
    assert await retrying(flaky, within=5) == 42
    assert flaky.calls == 3


async def test_does_not_repeat_what_is_wrong() -> None:
    flaky = Flaky(asyncpg.UniqueViolationError("double"))
    with pytest.raises(asyncpg.UniqueViolationError):
        await retrying(flaky, within=5)
    assert flaky.calls == 1


async def test_gives_up_with_a_typed_error() -> None:
    flaky = Flaky(*[ConnectionRefusedError() for _ in range(100)])
    with pytest.raises(DatabaseUnavailable):
        await retrying(flaky, within=0.2)
    assert 1 < flaky.calls < 100


async def test_a_url_that_cannot_be_read_is_told_without_its_password() -> None:
    with pytest.raises(DatabaseRefused, match="cannot be read") as told:
        await Database.connect("postgresql://smartex:ge/heim@nowhere/x")
    assert "'ge'" not in told.value.message
    assert told.value.__suppress_context__
