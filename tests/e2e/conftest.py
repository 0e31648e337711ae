"""The whole exchange on a real PostgreSQL, in this process, so that a test can look into it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import notifications.wiring
import positions.wiring
import pytest
import pytest_asyncio
from isolated import free_port
from matching.settings import MatchingSettings
from matching.wiring import Pod
from notifications.settings import NotificationsSettings
from one_loop import run_together
from place import Place
from positions.settings import PositionsSettings
from pydantic import SecretStr
from smartex_chassis import ChassisServer, ChassisSettings, LocalIssuer, ServiceModule
from smartex_store import Database, EmbeddedPostgres


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    run_together(items, __file__)


async def open_matching(url: str, folder: Path) -> Pod:
    """The market."""
    settings = MatchingSettings(
        pod="e2e",
        database_url=SecretStr(url),
        matching_data=folder / "matching",
        idempotency_window=1 << 16,
        max_orders=1 << 16,
        max_accounts=1 << 10,
        checkpoint_seconds=3600,
        history_beside=False,
    )
    return await Pod.open(settings)


async def open_people(url: str, folder: Path, port: int, issuer: LocalIssuer) -> list[ServiceModule]:
    """Supervision and reach."""
    token = folder / "token"
    token.write_text(issuer.issue(subject="services", scopes=("operate", "read")), "utf-8")
    exchange = f"127.0.0.1:{port}"
    supervision = PositionsSettings(
        pod="e2e", database_url=SecretStr(url), exchange_url=exchange, token_file=token
    )
    reach = NotificationsSettings(
        pod="e2e",
        database_url=SecretStr(url),
        exchange_url=exchange,
        token_file=token,
        delegation_keys=folder / "keys",
        addresses_key_file=folder / "addresses.key",
    )
    return [await positions.wiring.build(supervision), await notifications.wiring.build(reach)]


async def until_ready(modules: list[ServiceModule]) -> None:
    """Wait until every service can be asked."""
    async with asyncio.timeout(60):
        while not all(module.ready() for module in modules):
            await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("e2e")
    issuer, port = LocalIssuer(folder / "keys"), free_port()
    async with EmbeddedPostgres(folder / "postgres") as postgres:
        pod = await open_matching(postgres.url, folder)
        modules = [pod.module(), *await open_people(postgres.url, folder, port, issuer)]
        settings = ChassisSettings(port=port, metrics_port=None, jwks=str(issuer.jwks_path))
        server = ChassisServer(modules, settings)
        await server.start()
        await pod.ticker.stop()  # the clock stands still, so that only requests change the state
        await until_ready(modules)
        scopes = {path: scope for module in modules for path, scope in module.scopes.items()}
        async with (
            Database.connect(postgres.url, name="e2e") as database,
            grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        ):
            yield Place(pod, channel, issuer, scopes, database)
        await server.hurry()
        await server.drain()


@pytest.fixture(scope="session")
def opened(place: Place) -> dict[str, bool]:
    """Remembers that the market was opened."""
    return {}
