"""The connection pool that every service uses."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Generator, Iterable, Sequence
from types import TracebackType
from typing import Any, Literal, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from .retry import CLIENT_ERRORS, connecting, typed
from .tracing import span

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"
Isolation = Literal["read_committed", "repeatable_read", "serializable"]


class Database:
    """A pool of connections with typed failures, time limits and spans.

        async with Database.connect(url, name="matching") as db:
            rows = await db.fetch("SELECT ... WHERE id = $1", 7)
            async with db.transaction() as tx:
                await tx.execute(...)

    Lost connections raise DatabaseUnavailable (retryable) and are replaced on the next use; errors of the SQL
    itself stay asyncpg's own (UniqueViolationError, ...). json and jsonb are Python values, numeric is
    Decimal, timestamptz is an aware datetime in UTC.
    """

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], url: str, name: str) -> None:
        self.pool = pool
        self.name = name
        self._url = url

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        min_size: int = 1,
        max_size: int = 10,
        name: str = "smartex",
        schema: str | None = None,
        statement_timeout: float = 30.0,
        connect_within: float = 10.0,
    ) -> Connecting:
        """Open a pool: await it, or enter it as a context.

        name                application_name in PostgreSQL and pool name in spans
        schema              put first on the search path
        statement_timeout   seconds after which the server breaks a statement off
        connect_within      seconds to keep trying before DatabaseUnavailable
        """
        settings = {
            "application_name": name,
            "statement_timeout": str(int(statement_timeout * 1000)),
            "idle_in_transaction_session_timeout": str(int(statement_timeout * 2000)),
            "timezone": "UTC",
            "jit": "off",
        }
        if schema is not None:
            settings["search_path"] = f"{schema}, public"
        options: dict[str, Any] = {
            "min_size": min(min_size, max_size),
            "max_size": max_size,
            "server_settings": settings,
            # The server breaks a slow statement off; this is for a server that says nothing any more.
            "command_timeout": statement_timeout + 5.0,
            "init": _set_codecs,
        }
        return Connecting(url, name, options, connect_within)

    @property
    def url(self) -> str:
        """The DSN. It holds the password: do not log it."""
        return self._url

    async def fetch(self, query: str, *args: object) -> list[asyncpg.Record]:
        """All rows of a query."""
        async with self._statement("db.fetch", query) as connection:
            return await connection.fetch(query, *args)

    async def fetchrow(self, query: str, *args: object) -> asyncpg.Record | None:
        """The first row of a query, or None."""
        async with self._statement("db.fetchrow", query) as connection:
            return await connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: object) -> Any:
        """The first column of the first row, or None."""
        async with self._statement("db.fetchval", query) as connection:
            return await connection.fetchval(query, *args)

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement by itself; returns its command tag, such as "INSERT 0 1"."""
        async with self._statement("db.execute", query) as connection:
            return await connection.execute(query, *args)

    async def executemany(self, query: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement for each row, all in one transaction."""
        async with self._statement("db.executemany", query) as connection:
            await connection.executemany(query, rows)

    @contextlib.asynccontextmanager
    async def transaction(
        self, *, isolation: Isolation | None = None, readonly: bool = False
    ) -> AsyncIterator[Connection]:
        """A connection in a transaction: committed at the end, rolled back on an exception.

        DatabaseUnavailable says with `maybe_committed` whether the commit itself was cut off.
        """
        with span("db.transaction", self.name):
            async with self.acquire() as connection:
                transaction = connection.transaction(isolation=isolation, readonly=readonly)
                await transaction.start()
                try:
                    yield connection
                except BaseException:
                    # A broken connection has rolled back already; the first error is the one to tell.
                    with contextlib.suppress(*CLIENT_ERRORS):
                        await transaction.rollback()
                    raise
                with typed(maybe_committed=True):
                    await transaction.commit()

    @contextlib.asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        """A connection of one's own, for LISTEN, COPY or session locks; its session is reset afterwards."""
        with typed():
            connection = await self.pool.acquire()
        try:
            with typed(body=True):
                yield connection
        finally:
            # The work is done or has its own error: a connection that breaks here is thrown away by the pool.
            with contextlib.suppress(*CLIENT_ERRORS):
                await self.pool.release(connection)

    async def close(self, within: float = 5.0) -> None:
        """Wait for the connections in use, `within` seconds at most, and close all."""
        try:
            async with asyncio.timeout(within):
                await self.pool.close()
        except TimeoutError:
            self.pool.terminate()
        except CLIENT_ERRORS:
            self.pool.terminate()  # the server is gone, and so are the connections

    def __repr__(self) -> str:
        return f"Database(name={self.name!r})"

    @contextlib.asynccontextmanager
    async def _statement(self, operation: str, query: str) -> AsyncIterator[Connection]:
        """A connection for one statement, which commits by itself."""
        with span(operation, self.name, query):
            async with self.acquire() as connection:
                with typed(maybe_committed=True):
                    yield connection


class Connecting:
    """A pool that is about to open: `await` it, or `async with` it."""

    def __init__(self, url: str, name: str, options: dict[str, Any], within: float) -> None:
        self._url = url
        self._name = name
        self._options = options
        self._within = within
        self._database: Database | None = None

    def __await__(self) -> Generator[Any, None, Database]:
        return self._open().__await__()

    async def __aenter__(self) -> Database:
        self._database = await self._open()
        return self._database

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._database is not None:
            await self._database.close()

    async def _open(self) -> Database:
        async def attempt() -> asyncpg.Pool[asyncpg.Record]:
            pool: asyncpg.Pool[asyncpg.Record] = await asyncpg.create_pool(self._url, **self._options)
            return pool

        return Database(await connecting(attempt, self._within), self._url, self._name)


async def _set_codecs(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
