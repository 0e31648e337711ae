"""The only place where the parts of this service meet.

    Pod.open   database, bus, channel to the market
    Pod        book → intake → follower;  definitions and mids;  oversight (alerts, advice, reports: `oversight.py`)

A part that answers RPCs has their scopes in `scopes` and methods of their names: add it to `Pod._apis`. A part that
runs beside the calls has `start` and `stop`: add it to `Pod.start`. What is to be written with the events is an
`AfterFold` of the follower, which is the oversight.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import grpc.aio
import numpy as np
import smartex_quant
import smartex_store
import smartex_wire
from smartex_bus import Bus, Topic, open_bus, service_settings
from smartex_chassis import ServiceModule, in_abandoned_thread, load, peer_channel, settle_imports
from smartex_store import Database

from positions.api.portfolios import PortfoliosApi
from positions.api.service import PositionApi
from positions.checkpoints import Checkpoints, Keeper
from positions.consumers import Follower
from positions.domain import book as live
from positions.domain.alerts import measure
from positions.domain.alerts.measure import holdings
from positions.domain.book import Book, Listing, packing
from positions.domain.book.valuing import Freshness
from positions.intake import EVENTS, EVENTS_TOPIC, Intake
from positions.market import Definitions, Mids
from positions.oversight import Oversight, Surroundings
from positions.points import Points
from positions.reports import plots
from positions.rewind import Rewind
from positions.settings import PositionsSettings
from positions.store import SCHEMA, BookStore

MIGRATIONS = Path(__file__).parent / "migrations"
SECOND_NS = 10**9

Clock = Callable[[], int]
_LOAD_AHEAD_SECONDS = 3.0


class ServiceContext(Protocol):
    """Where a host puts this service; any object with these attributes will do."""

    database_url: str
    bus_url: str
    exchange_url: str
    token_file: Path | None
    pod: str
    clock: Clock


async def build(context: ServiceContext | PositionsSettings) -> ServiceModule:
    """The module of this service, for a host that says where things are, or from settings of its own."""
    if isinstance(context, PositionsSettings):
        return (await Pod.open(context)).module()
    settings = load(
        PositionsSettings,
        database_url=context.database_url,
        bus_url=context.bus_url,
        exchange_url=context.exchange_url,
        token_file=context.token_file,
        pod=context.pod,
    )
    return (await Pod.open(settings, context.clock)).module()


def warm_up() -> None:
    """Compile every kernel of the service, or load it from the cache: seconds, the first time."""
    smartex_wire.warm_up()
    live.warm_up(EVENTS.row_dtype)
    holdings(Book(Listing([], {}, "")).tables, np.zeros(0, np.int64), Freshness(0, 0, 0))
    measure.warm_up()


class Pod:
    """The parts of one pod. `open` makes them, `start` sets them going; the book is read back in the background."""

    def __init__(
        self,
        settings: PositionsSettings,
        clock: Clock,
        database: Database,
        bus: Bus,
        channel: grpc.aio.Channel,
    ) -> None:
        self.settings = settings
        self.database = database
        self.bus = bus
        self._clock = clock
        self._opened = AsyncExitStack()
        self._running = AsyncExitStack()
        stale_ns = int(settings.stale_seconds * SECOND_NS)
        self.book = Book(Listing([], settings.rate_table(), settings.base_currency))
        self.definitions = Definitions(database, channel)
        self.mids = Mids(channel, self.definitions, self.book, clock)
        intake = Intake(self.book, settings.shard, int(settings.history_seconds * SECOND_NS), stale_ns)
        # Unlike the name of the pod it is of this process alone: one that was restarted is another holder.
        holder = f"{settings.pod}/{os.urandom(8).hex()}"
        self.follower = Follower(
            database,
            bus,
            self.book,
            intake,
            BookStore(database, settings.shard, holder, settings.lease_seconds),
            self.definitions,
            shard=settings.shard,
            lease_seconds=settings.lease_seconds,
            look_seconds=settings.look_seconds,
            max_unwritten=settings.max_unwritten_events,
            max_age_ns=int(settings.alert_max_age_seconds * SECOND_NS),
            clock=clock,
        )
        self.points = Points(database)
        layout = packing.layout(settings.rate_table(), settings.base_currency)
        checkpoints = Checkpoints(database, settings.shard, layout, settings.kept_checkpoints)
        self.keeper = Keeper(checkpoints, settings.checkpoint_events)
        self.rewind = Rewind(
            bus,
            self.definitions,
            checkpoints,
            settings.shard,
            self.book.listing,
            stale_ns,
            settings.max_past_events,
        )
        around = Surroundings(
            book=self.book,
            freshness=self.freshness,
            curve=self.points.curve,
            totals=lambda account: self.portfolios.totals(account),
            refresh=self.definitions.refresh,
            working=lambda: self.follower.working and self.follower.ready,
            current=lambda: self.follower.working and self.follower.ready and not self.follower.behind,
            clock=clock,
        )
        self.oversight = Oversight(database, bus, around, settings.oversight())
        self.portfolios = PortfoliosApi(
            self.book,
            self.oversight.instruments,
            self.freshness,
            self.oversight.supervision,
            self.points,
            self.rewind,
            lambda: self.follower.ready,
        )
        self.follower.after_fold = self.oversight
        self.follower.keeper = self.keeper
        self.follower.loaded += [self.oversight.load, self.keeper.load]
        self.definitions.learners.append(self.oversight.learn)
        self.api = PositionApi(self._apis())  # type: ignore[abstract]  # it sets its methods itself

    @classmethod
    async def open(cls, settings: PositionsSettings, clock: Clock = time.time_ns) -> Pod:
        """Open database, log and the channel to the market, and bring tables and topics up to date."""
        async with AsyncExitStack() as undo:
            database = await Database.connect(settings.database(), name=f"positions-{settings.pod}")
            undo.push_async_callback(database.close)
            await smartex_store.migrate(database, SCHEMA, MIGRATIONS)
            bus = await open_bus(service_settings("positions", settings))
            undo.push_async_callback(bus.close)
            await bus.ensure_topics(Topic(EVENTS_TOPIC, settings.shard + 1))
            channel = peer_channel(
                settings.exchange_url,
                settings.token_file or (lambda: ""),
                tls=settings.exchange_tls(),
            )
            undo.push_async_callback(channel.close, None)
            pod = cls(settings, clock, database, bus, channel)
            pod._opened = undo.pop_all()
        return pod

    def module(self) -> ServiceModule:
        """The pod as a module of the chassis."""
        return ServiceModule(
            name="positions",
            register=self.api.register,
            scopes=self.api.scopes,
            start=self.start,
            stop=self.stop,
            ready=self.ready,
        )

    def ready(self) -> bool:
        """Whether the book is of now: read back, and come up to the market. Who asks before is told the past, with its
        time."""
        return self.follower.ready and self.follower.caught_up

    def freshness(self) -> Freshness:
        """How old marks may be, as of now."""
        settings = self.settings
        return Freshness(
            self._clock(), int(settings.mid_seconds * SECOND_NS), int(settings.stale_seconds * SECOND_NS)
        )

    def _apis(self) -> list[Any]:
        return [self.portfolios, *self.oversight.apis()]

    async def start(self) -> None:
        """Set everything going. The market need not answer yet."""
        async with AsyncExitStack() as undo:
            await in_abandoned_thread(warm_up)
            for part in (self.oversight, self.keeper, self.follower, self.mids):
                await part.start()
                undo.push_async_callback(part.stop)
            loading = asyncio.create_task(_load_ahead(), name="positions-load-ahead")
            undo.callback(loading.cancel)
            self._running = undo.pop_all()

    async def stop(self) -> None:
        """Stop everything in the reverse order."""
        await self._running.aclose()
        await self._opened.aclose()


async def _load_ahead() -> None:
    """Import once the start is over what the first advice and the first report would wait seconds for."""
    await asyncio.sleep(_LOAD_AHEAD_SECONDS)
    await asyncio.to_thread(smartex_quant.load_ahead)
    await asyncio.to_thread(plots.load_ahead)
    settle_imports()
