"""The exchange and the supervision in one process, spoken to over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import matching.wiring
import positions.wiring
import smartex_client
from isolated import free_port
from matching.settings import MatchingSettings
from positions.settings import PositionsSettings
from pydantic import SecretStr
from smartex.positions.v1.position_service_pb2_grpc import PositionServiceStub
from smartex_chassis import ChassisServer, ChassisSettings, LocalIssuer

SMALL: dict[str, Any] = {
    "idempotency_window": 1 << 16,
    "max_orders": 1 << 16,
    "max_accounts": 1 << 12,
    "lease_seconds": 0.6,
    "history_beside": False,
}


@dataclass
class Caller:
    """One caller of PositionService."""

    stub: PositionServiceStub
    token: str

    async def __call__(self, method: str, request: Any) -> Any:
        metadata = (("authorization", f"Bearer {self.token}"),)
        return await getattr(self.stub, method)(request, metadata=metadata, timeout=60)


@dataclass
class Whole:
    """Both services on one port."""

    url: str
    issuer: LocalIssuer
    channel: grpc.aio.Channel
    pod: positions.wiring.Pod

    def caller(self, account: int | None, *scopes: str, subject: str = "test") -> Caller:
        token = self.issuer.issue(subject=subject, account_id=account, scopes=scopes or ("trade",))
        return Caller(PositionServiceStub(self.channel), token)

    def market(self, account: int | None, *scopes: str) -> smartex_client.Market:
        token = self.issuer.issue(subject="test", account_id=account, scopes=scopes or ("trade",))
        return smartex_client.connect(self.url, token=token, retry=smartex_client.RetryPolicy(deadline=60.0))


@asynccontextmanager
async def serve(database_url: str, folder: Path, **changes: Any) -> AsyncIterator[Whole]:
    """Matching and positions on one port and one database."""
    issuer, port = LocalIssuer(folder / "keys"), free_port()
    token_file = folder / "positions.token"
    token_file.write_text(issuer.issue(subject="positions", scopes=["operate", "read"]))
    market = await matching.wiring.Pod.open(
        MatchingSettings(
            database_url=SecretStr(database_url), matching_data=folder / "matching", pod="market", **SMALL
        )
    )
    settings = PositionsSettings(
        database_url=SecretStr(database_url),
        exchange_url=f"127.0.0.1:{port}",
        token_file=token_file,
        pod="positions",
        **({"lease_seconds": 0.6, "look_seconds": 0.1} | changes),
    )
    pod = await positions.wiring.Pod.open(settings)
    chassis = ChassisSettings(port=port, metrics_port=None, jwks=str(issuer.jwks_path), reflection=False)
    server = ChassisServer([market.module(), pod.module()], chassis)
    await server.start()
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    try:
        yield Whole(f"127.0.0.1:{port}", issuer, channel, pod)
    finally:
        await channel.close(None)
        await server.drain()
