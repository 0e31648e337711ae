"""The real service as a process of its own, on a real PostgreSQL: it can be killed and started again."""

import asyncio
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import smartex_client
from isolated import free_port
from smartex.matching.v1.types_pb2 import (
    ODD_LOT_RULE_NONE,
    SETTLEMENT_T0,
    TRADING_STATE_OPEN,
    Instrument,
)
from smartex_chassis import LocalIssuer
from smartex_client import Market, RetryPolicy
from smartex_store import EmbeddedPostgres


@dataclass
class Exchange:
    """The service's process."""

    database_url: str
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    accounts: Iterator[int] = field(default_factory=lambda: iter(range(1001, 1_000_000)))

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        issuer = LocalIssuer(self.keys)
        environment = {
            **os.environ,
            "SMARTEX_DATABASE_URL": self.database_url,
            "SMARTEX_PORT": str(self.port),
            "SMARTEX_METRICS_PORT": str(free_port()),
            "SMARTEX_JWKS": str(issuer.jwks_path),
            "SMARTEX_MATCHING_DATA": str(self.folder / "matching"),
            "SMARTEX_MAX_ORDERS": "65536",
            "SMARTEX_IDEMPOTENCY_WINDOW": "65536",
            "SMARTEX_POD": "pod-1",
        }
        with open(self.folder / "service.log", "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "matching"], env=environment, stdout=log, stderr=log
            )
        self._await_ready()

    def _await_ready(self) -> None:
        token = self.token(scopes=("read",))

        async def ask() -> bool:
            quick = RetryPolicy(deadline=1.0)
            async with smartex_client.connect(self.url, token=token, retry=quick) as market:
                try:
                    await market.venue.status()
                except smartex_client.Retryable:
                    return False
                return True

        end = time.monotonic() + 120
        while time.monotonic() < end:
            assert self.process is not None
            if self.process.poll() is not None:
                break
            if asyncio.run(ask()):
                return
        raise RuntimeError((self.folder / "service.log").read_text()[-4000:])

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def token(self, account_id: int | None = None, scopes: tuple[str, ...] = ("trade",)) -> str:
        return LocalIssuer(self.keys).issue(subject="test", account_id=account_id, scopes=scopes)

    def client(self, account_id: int | None = None, *scopes: str, **options: object) -> Market:
        token = self.token(account_id, scopes or ("trade",))
        patient = {"retry": RetryPolicy(deadline=60.0)}
        return smartex_client.connect(self.url, token=token, **(patient | options))  # type: ignore[arg-type]

    async def opened(self, *, cash: str = "1000000", shares: str = "10000") -> tuple[str, int, int]:
        """A new instrument and two accounts that hold cash and shares of it."""
        symbol = f"T{secrets.token_hex(4)}".upper()
        first, second = next(self.accounts), next(self.accounts)
        async with self.client(None, "operate", "read") as operator:
            await operator.venue.define(instrument(symbol))
            for account in (first, second):
                await operator.venue.deposit(account, cash, "CNY")
                await operator.venue.deposit_shares(account, shares, symbol)
        return symbol, first, second


def instrument(symbol: str) -> Instrument:
    return Instrument(
        symbol=symbol,
        name="Test",
        name_zh="测试",
        currency_code="CNY",
        tick_size="0.01",
        lot_size="1",
        board_lot=1,
        odd_lot_rule=ODD_LOT_RULE_NONE,
        reference_price_ticks=1000,
        max_price_ticks=1_000_000,
        max_order_lots=1_000_000,
        market_band_ppm=100_000,
        settlement=SETTLEMENT_T0,
        trading_state=TRADING_STATE_OPEN,
    )


@pytest.fixture(scope="session")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    folder = tmp_path_factory.mktemp("exchange")
    postgres = asyncio.run(EmbeddedPostgres.start(folder / "postgres", supervise=False))
    started = Exchange(postgres.url, folder, free_port())
    try:
        started.start()
        yield started
    finally:
        started.kill()
        asyncio.run(postgres.stop())
