"""The only place where the parts of this service meet."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import grpc
from smartex_bus import Bus, KafkaSettings, Topic, open_bus
from smartex_chassis import ServiceModule, load
from smartex_store import Database

from notifications import store
from notifications.providers import Providers, read_providers
from notifications.settings import NotificationsSettings
from notifications.vault import Vault, open_vault

NOTICES_TOPIC = "notifications.notices.v1"


class ServiceContext(Protocol):
    """Where a host puts this service; any object with these attributes will do."""

    database_url: str
    bus_url: str
    data_dir: Path
    exchange_url: str
    token_file: Path | None
    keys_dir: Path | None
    providers_file: Path | None
    callback_port: int
    pod: str
    clock: Callable[[], int]


async def build(context: ServiceContext | NotificationsSettings) -> ServiceModule:
    """The module of this service, for a host that says where things are, or from settings of its own."""
    if isinstance(context, NotificationsSettings):
        return await build_pod(context)
    settings = load(
        NotificationsSettings,
        database_url=context.database_url,
        bus_url=context.bus_url,
        exchange_url=context.exchange_url,
        token_file=context.token_file,
        delegation_keys=context.keys_dir,
        providers_file=context.providers_file,
        callback_port=context.callback_port,
        addresses_key_file=Path(context.data_dir) / "notifications" / "addresses.key",
        pod=context.pod,
    )
    return await build_pod(settings)


async def build_pod(settings: NotificationsSettings) -> ServiceModule:
    """The module of one pod: bus and database are open, the rest waits for `start`."""
    return (await Pod.open(settings)).module()


class Pod:
    """The parts of one pod. `open` makes them, `start` sets them going."""

    def __init__(
        self,
        settings: NotificationsSettings,
        database: Database,
        bus: Bus,
        vault: Vault,
        providers: Providers,
        opened: AsyncExitStack,
    ) -> None:
        self.settings = settings
        self.database, self.bus, self.vault, self.providers = database, bus, vault, providers
        self._opened = opened
        self._running = AsyncExitStack()
        self._started = False

    @classmethod
    async def open(cls, settings: NotificationsSettings) -> Pod:
        """Read keys and providers, open bus and database, and bring their tables and topics up to date."""
        async with AsyncExitStack() as undo:
            vault = open_vault(settings.addresses_key_file)
            providers = read_providers(settings.providers_file)
            undo.push_async_callback(providers.close)
            database = await Database.connect(settings.database(), name=f"notifications-{settings.pod}")
            undo.push_async_callback(database.close)
            await store.migrate(database)
            bus = await open_bus(_bus_settings(settings))
            undo.push_async_callback(bus.close)
            await bus.ensure_topics(Topic(NOTICES_TOPIC))
            return cls(settings, database, bus, vault, providers, undo.pop_all())

    def module(self) -> ServiceModule:
        """The pod as a module of the chassis."""
        return ServiceModule(
            name="notifications",
            register=self._register,
            scopes={},
            start=self.start,
            stop=self.stop,
            ready=lambda: self._started,
        )

    def _register(self, server: grpc.aio.Server) -> None:
        """Add the services to a server."""

    async def start(self) -> None:
        """Begin to take notices and to send messages."""
        self._started = True

    async def stop(self) -> None:
        """Stop everything in the reverse order."""
        self._started = False
        try:
            await self._running.aclose()
        finally:
            await self._opened.aclose()


def _bus_settings(settings: NotificationsSettings) -> str | KafkaSettings:
    url = settings.bus()
    if not url.startswith("kafka://"):
        return url
    copies = settings.kafka_replication
    return KafkaSettings(
        url.removeprefix("kafka://"),
        replication=copies,
        min_insync=copies // 2 + 1,
        client_id=f"notifications-{settings.pod}",
    )
