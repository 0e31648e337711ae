"""Wake-up of followers: at once inside the process, by NOTIFY between processes.

A NOTIFY inside the append would make every commit of the database wait for one global lock over its fsync.
So the append only marks the partition, and a second connection tells the others afterwards, many partitions
in one statement, and only if another process listens. What a crash swallows, the followers' poll finds.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from typing import Any

import asyncpg
import structlog

from smartex_bus.backoff import Backoff
from smartex_bus.postgres.connections import FAILED, connect
from smartex_bus.records import Record
from smartex_bus.settings import PostgresSettings
from smartex_bus.tail import Tail

_log = structlog.get_logger(__name__)

Key = tuple[int, int]
_PRESENCE = (0x5EB05, 1)
_RECHECK_SECONDS = 5.0
_PACE_SECONDS = 0.01
"""Other processes are told at most this often: each time costs about as much as an append."""
_OTHERS = """
select exists (
    select from pg_locks
     where locktype = 'advisory' and classid = $1::bigint::oid and objid = $2::bigint::oid
       and mode = 'ShareLock'
       and database = (select oid from pg_database where datname = current_database())
       and pid <> pg_backend_pid())
"""


class Signals:
    """The connection that listens and notifies for one bus."""

    def __init__(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self._tails: defaultdict[Key, set[Tail]] = defaultdict(set)
        self._group_events: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._outbox: set[tuple[str, str]] = set()
        self._wake = asyncio.Event()
        self._others = True
        self._following = False
        self._announced = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name="bus signals")

    def follow(self, key: Key, tail: Tail) -> None:
        """Tell ``tail`` of appends to a partition from now on."""
        self._tails[key].add(tail)
        if not self._following:
            self._following = True
            self._wake.set()

    def unfollow(self, key: Key, tail: Tail) -> None:
        """Stop telling ``tail``."""
        self._tails[key].discard(tail)

    def watch_group(self, group: str, event: asyncio.Event) -> None:
        """Set ``event`` whenever the members of a group change."""
        self._group_events[group].add(event)

    def unwatch_group(self, group: str, event: asyncio.Event) -> None:
        """Stop setting ``event``."""
        self._group_events[group].discard(event)

    def appended(self, key: Key, first: int, records: list[Record], time_ns: int) -> None:
        """This process has appended a group: hand it over here, tell the others."""
        for tail in self._tails.get(key, ()):
            tail.hand_over(first, records, time_ns)
        if self._others:
            self._outbox.add(("bus_log", f"{key[0]}:{key[1]}"))
            self._wake.set()

    def group_changed(self, group: str) -> None:
        """A member joined or left a group."""
        self._set_group_events(group)
        self._outbox.add(("bus_group", group))
        self._wake.set()

    def _set_group_events(self, group: str) -> None:
        for event in self._group_events.get(group, ()):
            event.set()

    async def _run(self) -> None:
        backoff = Backoff()
        while True:
            try:
                connection = await connect(self._settings, "signals")
                try:
                    await self._serve(connection, backoff)
                finally:
                    connection.terminate()
            except FAILED as error:
                _log.warning("signals wait for the database", error=repr(error))
            await asyncio.sleep(backoff.next())

    async def _serve(self, connection: asyncpg.Connection[asyncpg.Record], backoff: Backoff) -> None:
        await connection.execute("set synchronous_commit = off")
        for channel in ("bus_log", "bus_group", "bus_hello"):
            await connection.add_listener(channel, self._hear)
        self._announced = False
        self._tell_all()
        backoff.reset()
        checked = 0.0
        while True:
            told = time.monotonic()
            await self._announce(connection)
            await self._flush(connection)
            if time.monotonic() - checked > _RECHECK_SECONDS:
                self._others = bool(await connection.fetchval(_OTHERS, *_PRESENCE, timeout=5.0))
                checked = time.monotonic()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RECHECK_SECONDS):
                    await self._wake.wait()
            await asyncio.sleep(told + _PACE_SECONDS - time.monotonic())

    async def _announce(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        if not self._following or self._announced:
            return
        await connection.execute("select pg_advisory_lock_shared($1, $2)", *_PRESENCE)
        await connection.execute("select pg_notify('bus_hello', '')")
        self._announced = True
        self._tell_all()

    async def _flush(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._wake.clear()
        if not self._outbox:
            return
        notes, self._outbox = list(self._outbox), set()
        query = "select pg_notify(c, p) from unnest($1::text[], $2::text[]) as n (c, p)"
        await connection.execute(query, [c for c, _ in notes], [p for _, p in notes], timeout=5.0)

    def _hear(self, connection: Any, pid: int, channel: str, payload: object) -> None:
        if pid == connection.get_server_pid():
            return
        if channel == "bus_hello":
            self._others = True
        elif channel == "bus_group":
            self._set_group_events(str(payload))
        else:
            topic_id, _, partition = str(payload).partition(":")
            for tail in self._tails.get((int(topic_id), int(partition)), ()):
                tail.tell()

    def _tell_all(self) -> None:
        for tails in self._tails.values():
            for tail in tails:
                tail.tell()
        for group in list(self._group_events):
            self._set_group_events(group)

    async def close(self) -> None:
        """Stop listening."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        # Followers have to look, and learn that the bus is closed.
        self._tell_all()
