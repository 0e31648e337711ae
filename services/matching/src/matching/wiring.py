"""The only place where the parts of this service meet."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import grpc
from smartex_bus import Bus, Topic, open_bus, service_settings
from smartex_chassis import ServiceModule, in_abandoned_thread, load
from smartex_store import Database, StoreError

from matching import domain, frames, history, lease, marketdata, meters, reports
from matching.api import account, order_entry, request_commands, venue
from matching.api.account import AccountApi
from matching.api.order_entry import OrderEntryApi
from matching.api.trade_stream import TradeStreams
from matching.api.venue import Facts, VenueApi
from matching.auditor import Audit, Auditing
from matching.checkpoints import Checkpoints
from matching.frames import CHECKPOINTS_TOPIC, COMMANDS_TOPIC, EVENTS_TOPIC, Frame
from matching.hub import ReportHub
from matching.lease import Lease
from matching.limits import TokenBuckets
from matching.meters import EventMeters, stands_at
from matching.prefault import Prefault
from matching.publisher import Publisher, published_sequence
from matching.reaching import Reaching
from matching.recovery import frame_at, replay, restore, set_strangers_aside
from matching.replica import Applied, LiveInstruments, Replica
from matching.resume import Past
from matching.sequencer import Sequencer
from matching.sessions import Sessions
from matching.settings import MatchingSettings
from matching.snapshots import FrameId, SnapshotFolder
from matching.ticker import Ticker

Clock = Callable[[], int]


class ServiceContext(Protocol):
    """Where a host puts this service; any object with these attributes will do."""

    database_url: str
    bus_url: str
    data_dir: Path
    pod: str
    clock: Clock


async def build(context: ServiceContext | MatchingSettings) -> ServiceModule:
    """The module of this service, for a host that says where things are, or from settings of its own."""
    if isinstance(context, MatchingSettings):
        return await build_pod(context)
    settings = load(
        MatchingSettings,
        database_url=context.database_url,
        bus_url=context.bus_url,
        matching_data=Path(context.data_dir) / "matching",
        pod=context.pod,
    )
    return await build_pod(settings, getattr(context, "clock", time.time_ns))


async def build_pod(settings: MatchingSettings, clock: Clock = time.time_ns) -> ServiceModule:
    """The module of one pod: log and database are open, recovery waits for `start`."""
    return (await Pod.open(settings, clock)).module()


WARM_UPS = (
    domain.warm_up,
    frames.warm_up,
    reports.warm_up,
    meters.warm_up,
    request_commands.warm_up,
    marketdata.warm_up,
)
"""Each compiles kernels of the service, or loads them from the cache."""


def warm_up() -> None:
    """Compile every kernel of the service, or load it from the cache: half a minute, the first time."""
    for each in WARM_UPS:
        each()


class Pod:
    """The parts of one pod. `open` makes them, `start` recovers the market and sets them going."""

    def __init__(self, settings: MatchingSettings, clock: Clock, bus: Bus, database: Database | None) -> None:
        self.settings = settings
        self._clock = clock
        self._started = False
        self._running = AsyncExitStack()
        self.bus = bus
        self.database = database
        shard = settings.shard
        self.snapshots = SnapshotFolder(settings.matching_data, shard, settings.snapshots_kept)
        self.replica = Replica(domain.Core(settings.core(), check_conservation=settings.check_conservation))
        self.reaching = Reaching(bus, shard, self.replica)
        self.instruments = LiveInstruments(self.replica)
        self.sequencer = Sequencer(
            bus, self.replica, shard=shard, clock=clock, max_queue_commands=settings.max_queue_commands
        )
        self.lease = Lease(database, shard, settings.pod, settings.lease_seconds)
        self.publisher = Publisher(bus, self.lease, shard)
        self.checkpoints = Checkpoints(
            bus, self.sequencer, self.publisher, shard, settings.pod, settings.checkpoint_seconds
        )
        self.sequencer.may_take = lambda: self.publisher.backlog < settings.max_unpublished_events
        self.auditing = Auditing(
            Audit(
                settings.bus(),
                shard,
                str(settings.matching_data),
                settings.snapshots_kept,
                asdict(settings.core()),
                offset=0,
                state_hash="",
            ),
            self.sequencer,
            self.publisher,
            self.checkpoints,
            settings.snapshot_events,
        )
        self.hub = ReportHub(
            settings.kept_events, settings.max_streams_per_account, settings.stream_queue_bytes
        )
        self.sessions = Sessions(self.sequencer, settings.max_sessions_per_account)
        self.ticker = Ticker(
            self.sequencer,
            settings.clock_interval_ms,
            self.sessions.beats,
            clock,
            marketdata.CANDLE_SECONDS,
        )
        self.prefault = Prefault()
        self.history = (
            history.build(
                database=database,
                bus=bus,
                catalogue=self.instruments,
                shard=shard,
                holder=settings.pod,
                beside=_history_beside(settings),
                head=lambda: self.replica.core.sequence,
            )
            if database is not None
            else None
        )
        self.market_data = marketdata.build(
            market=self.sequencer.told_core,
            instruments=self.instruments,
            past=self.history.past if self.history else None,
            reach=self.reaching.reach,
        )
        self.sequencer.listeners += [
            EventMeters(),
            self.publisher,
            self.hub,
            self.market_data,
            self.sessions,
        ]
        self.sequencer.frame_hooks.append(self._on_frame)
        self._last_offset = -1
        self._last_frame = FrameId(0, 0)
        self._start_time_ns = clock()
        self._projected_sequence = 0

    @classmethod
    async def open(cls, settings: MatchingSettings, clock: Clock = time.time_ns) -> Pod:
        """Open log and database, and bring their tables and topics up to date."""
        settings.check_folder()
        async with AsyncExitStack() as undo:
            database: Database | None = None
            url = settings.database_if_any()
            if url is not None:
                database = await Database.connect(url, name=f"matching-{settings.pod}")
                undo.push_async_callback(database.close)
                await history.migrate(database)
                await lease.prepare(database)
            bus = await open_bus(service_settings("matching", settings))
            undo.push_async_callback(bus.close)
            shards = settings.shard + 1
            await bus.ensure_topics(
                *(Topic(name, shards) for name in (COMMANDS_TOPIC, EVENTS_TOPIC, CHECKPOINTS_TOPIC))
            )
            pod = cls(settings, clock, bus, database)
            pod._opened = undo.pop_all()
        return pod

    _opened: AsyncExitStack

    def module(self) -> ServiceModule:
        """The pod as a module of the chassis."""
        scopes = {**order_entry.SCOPES, **account.SCOPES, **venue.SCOPES, **self.market_data.scopes}
        if self.history is not None:
            scopes |= self.history.scopes
        return ServiceModule(
            name="matching",
            register=self._register,
            scopes=scopes,
            start=self.start,
            stop=self.stop,
            ready=self.ready,
            run=self.sequencer.run,
        )

    def ready(self) -> bool:
        """Whether orders are taken."""
        return self._started and self.sequencer.ready

    def _register(self, server: grpc.aio.Server) -> None:
        settings = self.settings
        buckets = TokenBuckets(settings.order_rate, settings.order_burst, time.monotonic)
        streams = TradeStreams(
            self.sequencer,
            self.hub,
            self.sessions,
            buckets,
            Past(self.bus, settings.shard, self.hub),
            self.reaching,
            settings.stream_window,
        )
        facts = Facts(
            settings.pod, settings.shard, _engine(settings.bus()), self._start_time_ns, self._projected
        )
        OrderEntryApi(self.sequencer, buckets, streams).register(server)
        past = self.history
        ledger = past.api.list_ledger_entries if past is not None else None
        transfer = past.queries.transfer if past is not None else None
        AccountApi(self.sequencer, ledger, transfer).register(server)
        VenueApi(facts, self.sequencer, self.publisher, self.checkpoints, self.instruments).register(server)
        self.market_data.register(server)
        if self.history is not None:
            self.history.register(server)

    async def _projected(self) -> int:
        if self.history is not None:
            # The status must tell how the pod is also when the database is away.
            with contextlib.suppress(StoreError):
                self._projected_sequence = await self.history.queries.reached()
        return self._projected_sequence

    async def start(self) -> None:
        """Recover the market and begin to serve. What was started is stopped again if a part fails."""
        async with AsyncExitStack() as undo:
            await in_abandoned_thread(warm_up)
            undo.push_async_callback(self.prefault.stop)
            await self._recover()
            parts: list[Any] = [
                self.sequencer,
                self.lease,
                self.publisher,
                self.checkpoints,
                self.sessions,
                self.ticker,
                self.market_data,
                self.auditing,
            ]
            parts += [self.history] if self.history is not None else []
            for part in parts:
                await part.start()
                undo.push_async_callback(part.stop)
            self._running = undo.pop_all()
        self._started = True

    async def _recover(self) -> None:
        published = await published_sequence(self.bus, self.settings.shard)
        self.publisher.begin(published)

        def restored() -> Replica:
            return restore(
                self.snapshots,
                self.settings.core(),
                published,
                check_conservation=self.settings.check_conservation,
            )

        def applied(part: Applied) -> None:
            if self.replica.core.sequence > published:
                # The core uses the memory of its events again.
                self.publisher.on_applied(part.offset, part.first_sequence, part.time_ns, part.events.copy())
            self.market_data.on_applied(part.offset, part.first_sequence, part.time_ns, part.events)

        await set_strangers_aside(self.bus, self.settings.shard, self.snapshots)
        self.replica.become(await asyncio.to_thread(restored))
        if self.settings.prefault:
            self.prefault.start([*self.replica.core.filled_by_orders(), *self.market_data.filled_by_orders()])
        core = self.replica.core
        await self.market_data.recall(self.bus, self.settings.shard, core.sequence, core.now)
        await replay(self.bus, self.settings.shard, self.replica, on_applied=applied)
        stands_at(self.replica.core.sequence)
        await self._learn_last_frame()
        self.prefault.make_pauses()

    async def _learn_last_frame(self) -> None:
        offset = self.replica.next_offset - 1
        found = await frame_at(self.bus, self.settings.shard, offset) if offset >= 0 else None
        # If retention has removed it, the state is that of a snapshot and need not be saved again.
        if found is not None:
            self._last_offset, self._last_frame = offset, found

    def _on_frame(self, offset: int, frame: Frame) -> None:
        # Not read from the log when the state is saved: that may be another one by then, or away.
        self._last_offset, self._last_frame = offset, FrameId(frame.producer_id, frame.frame_id)

    async def stop(self) -> None:
        """Publish what is left, stop everything in the reverse order, and save the state."""
        was_running, self._started = self._started, False
        try:
            if was_running:
                await self.sequencer.settle()
                await self.publisher.flush()
            await self._running.aclose()
            if was_running and self._can_save():
                await asyncio.to_thread(self.snapshots.save, self.replica, self._last_frame)
        finally:
            await self._opened.aclose()

    def _can_save(self) -> bool:
        """A state that is whole, and of which everything is published."""
        return (
            not self.sequencer.broken
            and self.replica.next_offset == self._last_offset + 1 > 0
            and self.publisher.published >= self.replica.core.sequence
        )


def _history_beside(settings: MatchingSettings) -> history.Beside | None:
    url = settings.database_if_any()
    if url is None or not settings.history_beside:
        return None
    return history.Beside(url, settings.bus(), settings.kafka_replication, settings.kafka_compression)


def _engine(url: str) -> str:
    return "kafka" if url.startswith("kafka://") else "postgresql"
