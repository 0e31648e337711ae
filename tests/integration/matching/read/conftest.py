"""A real PostgreSQL with the bus and the history on it, and the model's market to fill them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from matching import history
from matching.event_rows import EVENTS
from matching.history import History, HistorySettings
from matching.marketdata import MarketData
from matching.sources import Rows
from refusals import reason, violations
from smartex.matching.v1.market_data_pb2_grpc import MarketDataServiceStub
from smartex.matching.v1.order_query_pb2_grpc import OrderQueryServiceStub
from smartex_bus import Bus, Record, Topic, open_bus
from smartex_chassis import ChassisServer, ChassisSettings, LocalIssuer, ServiceModule
from smartex_store import Database, EmbeddedPostgres


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    folder = tmp_path_factory.mktemp("read") / "data"
    started = asyncio.run(EmbeddedPostgres.start(folder, supervise=False))
    yield started
    asyncio.run(started.stop())


@dataclass
class Place:
    """A database with empty tables and a bus on it."""

    url: str
    database: Database
    bus: Bus
    topic: str = "matching.events.v1"

    def history(self, catalogue: object, holder: str = "one", **settings: object) -> History:
        return history.build(
            database=self.database,
            bus=self.bus,
            catalogue=catalogue,  # type: ignore[arg-type]
            holder=holder,
            settings=HistorySettings(**settings),  # type: ignore[arg-type]
        )

    def record(self, first: int, time_ns: int, events: Rows, offset: int = 0) -> Record:
        header = {
            "version": 1,
            "shard": 0,
            "offset": offset,
            "first_sequence": first,
            "time_ns": time_ns,
        }
        return Record(EVENTS.encode(np.ascontiguousarray(events), header))

    async def position(self) -> int:
        return int(await self.database.fetchval("SELECT coalesce(max(sequence), 0) FROM matching.projection"))

    async def reached(self, sequence: int) -> None:
        """Wait until the history holds the sequence."""
        for _ in range(9000):
            if await self.position() >= sequence:
                return
            await asyncio.sleep(0.01)
        raise TimeoutError(f"the history stays at {await self.position()}, {sequence} was expected")


@pytest.fixture
async def place(server: EmbeddedPostgres) -> AsyncIterator[Place]:
    url = server.url
    async with Database.connect(url, max_size=8) as database:
        # Not a database for each test: making and flushing one costs more than the tests do.
        await database.execute("DROP SCHEMA IF EXISTS matching CASCADE")
        await database.execute("DROP SCHEMA IF EXISTS bus CASCADE")
        await history.migrate(database)
        async with await open_bus(url) as bus:
            await bus.ensure_topics(Topic("matching.events.v1"))
            yield Place(url, database, bus)


class Served:
    """The read side behind a real server, and callers with tokens."""

    def __init__(self, stack: AsyncExitStack, issuer: LocalIssuer) -> None:
        self._stack = stack
        self._issuer = issuer
        self.port = 0

    async def start(self, past: History | None, data: MarketData) -> None:
        """Serve both, or the market data alone."""

        def register(server: Any) -> None:
            data.register(server)
            if past is not None:
                past.register(server)

        async def start() -> None:
            await data.start()
            if past is not None:
                await past.start()

        async def stop() -> None:
            await data.stop()
            if past is not None:
                await past.stop()

        scopes = {**data.scopes, **(past.scopes if past else {})}
        module = ServiceModule("matching", register, scopes, start, stop)
        settings = ChassisSettings(port=0, metrics_port=None, jwks=str(self._issuer.jwks_path))
        server = ChassisServer((module,), settings)
        await server.start()
        self._stack.push_async_callback(server.drain)
        self.port = server.port

    async def caller(self, account: int | None = 1, scope: str = "read") -> "Caller":
        channel = await self._stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{self.port}"))
        token = self._issuer.issue(subject="tester", account_id=account, scopes=[scope])
        return Caller(channel, (("authorization", f"Bearer {token}"),))


class Caller:
    """Calls RPCs by name."""

    def __init__(self, channel: Any, metadata: Any) -> None:
        self._metadata = metadata
        self._stubs = (MarketDataServiceStub(channel), OrderQueryServiceStub(channel))

    def _method(self, name: str) -> Any:
        return next(getattr(stub, name) for stub in self._stubs if hasattr(stub, name))

    async def ask(self, name: str, request: Any) -> Any:
        return await self._method(name)(request, metadata=self._metadata, timeout=60)

    def stream(self, request: Any) -> Any:
        return self._method("Subscribe")(request, metadata=self._metadata)

    async def refused(self, name: str, request: Any) -> tuple[str, str, list[str]]:
        """Code, reason and fields of a refusal."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.ask(name, request)
        return refusal(caught.value)


def refusal(error: grpc.aio.AioRpcError) -> tuple[str, str, list[str]]:
    return error.code().name, reason(error), violations(error)


@pytest.fixture
def told() -> Any:
    """What an error told its caller: code, reason, fields."""
    return refusal


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with AsyncExitStack() as stack:
        yield Served(stack, LocalIssuer(tmp_path / "keys"))
