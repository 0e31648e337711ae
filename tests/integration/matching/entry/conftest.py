"""Pods on real servers: started in this process, spoken to over gRPC."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from isolated import fresh_database
from matching.settings import MatchingSettings
from matching.wiring import Pod
from one_loop import run_together
from smartex.matching.v1 import account_pb2, order_entry_pb2, types_pb2, venue_pb2
from smartex.matching.v1.account_pb2_grpc import AccountServiceStub
from smartex.matching.v1.order_entry_pb2_grpc import OrderEntryServiceStub
from smartex.matching.v1.venue_pb2_grpc import VenueServiceStub
from smartex_bus.kafka_server import KafkaServer
from smartex_chassis import ChassisServer, ChassisSettings, LocalIssuer
from smartex_store import EmbeddedPostgres

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
SMALL: dict[str, Any] = {
    "idempotency_window": 1 << 16,
    "max_orders": 1 << 16,
    "max_accounts": 1 << 12,
    "lease_seconds": 0.6,
    "check_conservation": True,
    "history_beside": False,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    run_together(items, __file__)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedPostgres]:
    async with EmbeddedPostgres(tmp_path_factory.mktemp("entry-postgres")) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KafkaServer]:
    async with KafkaServer(tmp_path_factory.mktemp("entry-kafka")) as server:
        yield server


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> LocalIssuer:
    return LocalIssuer(tmp_path_factory.mktemp("entry-keys"))


@dataclass
class Client:
    """One caller of one pod."""

    channel: grpc.aio.Channel
    token: str
    account_id: int = 0
    ids: Any = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.metadata = (("authorization", f"Bearer {self.token}"),)
        self.entry = OrderEntryServiceStub(self.channel)
        self.account = AccountServiceStub(self.channel)
        self.venue = VenueServiceStub(self.channel)

    async def place(
        self, side: int, price: int, lots: int, instrument_id: int = 1, **changes: Any
    ) -> order_entry_pb2.PlaceOrderResponse:
        fields: dict[str, Any] = {
            "client_order_id": next(self.ids),
            "instrument_id": instrument_id,
            "side": side,
            "order_type": types_pb2.ORDER_TYPE_LIMIT,
            "time_in_force": types_pb2.TIME_IN_FORCE_GTC,
            "price_ticks": price,
            "quantity_lots": lots,
            "create_time_ns": time.time_ns(),
        }
        request = order_entry_pb2.PlaceOrderRequest(**(fields | changes))
        return await self.entry.PlaceOrder(request, metadata=self.metadata, timeout=60)

    async def get_account(self) -> account_pb2.GetAccountResponse:
        return await self.account.GetAccount(
            account_pb2.GetAccountRequest(account_id=self.account_id), metadata=self.metadata, timeout=60
        )

    async def status(self) -> venue_pb2.GetVenueStatusResponse:
        return await self.venue.GetVenueStatus(
            venue_pb2.GetVenueStatusRequest(), metadata=self.metadata, timeout=60
        )

    async def state_hash(self, offset: int = 0) -> venue_pb2.GetStateHashResponse:
        return await self.venue.GetStateHash(
            venue_pb2.GetStateHashRequest(offset=offset), metadata=self.metadata, timeout=60
        )

    def trade(self) -> Any:
        entry: Any = self.entry  # its stubs demand requests at once
        return entry.Trade(metadata=self.metadata)


@dataclass
class Running:
    """A pod that serves, and callers for it."""

    pod: Pod
    server: ChassisServer
    channel: grpc.aio.Channel
    issuer: LocalIssuer

    def operator(self) -> Client:
        return Client(self.channel, self.issuer.issue(subject="op", scopes=["operate", "read"]))

    def trader(self, account_id: int) -> Client:
        token = self.issuer.issue(subject=f"t{account_id}", account_id=account_id, scopes=["trade"])
        return Client(self.channel, token, account_id)


@dataclass
class Venue:
    """One log, on one engine, and any number of pods on it."""

    engine: str
    settings: dict[str, Any]
    folder: Path
    issuer: LocalIssuer
    names: Any = field(default_factory=lambda: count(1))

    @asynccontextmanager
    async def pod(self, name: str | None = None, **changes: Any) -> AsyncIterator[Running]:
        name = name or f"pod-{next(self.names)}"
        settings = MatchingSettings(
            **(SMALL | self.settings | {"pod": name, "matching_data": self.folder / name} | changes)
        )
        pod = await Pod.open(settings)
        chassis = ChassisSettings(
            port=0, metrics_port=None, jwks=str(self.issuer.jwks_path), reflection=False
        )
        server = ChassisServer([pod.module()], chassis)
        await server.start()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=OPTIONS)
        try:
            yield Running(pod, server, channel, self.issuer)
        finally:
            await channel.close(None)
            await server.drain()


@pytest.fixture(params=["postgres", "kafka"])
def engine(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Where the log is; on Kafka topics have fixed names, so each venue is a shard of its own."""
    if request.param == "postgres":
        return {}
    server: KafkaServer = request.getfixturevalue("kafka")
    return {"bus_url": server.url, "shard": next(request.getfixturevalue("shards"))}


@pytest_asyncio.fixture(loop_scope="session")
async def venue(
    engine: dict[str, Any], postgres: EmbeddedPostgres, issuer: LocalIssuer, tmp_path: Path
) -> AsyncIterator[Venue]:
    """A venue with a log of its own, on each engine."""
    async with fresh_database(postgres) as url:
        yield Venue("kafka" if engine else "postgres", {"database_url": url} | engine, tmp_path, issuer)


@pytest.fixture(scope="session")
def shards() -> Any:
    return count(0)


Setup = Callable[[Running], Any]


@pytest.fixture
def open_market() -> Setup:
    """Defines instrument 1 and gives accounts 1 to 4 cash and shares."""

    async def setup(running: Running) -> Client:
        operator = running.operator()
        instrument = types_pb2.Instrument(
            symbol="TEST",
            name="Test",
            currency_code="USD",
            tick_size="0.01",
            lot_size="1",
            board_lot=1,
            odd_lot_rule=types_pb2.ODD_LOT_RULE_NONE,
            reference_price_ticks=1000,
            max_price_ticks=100_000,
            max_order_lots=1_000_000,
            settlement=types_pb2.SETTLEMENT_T0,
            trading_state=types_pb2.TRADING_STATE_OPEN,
            taker_fee_ppm=100,
        )
        await operator.venue.DefineInstrument(
            venue_pb2.DefineInstrumentRequest(instrument=instrument, request_id=1),
            metadata=operator.metadata,
            timeout=60,
        )
        for account_id in range(1, 5):
            for asset in (
                {"cash": types_pb2.Money(currency_code="USD", amount="1000000")},
                {"shares": account_pb2.ShareAmount(instrument_id=1, quantity_lots=1_000_000)},
            ):
                request = account_pb2.DepositRequest(
                    account_id=account_id,
                    request_id=account_id * 10 + len(asset) + ("cash" in asset),
                    **asset,
                )
                request.create_time.GetCurrentTime()
                await operator.account.Deposit(request, metadata=operator.metadata, timeout=60)
        return operator

    return setup
