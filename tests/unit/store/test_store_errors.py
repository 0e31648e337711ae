import inspect
from pathlib import Path

import asyncpg
import pytest
import smartex_store
from hypothesis import given
from hypothesis import strategies as st
from smartex_store import (
    DatabaseUnavailable,
    DataFolderLocked,
    MigrationChanged,
    StoreError,
    is_retryable,
)

TREE = [
    value
    for value in vars(smartex_store).values()
    if inspect.isclass(value) and issubclass(value, StoreError)
]


def test_every_error_has_its_own_reason() -> None:
    reasons = [error.reason for error in TREE]
    assert len(set(reasons)) == len(reasons)
    assert all(reason == reason.upper() for reason in reasons)


@given(st.text(max_size=200))
def test_a_message_is_one_line(text: str) -> None:
    assert len(DatabaseUnavailable(text).message.splitlines()) <= 1
    assert len(MigrationChanged("s", text).message.splitlines()) == 1


def test_locked_names_the_process() -> None:
    error = DataFolderLocked(Path("/d"), 4711)
    assert error.pid == 4711
    assert "4711" in str(error)
    assert error.category == "final"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (asyncpg.ConnectionDoesNotExistError("gone"), True),
        (asyncpg.AdminShutdownError("bye"), True),
        (asyncpg.CannotConnectNowError("starting up"), True),
        (asyncpg.SerializationError("conflict"), True),
        (asyncpg.DeadlockDetectedError("deadlock"), True),
        (asyncpg.InterfaceError("connection is closed"), True),
        (ConnectionRefusedError(), True),
        (DatabaseUnavailable("x"), True),
        (asyncpg.InterfaceError("pool is closed"), False),
        (asyncpg.UniqueViolationError("double"), False),
        (asyncpg.PostgresSyntaxError("what"), False),
        (MigrationChanged("s", "x"), False),
        (ValueError("bug"), False),
    ],
)
def test_what_passes_by_itself(error: Exception, expected: bool) -> None:
    assert is_retryable(error) is expected
