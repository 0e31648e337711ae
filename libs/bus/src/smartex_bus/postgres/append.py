"""Durable appends into ``bus.log`` with exact retries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog

from smartex_bus.backoff import Backoff
from smartex_bus.errors import AppendUnknown
from smartex_bus.headers import encode_headers
from smartex_bus.postgres.connections import FAILED, LOST, connect
from smartex_bus.postgres.packing import pack
from smartex_bus.records import Record
from smartex_bus.settings import PostgresSettings

if TYPE_CHECKING:
    from asyncpg.prepared_stmt import PreparedStatement

_log = structlog.get_logger(__name__)
_PRODUCER_IDLE_NS = 24 * 3600 * 10**9
_APPEND = "select bus.append($1, $2, $3, $4, $5, $6, $7, $8, $9)"


class LogWriter:
    """Writes groups of records of one partition over one connection, and finds out lost outcomes by itself.

    Every group carries the producer's batch number. ``bus.append`` takes a batch once: a retry of a group
    whose answer was lost gets the offset of the first attempt, and an attempt that wakes up on a connection
    given up long ago is refused, so an append is neither lost nor doubled.
    """

    def __init__(
        self,
        settings: PostgresSettings,
        resolve: Callable[[], Awaitable[int]],
        partition: int,
    ) -> None:
        self.topic_id = -1
        """Known from the first append on."""
        self._settings = settings
        self._resolve = resolve
        self._partition = partition
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._statement: PreparedStatement[asyncpg.Record] | None = None
        self._producer_id = -1
        self._batch = 0
        self._last_ns = 0
        self._began: float | None = None
        self._watchdog: asyncio.Task[None] | None = None

    async def write(self, records: list[Record]) -> tuple[int, int]:
        """Make the records durable; waits as long as the server is away. Returns the first offset and the time.

        ``UnknownTopic``: nothing was appended. ``AppendUnknown``: the database refused the batch.
        """
        await self._find_topic()
        now = time.time_ns()
        if now - self._last_ns > _PRODUCER_IDLE_NS:
            self._renew_producer()
        self._last_ns = now
        self._batch += 1
        values, sizes = await pack([record.value for record in records])
        keys = [record.key or None for record in records] if any(r.key for r in records) else None
        headers = [encode_headers(r.headers) for r in records] if any(r.headers for r in records) else None
        return await self._retry(now, values, keys, headers, sizes), now

    async def _find_topic(self) -> None:
        backoff = Backoff()
        while self.topic_id < 0:
            try:
                self.topic_id = await self._resolve()
            except LOST as error:
                _log.warning("append waits for the database", error=repr(error))
                await asyncio.sleep(backoff.next())

    async def _retry(self, now: int, *columns: Any) -> int:
        backoff = Backoff()
        while True:
            try:
                self._began = time.monotonic()
                statement = self._statement or await self._prepare()
                first: int = await statement.fetchval(
                    self.topic_id,
                    self._partition,
                    self._producer_id,
                    self._batch,
                    now,
                    *columns,
                )
            except LOST as error:
                if isinstance(error, ValueError):  # what the driver cannot encode will not get better
                    raise
                self._give_up_connection()
                _log.warning("append waits for the database", error=repr(error), batch=self._batch)
                await asyncio.sleep(backoff.next())
            except asyncpg.PostgresError as error:
                raise AppendUnknown(f"the database refused an append: {error}") from error
            else:
                return first
            finally:
                self._began = None

    def _renew_producer(self) -> None:
        """An idle producer may have been cleared away. Between two groups no outcome is open: start anew."""
        self._producer_id = -1
        self._batch = 0
        self._statement = None

    async def _prepare(self) -> PreparedStatement[asyncpg.Record]:
        if self._watchdog is None:
            self._watchdog = asyncio.get_running_loop().create_task(self._watch(), name="bus append watchdog")
        if self._connection is None:
            self._connection = await connect(self._settings, "append")
        if self._producer_id < 0:
            query = "insert into bus.producer (time_ns) values ($1) returning producer_id"
            self._producer_id = await self._connection.fetchval(query, time.time_ns())
        self._statement = await self._connection.prepare(_APPEND)
        return self._statement

    async def _watch(self) -> None:
        """Cut a connection that does not answer; the driver's own timeout would slow every append."""
        limit = self._settings.append_timeout
        while True:
            await asyncio.sleep(limit / 4)
            if self._began is not None and time.monotonic() - self._began > limit:
                _log.warning("an append was not answered in time", seconds=limit)
                self._give_up_connection()

    def _give_up_connection(self) -> None:
        self._statement = None
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def close(self) -> None:
        """Forget the producer and close the connection."""
        if self._watchdog is not None:
            self._watchdog.cancel()
            await asyncio.gather(self._watchdog, return_exceptions=True)
        if self._connection is None:
            return
        try:
            query = "delete from bus.producer where producer_id = $1"
            await self._connection.execute(query, self._producer_id, timeout=1.0)
            await self._connection.close(timeout=1.0)
        except FAILED:
            self._give_up_connection()
