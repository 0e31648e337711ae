"""A lease in PostgreSQL: at most one pod of a shard holds it, and loses it by being silent."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Final

import structlog
from smartex_chassis import set_within, start_task, stop_tasks
from smartex_store import Database, migrate

SCHEMA: Final = "matching_lease"
MIGRATIONS: Final = Path(__file__).parent / "lease_migrations"
_ROUNDS = 3
_log = structlog.get_logger("matching.lease")

_CLAIM = """
insert into matching_lease.lease as lease (shard, holder, epoch, expires_at)
values ($1, $2, 1, now() + $3 * interval '1 second')
on conflict (shard) do update
set holder = excluded.holder,
    expires_at = excluded.expires_at,
    epoch = lease.epoch + (lease.holder <> excluded.holder)::int
where lease.holder = excluded.holder or lease.expires_at < now()
returning epoch
"""
_RELEASE = "update matching_lease.lease set expires_at = now() - interval '1 second' where shard = $1 and holder = $2"


async def prepare(database: Database) -> None:
    """Make the table."""
    await migrate(database, SCHEMA, MIGRATIONS)


class Lease:
    """Held or not. Without a database it is always held: then there must be one pod only."""

    def __init__(self, database: Database | None, shard: int, holder: str, seconds: float) -> None:
        self._database = database
        self._shard = shard
        self._holder = holder
        self._seconds = seconds
        self._until = 0.0
        self._resigned = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def resigned(self) -> bool:
        """Whether this pod never claims it again."""
        return self._resigned.is_set()

    @property
    def held(self) -> bool:
        """Whether this pod holds it now, by a clock that does not jump."""
        if self.resigned:
            return False
        return self._database is None or time.monotonic() < self._until

    async def start(self) -> None:
        """Begin to claim it, and to keep it."""
        if self._database is not None:
            self._task = start_task(self._run(self._database), "matching-lease")

    def resign(self) -> None:
        """Let another pod have it, and never claim it again."""
        self._resigned.set()

    async def stop(self) -> None:
        """Let another pod have it at once."""
        if self._task is None or self._database is None:
            return
        await stop_tasks(self._task)
        self._until = 0.0
        # Also when it is not held as far as this pod knows: the claim that was cut off may have been granted.
        await self._release(self._database)

    async def _release(self, database: Database) -> None:
        # What is not released runs out by itself.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(1.0):
                await database.execute(_RELEASE, self._shard, self._holder)

    async def _run(self, database: Database) -> None:
        epoch = 0
        while not self.resigned:
            asked = time.monotonic()
            try:
                async with asyncio.timeout(self._seconds / 2):
                    now_epoch = await database.fetchval(_CLAIM, self._shard, self._holder, self._seconds)
            except Exception as error:
                # Whatever ails the database, a standby or a full disk too: it passes, and the lease runs out meanwhile.
                _log.warning("the lease cannot be renewed", error=str(error) or type(error).__name__)
                now_epoch = None
            if now_epoch is not None:
                self._until = asked + self._seconds
                if now_epoch != epoch:
                    epoch = now_epoch
                    _log.info("publishing the event log", shard=self._shard, epoch=epoch)
            await set_within(self._resigned, self._seconds / _ROUNDS)
        await self._release(database)
