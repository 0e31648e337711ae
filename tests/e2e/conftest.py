"""One pod on a real PostgreSQL, in this process, so that a test can ask its core for the hash of the state."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from matching.settings import MatchingSettings
from matching.wiring import Pod
from place import Place
from smartex_chassis import ChassisServer, ChassisSettings, LocalIssuer
from smartex_store import EmbeddedPostgres


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The pod lives in one event loop, so every test of this folder runs in it."""
    here = Path(__file__).parent
    for item in items:
        if here in Path(item.path).parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("e2e")
    issuer = LocalIssuer(folder / "keys")
    async with EmbeddedPostgres(folder / "postgres") as postgres:
        settings = MatchingSettings(
            pod="e2e",
            database_url=postgres.url,
            matching_data=folder / "matching",
            idempotency_window=1 << 16,
            max_orders=1 << 16,
            max_accounts=1 << 10,
            checkpoint_seconds=3600,
        )
        pod = await Pod.open(settings)
        server = ChassisServer(
            [pod.module()], ChassisSettings(port=0, metrics_port=None, jwks=str(issuer.jwks_path))
        )
        await server.start()
        await pod.ticker.stop()  # the clock stands still, so that only requests change the state
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            yield Place(pod, channel, issuer)
        await server.drain()
