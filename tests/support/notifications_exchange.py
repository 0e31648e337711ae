"""A notifications service in this process, with real stand-ins of the providers and a real database."""

from __future__ import annotations

import re
import tomllib
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import httpx
from google.protobuf.timestamp_pb2 import Timestamp
from notifications.channels.delivery import Clock, utc_now
from notifications.settings import NotificationsSettings
from notifications.wiring import Pod
from smartex.matching.v1.types_pb2 import Money
from smartex.notifications.v1 import notice_pb2, notification_service_pb2_grpc
from smartex.notifications.v1 import notification_service_pb2 as pb
from smartex.positions.v1 import types_pb2  # noqa: F401 - the Step of answers
from smartex_chassis import ChassisServer, ChassisSettings, LocalIssuer
from smartex_standins.serving import serve
from smartex_standins.standin import Standin
from waiting import until

ALICE, BOB = 1, 2
ENDED = frozenset(
    {
        pb.DELIVERY_STATE_SENT,
        pb.DELIVERY_STATE_DELIVERED,
        pb.DELIVERY_STATE_EXPIRED,
        pb.DELIVERY_STATE_SUPERSEDED,
        pb.DELIVERY_STATE_SUPPRESSED,
        pb.DELIVERY_STATE_DEAD,
    }
)


class HandClock:
    """A clock that a test moves."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **delta: float) -> None:
        self.now += timedelta(**delta)


class Phones:
    """The stand-ins: what phones show, and what the providers are told to do wrong."""

    def __init__(self, url: str, providers: Path) -> None:
        self.http = httpx.AsyncClient(base_url=url, timeout=60, trust_env=False)
        self.providers = providers
        self.tables: dict[str, Any] = tomllib.loads(providers.read_text("utf-8"))

    async def tell(self, path: str, **values: object) -> dict[str, Any]:
        answer = await self.http.post(f"/control/{path}", json=values)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def faults(self, standin: str, **switches: object) -> None:
        await self.tell(f"{standin}/faults", **switches)

    async def shown(self, standin: str) -> list[dict[str, Any]]:
        state = (await self.http.get("/phone/state")).json()
        return [message for message in state["messages"] if message["standin"] == standin]

    async def shown_within(self, standin: str, count: int, seconds: float = 60) -> list[dict[str, Any]]:
        """What is shown, once there are so many messages."""

        async def enough() -> list[dict[str, Any]] | None:
            messages = await self.shown(standin)
            return messages if len(messages) >= count else None

        found: list[dict[str, Any]] = await until(enough, f"{count} messages on {standin}", seconds)
        return found

    async def address(self, standin: str, person: str = "alice") -> dict[str, Any]:
        told: dict[str, Any] = (await self.http.get(f"/control/{standin}/addresses")).json()[person]
        return told


class Exchange:
    """A served pod and its callers."""

    def __init__(self, pod: Pod, port: int, issuer: LocalIssuer, phones: Phones | None) -> None:
        self.pod = pod
        self.issuer = issuer
        self.phones_or_none = phones
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        self.stub = notification_service_pb2_grpc.NotificationServiceStub(self.channel)

    @property
    def phones(self) -> Phones:
        assert self.phones_or_none is not None
        return self.phones_or_none

    def investor(self, account: int = ALICE, scopes: Iterable[str] = ("trade",)) -> Any:
        """Metadata of an investor."""
        return self._metadata(subject=f"investor-{account}", account_id=account, scopes=scopes)

    def operator(self) -> Any:
        """Metadata of an operator."""
        return self._metadata(subject="operator", scopes=("operate", "read"))

    def _metadata(self, **claims: Any) -> Any:
        return (("authorization", f"Bearer {self.issuer.issue(**claims)}"),)

    async def send(self, notice: notice_pb2.Notice) -> bool:
        """Send a notice; returns whether it had been taken before."""
        request = pb.SendNoticeRequest(notice=notice)
        return bool((await self.stub.SendNotice(request, metadata=self.operator())).repeated)

    async def prefer(self, account: int = ALICE, **wanted: Any) -> None:
        preferences = pb.Preferences(**{"language": "en", "time_zone": "Asia/Shanghai", **wanted})
        await self.stub.SetPreferences(
            pb.SetPreferencesRequest(preferences=preferences), metadata=self.investor(account)
        )

    async def add(self, channel: int, value: str, account: int = ALICE, **more: Any) -> pb.Address:
        request = pb.AddAddressRequest(channel=channel, value=value, **more)  # type: ignore[arg-type]
        return (await self.stub.AddAddress(request, metadata=self.investor(account))).address

    async def add_phone(self, account: int = ALICE, person: str = "alice") -> pb.Address:
        """The person's Android phone."""
        told = await self.phones.address("fcm", person)
        return await self.add(pb.CHANNEL_FCM, told["value"], account)

    async def link_wechat(self, account: int = ALICE, person: str = "alice") -> None:
        """The person scans a QR code of the account in WeChat, and is told so."""
        before = len(await self.phones.shown("wechat"))
        link = await self.stub.LinkWechat(pb.LinkWechatRequest(), metadata=self.investor(account))
        await self.phones.tell("wechat/scan", person=person, code=link.qr_url)
        await self.phones.shown_within("wechat", before + 1)
        assert await self.linked(account)

    async def linked(self, account: int = ALICE) -> bool:
        return any(
            one.channel == pb.CHANNEL_WECHAT and one.state == pb.ADDRESS_STATE_VERIFIED
            for one in await self.addresses(account)
        )

    async def addresses(self, account: int = ALICE) -> Sequence[pb.Address]:
        told = await self.stub.ListAddresses(pb.ListAddressesRequest(), metadata=self.investor(account))
        return list(told.addresses)

    async def verify(self, address: pb.Address, standin: str, account: int = ALICE) -> pb.Address:
        """Read the code on the phone and give it back."""
        messages = await self.phones.shown_within(standin, 1)
        text = f"{messages[-1]['title']} {messages[-1]['body']}"
        code = re.search(r"(?<!\d)\d{6}(?!\d)", text)
        assert code is not None, text
        request = pb.VerifyAddressRequest(address_id=address.address_id, code=code[0])
        return (await self.stub.VerifyAddress(request, metadata=self.investor(account))).address

    async def deliveries(self, notice_id: str = "", account: int = ALICE) -> list[pb.Delivery]:
        """Deliveries of a notice beside the inbox."""
        request = pb.ListDeliveriesRequest(account_id=account, notice_id=notice_id)
        told = await self.stub.ListDeliveries(request, metadata=self.operator())
        return [one for one in told.deliveries if one.channel != pb.CHANNEL_INBOX]

    async def ended(self, notice_id: str, seconds: float = 60) -> list[pb.Delivery]:
        """The deliveries of a notice once all have ended."""

        async def look() -> list[pb.Delivery]:
            found = await self.deliveries(notice_id)
            return found if found and all(one.state in ENDED for one in found) else []

        found: list[pb.Delivery] = await until(look, f"the end of {notice_id}", seconds)
        return found

    async def inbox(self, account: int = ALICE, **filters: Any) -> pb.ListInboxResponse:
        return await self.stub.ListInbox(pb.ListInboxRequest(**filters), metadata=self.investor(account))


