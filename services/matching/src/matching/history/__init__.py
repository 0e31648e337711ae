"""History of one shard in PostgreSQL: orders, fills, trades, ledger and candles, from the event log.

    await history.migrate(database)
    past = history.build(database=database, bus=bus, catalogue=catalogue, shard=0, holder=pod)
    past.register(server)                          # OrderQueryService; scopes: past.scopes
    past.api.list_ledger_entries(request, context)   # for AccountService.ListLedgerEntries
    marketdata.build(..., past=past.past)
    await past.start() … await past.stop()         # runs the projector

The projector runs in a process of its own where `build` is told the URLs for it. Every pod may run one; one works, the
others take over within the lease when it dies. Rows and
position are written in one transaction that the holder's epoch fences, so repeats have no effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc
import smartex_store
from smartex_bus import Bus, KafkaCompression
from smartex_store import Database

from matching.history.api import SCOPES, OrderQueryApi
from matching.history.past import HistoryPast
from matching.history.process import ProjectorProcess, Task
from matching.history.projector import Projector
from matching.history.queries import Queries
from matching.history.settings import HistorySettings
from matching.history.sources import Catalogue
from matching.history.store import SCHEMA

MIGRATIONS = Path(__file__).parents[1] / "migrations"


@dataclass(frozen=True)
class Beside:
    """What a projector in a process of its own needs to connect by itself."""

    database_url: str
    bus_url: str
    kafka_replication: int = 1
    kafka_compression: KafkaCompression = "none"


@dataclass(frozen=True)
class History:
    """The parts, wired."""

    projector: Projector | ProjectorProcess
    queries: Queries
    api: OrderQueryApi
    past: HistoryPast
    scopes: Mapping[str, str]

    def register(self, server: grpc.aio.Server) -> None:
        """Add OrderQueryService to a server."""
        self.api.register(server)

    async def start(self) -> None:
        """Start the projector."""
        await self.projector.start()

    async def stop(self) -> None:
        """Stop the projector and let another pod take over at once."""
        await self.projector.stop()


async def migrate(database: Database | str) -> list[int]:
    """Bring the schema `matching` up to date; returns the numbers of the migrations applied."""
    return await smartex_store.migrate(database, SCHEMA, MIGRATIONS)


def build(
    *,
    database: Database,
    bus: Bus,
    catalogue: Catalogue,
    shard: int = 0,
    holder: str,
    settings: HistorySettings | None = None,
    beside: Beside | None = None,
    head: Callable[[], int] = lambda: 0,
) -> History:
    """Wire the history of a shard.

    `holder` names this pod in the table; the projector runs here unless `beside`. `head`: sequence of the market's last
    event.
    """
    chosen = settings or HistorySettings()
    projector: Projector | ProjectorProcess
    if beside is not None:
        projector = ProjectorProcess(
            Task(shard=shard, holder=holder, settings=asdict(chosen), **asdict(beside))
        )
    else:
        projector = Projector(database, bus, shard, holder, chosen)
    queries = Queries(database, shard, chosen.wait_seconds, head)
    return History(
        projector=projector,
        queries=queries,
        api=OrderQueryApi(queries, catalogue),
        past=HistoryPast(database, shard),
        scopes=SCOPES,
    )


__all__ = ["MIGRATIONS", "SCHEMA", "Beside", "Catalogue", "History", "HistorySettings", "build", "migrate"]
