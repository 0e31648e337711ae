"""A real PostgreSQL with the bus and the history on it, and the model's market to fill them."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from matching import history
from matching.history import History, HistorySettings
from matching.marketdata.events import EVENTS
from matching.marketdata.sources import Rows
from smartex_bus import Bus, Record, Topic, open_bus
from smartex_store import Database, EmbeddedPostgres

UNIT = Path(__file__).parents[3] / "unit/matching"
for folder in (UNIT, UNIT / "marketdata", UNIT / "history"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    folder = tmp_path_factory.mktemp("read") / "data"
    started = asyncio.run(EmbeddedPostgres.start(folder, supervise=False))
    yield started
    asyncio.run(started.stop())


@dataclass
class Place:
    """A database of its own with a bus on it."""

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
        for _ in range(3000):
            if await self.position() >= sequence:
                return
            await asyncio.sleep(0.01)
        raise TimeoutError(f"the history stays at {await self.position()}, {sequence} was expected")


@pytest.fixture
async def place(server: EmbeddedPostgres) -> AsyncIterator[Place]:
    name = f"read_{uuid4().hex[:12]}"
    async with Database.connect(server.url) as first:
        await first.execute(f"CREATE DATABASE {name}")
    url = _of(server.url, name)
    async with Database.connect(url, max_size=8) as database:
        await history.migrate(database)
        async with await open_bus(url) as bus:
            await bus.ensure_topics(Topic("matching.events.v1"))
            yield Place(url, database, bus)


def _of(url: str, name: str) -> str:
    """The URL with another database."""
    head, _, query = url.partition("?")
    return head.rpartition("/")[0] + f"/{name}" + (f"?{query}" if query else "")
