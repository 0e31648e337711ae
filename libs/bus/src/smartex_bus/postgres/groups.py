"""Groups in tables: members with heartbeats, leases with epochs, positions.

There is no coordinator. Every member works out the same assignment from the table of members, gives back what
is not its own and takes what is free; one transaction at a time per group does so, under an advisory lock.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import asyncpg

Place = tuple[int, int]
"""Topic id and partition."""


@dataclass(frozen=True, slots=True)
class Round:
    """The outcome of one round: what to give back, what is gone, what was got (epoch and position)."""

    surplus: set[Place]
    lost: set[Place]
    gained: dict[Place, tuple[int, int | None]] = field(default_factory=dict)
    joined: bool = False


def assign(places: Iterable[Place], members: Mapping[uuid.UUID, Iterable[int]]) -> dict[Place, uuid.UUID]:
    """Who should hold what: each place goes to one member that wants its topic, evenly."""
    wants = {member: frozenset(topics) for member, topics in sorted(members.items())}
    owners: dict[Place, uuid.UUID] = {}
    for topic_id, partition in sorted(places):
        candidates = [member for member, topics in wants.items() if topic_id in topics]
        if candidates:
            owners[topic_id, partition] = candidates[(topic_id + partition) % len(candidates)]
    return owners


class GroupTables:
    """The SQL of one member of one group."""

    def __init__(
        self, pool: asyncpg.Pool[asyncpg.Record], group: str, topic_ids: list[int], lease: float
    ) -> None:
        self._pool = pool
        self._group = group
        self._topic_ids = topic_ids
        self._lease = lease
        self.member_id = uuid.uuid4()

    async def beat(self, held: Mapping[Place, int]) -> Round:
        """One heartbeat: expire the silent, compare with the target, free and take.

        ``held``: all that this member reads. What is its own without being read, because an earlier round failed
        half-way, is freed or taken again.
        """
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "select pg_advisory_xact_lock(hashtextextended('bus.group.' || $1, 0))", self._group
            )
            joined = await self._heartbeat(connection)
            target = await self._target(connection)
            rows = await connection.fetch(
                "select topic_id, partition, member_id, epoch from bus.lease where group_name = $1",
                self._group,
            )
            leases = {(r["topic_id"], r["partition"]): (r["member_id"], r["epoch"]) for r in rows}
            lost = {p for p, epoch in held.items() if leases.get(p) != (self.member_id, epoch)}
            surplus = {p for p in held if target.get(p) != self.member_id} - lost
            stray = {
                p: epoch
                for p, (member_id, epoch) in leases.items()
                if member_id == self.member_id and p not in held and target.get(p) != self.member_id
            }
            if stray:
                await self._free(connection, stray)
            free = [
                p
                for p, owner in target.items()
                if owner == self.member_id
                and leases.get(p, (None, 0))[0] in (None, self.member_id)
                and (p not in held or p in lost)
            ]
            return Round(surplus, lost, await self._take(connection, free), joined)

    async def _heartbeat(self, connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record]) -> bool:
        joined: bool = await connection.fetchval(
            """insert into bus.member (group_name, member_id, topic_ids, expires)
               values ($1, $2, $3, clock_timestamp() + make_interval(secs => $4))
               on conflict (group_name, member_id) do update set expires = excluded.expires
               returning (xmax = 0)""",
            self._group,
            self.member_id,
            self._topic_ids,
            self._lease,
        )
        await connection.execute(
            "delete from bus.member where group_name = $1 and expires < clock_timestamp()", self._group
        )
        await connection.execute(
            """update bus.lease l set member_id = null where group_name = $1 and member_id is not null
               and not exists (select from bus.member m
                                where m.group_name = l.group_name and m.member_id = l.member_id)""",
            self._group,
        )
        return joined

    async def _target(
        self, connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    ) -> dict[Place, uuid.UUID]:
        members = await connection.fetch(
            "select member_id, topic_ids from bus.member where group_name = $1", self._group
        )
        places = await connection.fetch(
            "select topic_id, partition from bus.head where topic_id = any($1::int[])", self._topic_ids
        )
        return assign(
            ((r["topic_id"], r["partition"]) for r in places),
            {r["member_id"]: r["topic_ids"] for r in members},
        )

    async def _take(
        self, connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record], places: list[Place]
    ) -> dict[Place, tuple[int, int | None]]:
        if not places:
            return {}
        rows = await connection.fetch(
            """with taken as (
                   insert into bus.lease as l (group_name, topic_id, partition, member_id, epoch)
                   select $1, t, p, $2, 1 from unnest($3::int[], $4::int[]) as w (t, p)
                   on conflict (group_name, topic_id, partition)
                   do update set member_id = excluded.member_id, epoch = l.epoch + 1
                   returning l.topic_id, l.partition, l.epoch)
               select taken.*, next_offset from taken
                 left join bus.position p
                   on p.group_name = $1 and p.topic_id = taken.topic_id and p.partition = taken.partition""",
            self._group,
            self.member_id,
            [topic_id for topic_id, _ in places],
            [partition for _, partition in places],
        )
        return {(r["topic_id"], r["partition"]): (r["epoch"], r["next_offset"]) for r in rows}

    async def give_back(self, held: Mapping[Place, int]) -> None:
        """Free leases, if they are still this member's."""
        async with self._pool.acquire() as connection:
            await self._free(connection, held)

    async def _free(
        self, connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record], held: Mapping[Place, int]
    ) -> None:
        await connection.execute(
            """update bus.lease l set member_id = null
                 from unnest($3::int[], $4::int[], $5::bigint[]) as w (t, p, e)
                where group_name = $1 and member_id = $2 and topic_id = t and partition = p and epoch = e""",
            self._group,
            self.member_id,
            [topic_id for topic_id, _ in held],
            [partition for _, partition in held],
            list(held.values()),
        )

    async def commit(self, place: Place, epoch: int, next_offset: int) -> bool:
        """Store a position; false, and nothing stored, if the lease is in other hands."""
        row = await self._pool.fetchval(
            """with mine as (
                   select from bus.lease where group_name = $1 and topic_id = $2 and partition = $3
                      and member_id = $4 and epoch = $5 for update)
               insert into bus.position (group_name, topic_id, partition, next_offset)
               select $1, $2, $3, $6 from mine
               on conflict (group_name, topic_id, partition) do update set next_offset = excluded.next_offset
               returning true""",
            self._group,
            place[0],
            place[1],
            self.member_id,
            epoch,
            next_offset,
        )
        return bool(row)

    async def leave(self) -> None:
        """Leave the group and free every lease."""
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "delete from bus.member where group_name = $1 and member_id = $2", self._group, self.member_id
            )
            await connection.execute(
                "update bus.lease set member_id = null where group_name = $1 and member_id = $2",
                self._group,
                self.member_id,
            )
