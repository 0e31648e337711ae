"""Holding the lease, and giving it up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import pytest
from matching import lease as leasing
from matching.lease import Lease
from smartex_store import DatabaseUnavailable
from waiting import until


class Database:
    """Grants the lease unless there is an error to raise. What it was asked for, by the first word."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked: list[str] = []
        self.slow = False

    async def fetchval(self, query: str, *arguments: Any) -> int:
        self.asked.append(query.split()[0])
        if self.slow:
            await asyncio.sleep(0.02)
        if self.error is not None:
            raise self.error
        return 1

    async def execute(self, query: str, *arguments: Any) -> None:
        self.asked.append(query.split()[0])
        if self.error is not None:
            raise self.error


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
async def lease(database: Database) -> AsyncIterator[Lease]:
    lease = Lease(cast(Any, database), 0, "this", 0.1)
    await lease.start()
    await until(lambda: lease.held)
    yield lease
    await lease.stop()


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT in a read-only transaction"),
        asyncpg.DiskFullError("could not extend file"),
        asyncpg.QueryCanceledError("canceling statement due to statement timeout"),
        asyncpg.InterfaceError("pool is closing"),
        OSError(113, "No route to host"),
        DatabaseUnavailable("gone"),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_database_that_cannot_renew_it_costs_the_lease_but_not_the_pod(
    lease: Lease, database: Database, error: Exception
) -> None:
    database.error = error
    await until(lambda: not lease.held)
    database.error = None
    await until(lambda: lease.held)
    database.error = error
    await lease.stop()
    assert database.asked[-1] == "update"


@pytest.mark.parametrize("slow", [False, True])
async def test_who_resigns_releases_it_at_once_and_claims_it_no_more(
    lease: Lease, database: Database, slow: bool
) -> None:
    database.slow = slow
    asked = len(database.asked)
    await until(lambda: len(database.asked) > asked)  # when it is slow, a claim is under way
    lease.resign()
    assert not lease.held
    await until(lambda: database.asked[-1] == "update")
    database.asked.clear()
    await asyncio.sleep(0.2)
    assert not database.asked
    assert not lease.held


async def test_its_time_runs_from_when_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """However late the answer: the database counts from the claim, and gives it to another pod then."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(leasing, "time", SimpleNamespace(monotonic=lambda: clock.now))

    class SlowOnce(Database):
        async def fetchval(self, query: str, *arguments: Any) -> int:
            if self.asked:
                await asyncio.Event().wait()
            clock.now += 4.0
            return await super().fetchval(query, *arguments)

    lease = Lease(cast(Any, SlowOnce()), 0, "this", 10.0)
    await lease.start()
    await until(lambda: lease.held)
    clock.now = 109.9
    assert lease.held
    clock.now = 110.0
    assert not lease.held
    await lease.stop()


async def test_without_a_database_it_is_held_until_one_resigns() -> None:
    lease = Lease(None, 0, "this", 0.1)
    await lease.start()
    assert lease.held
    lease.resign()
    assert not lease.held
    await lease.stop()
