"""A real PostgreSQL with this service's tables, empty for each test."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from engine_works import Scripted, Works
from isolated import free_port
from notifications import store
from notifications_exchange import Exchange, exchange_with
from smartex_standins.standin import Standin
from smartex_store import Database, EmbeddedPostgres

Exchanging = Callable[..., AbstractAsyncContextManager[Exchange]]


@pytest.fixture(scope="session")
def notifications_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    folder = tmp_path_factory.mktemp("notifications") / "data"
    started = asyncio.run(EmbeddedPostgres.start(folder, supervise=False))
    asyncio.run(store.migrate(started.url))
    yield started
    asyncio.run(started.stop())


@pytest.fixture
async def tables(notifications_server: EmbeddedPostgres) -> AsyncIterator[Database]:
    """The database, with empty tables."""
    async with Database.connect(notifications_server.url, max_size=12) as database:
        await empty(database)
        yield database


async def empty(database: Database) -> None:
    names = await database.fetch(
        """
        SELECT schemaname || '.' || tablename AS name FROM pg_tables
         WHERE schemaname IN ('notifications', 'bus') AND tablename <> 'schema_migrations'
        """
    )
    await database.execute(f"TRUNCATE {', '.join(row['name'] for row in names)}")


@pytest.fixture
async def works(tables: Database, tmp_path: Path) -> AsyncIterator[Any]:
    """Makes the parts behind the API: `await works(channel, …)`; they are running, and are stopped at the end."""
    async with AsyncExitStack() as stack:

        async def make(*channels: Scripted, start: bool = True, pod: str = "one") -> Works:
            made = Works(tables, tmp_path, *channels, pod=pod)
            if start:
                await made.engine.start()
                stack.push_async_callback(made.engine.stop)
            return made

        yield make


@pytest.fixture
async def database(tables: Database) -> str:
    """The URL of the database, with empty tables."""
    return tables.url


@pytest.fixture(scope="session")
def phones_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kept over the session: an RSA key takes a while to make."""
    return tmp_path_factory.mktemp("phones")


@pytest.fixture
def exchanging(database: str, tmp_path: Path, phones_folder: Path) -> Exchanging:
    """Starts the whole service, with stand-ins of some providers, which nobody follows yet."""
    (phones_folder / "standins" / "wechat-users.json").unlink(missing_ok=True)

    def start(*standins: Standin, **more: Any) -> AbstractAsyncContextManager[Exchange]:
        return exchange_with(standins, database, tmp_path, phones_folder, free_port(), **more)

    return start