def settings_of(database: str, folder: Path, providers: Path | None, **more: Any) -> NotificationsSettings:
    """Settings of a pod of its own, not of the environment."""
    values: Mapping[str, Any] = {
        "pod": "pod-1",
        "database_url": database,
        "providers_file": providers,
        "addresses_key_file": folder / "addresses.key",
        "sending_lease_seconds": 3,
        **more,
    }
    return NotificationsSettings(**values)


@asynccontextmanager
async def serving(
    settings: NotificationsSettings, folder: Path, phones: Phones | None = None, clock: Clock = utc_now
) -> AsyncIterator[Exchange]:
    """Serve a pod over gRPC until the block ends."""
    issuer = LocalIssuer(folder / "issuer")
    pod = await Pod.open(settings, clock)
    server = ChassisServer(
        [pod.module()], ChassisSettings(port=0, metrics_port=None, jwks=str(issuer.jwks_path))
    )
    await server.start()
    exchange = Exchange(pod, server.port, issuer, phones)
    try:
        yield exchange
    finally:
        await exchange.channel.close(None)
        await server.hurry()
        await server.drain()


@asynccontextmanager
async def exchange_with(
    standins: Sequence[Standin],
    database: str,
    folder: Path,
    standins_folder: Path,
    callback_port: int,
    clock: Clock = utc_now,
    **more: Any,
) -> AsyncIterator[Exchange]:
    """Stand-ins, and a pod that uses them."""
    callbacks = f"http://127.0.0.1:{callback_port}/callbacks"
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(serve(standins_folder, 0, callbacks, standins))
        phones = Phones(running.url, running.providers_file)
        stack.push_async_callback(phones.http.aclose)
        settings = settings_of(database, folder, running.providers_file, callback_port=callback_port, **more)
        yield await stack.enter_async_context(serving(settings, folder, phones, clock))


def stamp(moment: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(moment)
    return made


def a_notice(notice_id: str = "n-1", account: int = ALICE, **changes: Any) -> notice_pb2.Notice:
    """A concentration alert of now."""
    now = changes.pop("now", None) or datetime.now(UTC)
    values = {
        "notice_id": notice_id,
        "account_id": account,
        "kind": "positions.concentration",
        "urgency": notice_pb2.URGENCY_HIGH,
        "cause_time": stamp(now),
        "values": [
            notice_pb2.Value(name="name", local_text=notice_pb2.LocalText(zh="贵州茅台", en="Moutai")),
            notice_pb2.Value(name="symbol", text="600519"),
            notice_pb2.Value(name="value", percent="0.62"),
            notice_pb2.Value(name="threshold", percent="0.25"),
            notice_pb2.Value(name="equity", money=Money(currency_code="CNY", amount="1234567.8")),
            notice_pb2.Value(name="time", time=stamp(now)),
            notice_pb2.Value(name="action", local_text=notice_pb2.LocalText(zh="减仓", en="Sell some")),
        ],
        "card": notice_pb2.Card(kind=notice_pb2.CARD_KIND_ALERT, id="alert-7"),
        "trace_id": uuid.uuid4().hex,
    }
    return notice_pb2.Notice(**{**values, **changes})
