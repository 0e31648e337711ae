"""Wake-up of followers: at once inside the process, by NOTIFY between processes.

A NOTIFY inside the append would make every commit of the database wait for one global lock over its fsync.
So the append only marks the partition, and a second connection tells the others afterwards, many partitions
in one statement, and only if another process listens. What a crash swallows, the followers' poll finds.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict, deque
from typing import Any

import asyncpg
import structlog

from smartex_bus.backoff import Backoff
from smartex_bus.postgres.connections import FAILED, connect
from smartex_bus.records import Record, StoredRecord
from smartex_bus.settings import PostgresSettings

_log = structlog.get_logger(__name__)

Key = tuple[int, int]
_TAIL_GROUPS = 64
_TAIL_BYTES = 8 << 20
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


class Tail:
    """What one follower was told: groups appended by this very process, or that it has to look itself."""

    def __init__(self, topic: str, partition: int, event: asyncio.Event | None = None) -> None:
        self._topic = topic
        self._partition = partition
        self._groups: deque[tuple[int, list[Record], int]] = deque()
        self._bytes = 0
        self._event = event or asyncio.Event()
        self._look = True

    @property
    def held_bytes(self) -> int:
        """Bytes of values kept for the follower."""
        return self._bytes

    def tell(self) -> None:
        """There may be more in the database."""
        self._look = True
        self._event.set()

    def hand_over(self, first: int, records: list[Record], time_ns: int) -> None:
        """This process has just appended these records durably."""
        self._groups.append((first, records, time_ns))
        self._bytes += sum(len(record.value) for record in records)
        if len(self._groups) > _TAIL_GROUPS or self._bytes > _TAIL_BYTES:
            self._drop_groups()
        # A step later, so that who appended has the answer first.
        asyncio.get_running_loop().call_soon(self._event.set)

    def _drop_groups(self) -> None:
        self._groups.clear()
        self._bytes = 0
        self._look = True

    def take(self, position: int, most: int) -> list[StoredRecord]:
        """Records from ``position`` on that were handed over; empty if the next ones are not among them."""
        while self._groups:
            first, records, time_ns = self._groups[0]
            if first > position:
                self._drop_groups()
                return []
            if first + len(records) <= position:
                self._groups.popleft()
                self._bytes -= sum(len(record.value) for record in records)
                continue
            return [
                StoredRecord(self._topic, self._partition, position + i, r.value, r.key, r.headers, time_ns)
                for i, r in enumerate(records[position - first : position - first + most])
            ]
        return []

    def must_look(self) -> bool:
        """Whether the database has to be read; asking clears it."""
        look, self._look = self._look, False
        return look

    async def wait(self, seconds: float) -> None:
        """Wait to be told something; after ``seconds`` look anyway."""
        if self._look or self._groups:
            return
        self._event.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            self._look = True


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
