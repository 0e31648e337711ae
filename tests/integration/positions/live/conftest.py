"""The market and its supervision on real servers, in one process: orders go in over gRPC, portfolios come out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from isolated import fresh_database
from matching.settings import MatchingSettings
from matching.wiring import Pod as MatchingPod
from one_loop import run_together
from positions.settings import PositionsSettings
from positions.wiring import Pod
from smartex.matching.v1 import account_pb2, order_entry_pb2, types_pb2, venue_pb2
from smartex.matching.v1.account_pb2_grpc import AccountServiceStub
from smartex.matching.v1.order_entry_pb2_grpc import OrderEntryServiceStub
from smartex.matching.v1.venue_pb2_grpc import VenueServiceStub
from smartex.positions.v1 import position_service_pb2 as pb
from smartex.positions.v1.position_service_pb2_grpc import PositionServiceStub
from smartex_bus.kafka_server import KafkaServer
from smartex_chassis import ChassisServer, ChassisSettings, LocalIssuer
from smartex_store import EmbeddedPostgres
from waiting import until

SMALL: dict[str, Any] = {
    "idempotency_window": 1 << 16,
    "max_orders": 1 << 16,
    "max_accounts": 1 << 12,
    "lease_seconds": 0.6,
    "history_beside": False,
}
BUY, SELL = types_pb2.SIDE_BUY, types_pb2.SIDE_SELL


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    run_together(items, __file__)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedPostgres]:
    async with EmbeddedPostgres(tmp_path_factory.mktemp("live-postgres")) as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[KafkaServer]:
    async with KafkaServer(tmp_path_factory.mktemp("live-kafka")) as server:
        yield server


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> LocalIssuer:
    return LocalIssuer(tmp_path_factory.mktemp("live-keys"))


@pytest.fixture
def fresh(postgres: EmbeddedPostgres) -> AbstractAsyncContextManager[str]:
    """The URL of a database with nothing in it."""
    return fresh_database(postgres)


@dataclass
class Caller:
    """Somebody with a token."""

    channel: grpc.aio.Channel
    token: str
    account_id: int = 0
    ids: Any = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.metadata = (("authorization", f"Bearer {self.token}"),)
        self.positions = PositionServiceStub(self.channel)
        self.entry = OrderEntryServiceStub(self.channel)
        self.account = AccountServiceStub(self.channel)
        self.venue = VenueServiceStub(self.channel)

    async def ask(self, name: str, request: Any) -> Any:
        """One RPC of PositionService."""
        return await getattr(self.positions, name)(request, metadata=self.metadata, timeout=60)

    async def portfolio(self, account_id: int = 0) -> Any:
        request = pb.GetPortfolioRequest(account_id=account_id, lots=True)
        return (await self.ask("GetPortfolio", request)).portfolio

    async def place(self, side: int, price: int, lots: int, instrument_id: int = 1, **changes: Any) -> Any:
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
        return (await self.entry.PlaceOrder(request, metadata=self.metadata, timeout=60)).outcome

    async def balances(self) -> Any:
        request = account_pb2.GetAccountRequest(account_id=self.account_id)
        return await self.account.GetAccount(request, metadata=self.metadata, timeout=60)


@dataclass
class Exchange:
    """One database and log, a market that serves, and pods of positions that come and go."""

    settings: dict[str, Any]
    market: MatchingPod
    url: str
    issuer: LocalIssuer
    token_file: Path
    channel: grpc.aio.Channel
    names: Any = field(default_factory=lambda: count(1))

    def caller(self, account_id: int = 0, *scopes: str, at: grpc.aio.Channel | None = None) -> Caller:
        token = self.issuer.issue(
            subject=f"t{account_id}", account_id=account_id or None, scopes=scopes or ("trade", "read")
        )
        return Caller(at or self.channel, token, account_id)

    def operator(self) -> Caller:
        return self.caller(0, "operate", "read", "admin")

    @asynccontextmanager
    async def positions(
        self,
        *,
        clock: Callable[[], int] = time.time_ns,
        opened: Callable[[Pod], None] = lambda pod: None,
        **changes: Any,
    ) -> AsyncIterator[tuple[Pod, grpc.aio.Channel]]:
        """A pod that serves. `opened` sees it before it starts."""
        settings = PositionsSettings(
            **{
                "database_url": self.settings["database_url"],
                "bus_url": self.settings.get("bus_url"),
                "shard": self.settings.get("shard", 0),
                "exchange_url": self.url,
                "token_file": self.token_file,
                "pod": f"positions-{next(self.names)}",
                "base_currency": "USD",
                "lease_seconds": 0.6,
                "look_seconds": 0.1,
            }
            | changes
        )
        pod = await Pod.open(settings, clock)
        opened(pod)
        server = ChassisServer([pod.module()], chassis(self.issuer))
        await server.start()
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.port}")
        try:
            await until(lambda: pod.follower.ready)
            yield pod, channel
        finally:
            await channel.close(None)
            await server.drain()

    async def published(self) -> None:
        """Wait until all that the market has said is in the event log."""
        last = self.market.replica.core.sequence
        await until(lambda: self.market.publisher.published >= last)

    async def folded(self, pod: Pod) -> None:
        """Wait until a pod has folded all that the market has said, and written it if it is the one that writes."""
        last = self.market.replica.core.sequence
        await until(lambda: pod.book.sequence >= last)
        if pod.follower.working:
            while await written(pod) < last:
                await asyncio.sleep(0.02)


async def written(pod: Pod) -> int:
    """Sequence that the rows are as of."""
    row = await pod.database.fetchval(
        "SELECT sequence FROM positions.projection WHERE shard = $1", pod.settings.shard
    )
    return int(row or 0)


def chassis(issuer: LocalIssuer) -> ChassisSettings:
    return ChassisSettings(port=0, metrics_port=None, jwks=str(issuer.jwks_path), reflection=False)


@asynccontextmanager
async def exchange_on(
    engine: dict[str, Any], postgres: EmbeddedPostgres, issuer: LocalIssuer, folder: Path
) -> AsyncIterator[Exchange]:
    """A market with two instruments, and cash and shares for accounts 1 to 4."""
    async with fresh_database(postgres) as url:
        settings = {"database_url": url} | engine
        market = await MatchingPod.open(
            MatchingSettings(**(SMALL | settings | {"pod": "market", "matching_data": folder / "market"}))
        )
        server = ChassisServer([market.module()], chassis(issuer))
        await server.start()
        token_file = folder / "token"
        token_file.write_text(issuer.issue(subject="positions", scopes=["operate", "read"]))
        address = f"127.0.0.1:{server.port}"
        channel = grpc.aio.insecure_channel(address)
        exchange = Exchange(settings, market, address, issuer, token_file, channel)
        try:
            await open_market(exchange.operator())
            yield exchange
        finally:
            await channel.close(None)
            await server.drain()


@pytest_asyncio.fixture(loop_scope="session")
async def exchange(
    postgres: EmbeddedPostgres, issuer: LocalIssuer, tmp_path: Path
) -> AsyncIterator[Exchange]:
    async with exchange_on({}, postgres, issuer, tmp_path) as ready:
        yield ready


@pytest_asyncio.fixture(loop_scope="session")
async def kafka_exchange(
    postgres: EmbeddedPostgres, kafka: KafkaServer, issuer: LocalIssuer, tmp_path: Path
) -> AsyncIterator[Exchange]:
    async with exchange_on({"bus_url": kafka.url}, postgres, issuer, tmp_path) as ready:
        yield ready


async def open_market(operator: Caller) -> None:
    for number, settlement in ((1, types_pb2.SETTLEMENT_T0), (2, types_pb2.SETTLEMENT_T1)):
        await define(operator, number, settlement)
    for account_id in range(1, 5):
        await deposit(operator, account_id, 1, cash=types_pb2.Money(currency_code="USD", amount="1000000"))
        for number in (1, 2):
            shares = account_pb2.ShareAmount(instrument_id=number, quantity_lots=100_000)
            await deposit(operator, account_id, 1 + number, shares=shares)


async def define(operator: Caller, number: int, settlement: int, **changes: Any) -> None:
    fields: dict[str, Any] = {
        "instrument_id": number,
        "symbol": f"TEST{number}",
        "name": f"Test {number}",
        "currency_code": "USD",
        "tick_size": "0.01",
        "lot_size": "1",
        "board_lot": 1,
        "odd_lot_rule": types_pb2.ODD_LOT_RULE_NONE,
        "reference_price_ticks": 1000,
        "max_price_ticks": 100_000,
        "max_order_lots": 1_000_000,
        "settlement": settlement,
        "trading_state": types_pb2.TRADING_STATE_OPEN,
        "maker_fee_ppm": 100,
        "taker_fee_ppm": 300,
        "stamp_duty_ppm": 500,
        "industry": "Banks" if number == 1 else "Chips",
    }
    await operator.venue.DefineInstrument(
        venue_pb2.DefineInstrumentRequest(
            instrument=types_pb2.Instrument(**(fields | changes)), request_id=number
        ),
        metadata=operator.metadata,
        timeout=60,
    )


async def deposit(operator: Caller, account_id: int, request: int, **asset: Any) -> None:
    message = account_pb2.DepositRequest(
        account_id=account_id, request_id=account_id * 100 + request, **asset
    )
    message.create_time.GetCurrentTime()
    await operator.account.Deposit(message, metadata=operator.metadata, timeout=60)
