"""The only place where the parts of this service meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import grpc
from smartex_bus import Bus, Topic, open_bus, service_settings
from smartex_chassis import ServiceModule, load
from smartex_store import Database

from notifications import store
from notifications.addressbook import AddressBook
from notifications.api.addresses import AddressesApi
from notifications.api.conversations import ConversationApi
from notifications.api.deliveries import DeliveriesApi
from notifications.api.inbox import InboxApi
from notifications.api.preferences import PreferencesApi
from notifications.api.service import NotificationApi
from notifications.api.service import Part as RpcPart
from notifications.api.steps import StepsApi
from notifications.api.templates import TemplatesApi
from notifications.callbacks.app import Parts as CallbackParts
from notifications.callbacks.app import build_app
from notifications.callbacks.links import app_link, unsubscribe_url
from notifications.callbacks.replies import Replies
from notifications.callbacks.server import CallbackServer
from notifications.channels.delivery import Clock, utc_now
from notifications.consumer import TOPIC as NOTICES_TOPIC
from notifications.consumer import NoticeConsumer
from notifications.conversations.hub import TalkHub
from notifications.conversations.placing import Placing
from notifications.conversations.replies import TalkReplies
from notifications.conversations.settler import Settler
from notifications.conversations.store import SIGNAL as CONVERSATIONS
from notifications.conversations.store import TalkStore
from notifications.conversations.talking import Talking
from notifications.engine.engine import Engine, EngineSettings
from notifications.engine.preparing import Links, Preparer
from notifications.forgetting import Forgetter
from notifications.hub import InboxHub
from notifications.intake import Intake
from notifications.providers import Providers, read_providers
from notifications.receipts import Receipts
from notifications.settings import NotificationsSettings
from notifications.signals import Refreshing, Signals
from notifications.store import notices
from notifications.store.inbox import Inbox
from notifications.store.preferences import PreferenceStore
from notifications.store.steps import Chains
from notifications.store.templates import TemplateStore
from notifications.store.told import DeliveryReader
from notifications.templatebook import TemplateBook
from notifications.vault import Vault, open_vault

_CONNECTIONS = 16


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
    return await build_pod(settings, lambda: datetime.fromtimestamp(context.clock() / 1e9, UTC))


async def build_pod(settings: NotificationsSettings, clock: Clock = utc_now) -> ServiceModule:
    """The module of one pod: bus and database are open, the rest waits for `start`."""
    return (await Pod.open(settings, clock)).module()


class Part(Protocol):
    """Something that goes on while the service runs."""

    async def start(self) -> None:
        """Begin."""

    async def stop(self) -> None:
        """End."""


class Api(Protocol):
    """gRPC services, and who may call them."""

    scopes: Mapping[str, str]

    def register(self, server: grpc.aio.Server) -> None:
        """Add them to a server."""


class Pod:
    """The parts of one pod. `open` makes them, `start` sets them going."""

    def __init__(
        self,
        settings: NotificationsSettings,
        clock: Clock,
        database: Database,
        bus: Bus,
        vault: Vault,
        providers: Providers,
    ) -> None:
        self.settings, self.clock = settings, clock
        self.database, self.bus, self.vault, self.providers = database, bus, vault, providers
        self.signals = Signals(database)
        self.hub = InboxHub(database)
        self.templates = TemplateStore(database)
        self.book = TemplateBook(self.templates)
        kept = timedelta(days=settings.retention_days)
        self.intake = Intake(self.book, providers.configured, clock, kept)
        self.forgetter = Forgetter(database, kept, clock)
        self.consumer = NoticeConsumer(bus, database, self.intake)
        self.addresses = AddressBook(database, vault, providers.configured, clock)
        self.engine = Engine(
            database, providers.channels, self._preparer(), _engine_settings(settings), clock
        )
        self.receipts = Receipts(self.engine.recorder, clock)
        self.talk, self.talk_hub = TalkStore(database), TalkHub()
        self.placing = Placing(settings.exchange_url, settings.delegation_keys, settings.exchange_tls())
        self.talking = Talking(self.talk, self.intake.enqueue, self.placing, clock)
        self.replies = Replies()
        self.replies.add(TalkReplies(self.talk, self.talking, self._language, clock).on_text)
        self.callbacks = self._callbacks()
        self.apis: list[Api] = self._apis()
        self.parts: list[Part] = self._parts()
        self._running = AsyncExitStack()
        self._started = False

    @classmethod
    async def open(cls, settings: NotificationsSettings, clock: Clock = utc_now) -> Pod:
        """Read keys and providers, open bus and database, and bring their tables and topics up to date."""
        settings.check_keys()
        async with AsyncExitStack() as undo:
            vault = open_vault(settings.addresses_key_file)
            providers = read_providers(settings.providers_file)
            undo.push_async_callback(providers.close)
            database = await Database.connect(
                settings.database(), name=f"notifications-{settings.pod}", max_size=_CONNECTIONS
            )
            undo.push_async_callback(database.close)
            await store.migrate(database)
            bus = await open_bus(service_settings("notifications", settings))
            undo.push_async_callback(bus.close)
            await bus.ensure_topics(Topic(NOTICES_TOPIC))
            pod = cls(settings, clock, database, bus, vault, providers)
            pod._opened = undo.pop_all()
        return pod

    _opened: AsyncExitStack

    def module(self) -> ServiceModule:
        """The pod as a module of the chassis."""
        return ServiceModule(
            name="notifications",
            register=self._register,
            scopes={name: scope for api in self.apis for name, scope in api.scopes.items()},
            start=self.start,
            stop=self.stop,
            ready=lambda: self._started,
        )

    async def start(self) -> None:
        """Begin to take notices and to send messages. What was started is stopped again if a part fails."""
        async with AsyncExitStack() as undo:
            for part in self.parts:
                await part.start()
                undo.push_async_callback(part.stop)
            self._running = undo.pop_all()
        self._started = True

    async def stop(self) -> None:
        """Stop everything in the reverse order."""
        self._started = False
        try:
            await self._running.aclose()
        finally:
            await self._opened.aclose()

    def _register(self, server: grpc.aio.Server) -> None:
        for api in self.apis:
            api.register(server)

    def _preparer(self) -> Preparer:
        links = Links(
            app=lambda notice: app_link(self.settings.app_url, notice.card, notice.notice_id),
            unsubscribe=lambda address_id: unsubscribe_url(self._public_url, self.vault, address_id),
        )
        return Preparer(self.book, self.vault, links, self.providers.provider_template)

    @property
    def _public_url(self) -> str:
        settings = self.settings
        if settings.public_url or not settings.callback_port:
            return settings.public_url
        return f"http://{settings.callback_host}:{settings.callback_port}"

    def _callbacks(self) -> CallbackServer | None:
        if self.settings.callback_port is None:
            return None
        parts = CallbackParts(
            self.database, self.vault, self.addresses, self.receipts, self.replies, self.providers, self.clock
        )
        return CallbackServer(build_app(parts), self.settings.callback_host, self.settings.callback_port)

    def _apis(self) -> list[Api]:
        database, clock, wechat = self.database, self.clock, self.providers.wechat
        limits = {kind: channel.limits for kind, channel in self.providers.channels.items()}
        parts: list[RpcPart] = [
            InboxApi(Inbox(database), self.hub, clock),
            PreferencesApi(PreferenceStore(database), clock),
            AddressesApi(self.addresses, wechat.api.create_qr if wechat is not None else None),
            DeliveriesApi(
                database,
                DeliveryReader(database),
                self.intake,
                self.providers.configured,
                self.engine.breaker,
                clock,
            ),
            TemplatesApi(self.templates, self.book, limits, clock),
            StepsApi(Chains(database)),
        ]
        return [
            NotificationApi(parts),
            ConversationApi(self.talk, self.talking, self.talk_hub, clock),
        ]

    async def _language(self, account_id: int) -> str:
        return (await PreferenceStore(self.database).get(account_id)).language

    def _parts(self) -> list[Part]:
        """In the order in which they start."""
        templates = Refreshing("notifications-templates", self.book.reload)
        self.signals.on(notices.TEMPLATES, templates.wake)
        self.signals.on(notices.INBOX, self.hub.wake)
        self.signals.on(notices.DUE, lambda _: self.engine.wake())
        self.signals.on(CONVERSATIONS, self.talk_hub.wake)
        parts: list[Part] = [
            templates,
            self.hub,
            self.engine,
            self.signals,
            self.consumer,
            self.placing,
            Settler(self.talking),
            self.forgetter,
        ]
        return parts if self.callbacks is None else [*parts, self.callbacks]


def _engine_settings(settings: NotificationsSettings) -> EngineSettings:
    return EngineSettings(settings.pod, settings.max_sending, settings.sending_lease_seconds)
