"""Rounds of leases of which a step fails."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import asyncpg
from smartex_bus.postgres.consumer import PostgresConsumer
from smartex_bus.postgres.groups import Place, Round
from waiting import until

FIRST, SECOND = (1, 0), (1, 1)


class Tables:
    """A group in which this member gets two places and has to give the first one back."""

    def __init__(self) -> None:
        self.mine: set[Place] = set()
        self.target = {FIRST, SECOND}
        self.lost_connections = 1

    async def beat(self, held: Mapping[Place, int]) -> Round:
        gained: dict[Place, tuple[int, int | None]] = dict.fromkeys(self.target - set(held), (1, 0))
        self.mine |= set(gained)
        return Round(set(held) - self.target, set(held) - self.mine, gained)

    async def give_back(self, held: Mapping[Place, int]) -> None:
        if self.lost_connections:
            self.lost_connections -= 1
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        self.mine -= set(held)


def consumer(start: Any = None) -> PostgresConsumer:
    signals: Any = SimpleNamespace(
        follow=lambda *told: None, unfollow=lambda *told: None, group_changed=lambda group: None
    )
    nothing: Any = None
    made = PostgresConsumer(
        nothing,
        nothing,
        signals,
        "g",
        ["t"],
        max_records=10,
        lease=0.03,
        start=start,
        poll_interval=1.0,
        closed=lambda ended: None,
    )
    made._topic_names = {1: "t"}
    return made


async def keep_until(member: PostgresConsumer, tables: Any, reached: Any) -> None:
    keeping = asyncio.create_task(member._keep(tables))
    try:
        await until(lambda: reached() or keeping.done())
        assert not keeping.done()
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def test_what_could_not_be_given_back_is_given_back_later() -> None:
    tables, member = Tables(), consumer()
    await keep_until(member, tables, lambda: set(member._held) == {FIRST, SECOND})
    tables.target = {SECOND}
    await keep_until(member, tables, lambda: tables.mine == {SECOND})
    assert not tables.lost_connections
    assert set(member._held) == {SECOND}


async def test_a_place_without_a_start_does_not_keep_the_others_waiting() -> None:
    failures = 3

    async def start(topic: str, partition: int) -> int:
        nonlocal failures
        if partition == 0 and failures:
            failures -= 1
            raise ValueError("no position")
        return 5

    tables, member = Tables(), consumer(start)
    await keep_until(member, tables, lambda: SECOND in member._held)
    assert failures == 2
    await keep_until(member, tables, lambda: set(member._held) == {FIRST, SECOND})
    assert failures == 0
