"""Real servers for the conformance suite, started once, and what makes them fail."""

from __future__ import annotations

import asyncio
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio
from one_loop import run_together
from smartex_bus import Bus, KafkaSettings, PostgresSettings, open_bus
from smartex_bus.kafka_server import KafkaServer
from smartex_store import EmbeddedPostgres

from tests.integration.bus.secure import Guarded
from tests.integration.bus.secure import guarded as make_guarded

Settings = PostgresSettings | KafkaSettings


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    run_together(items, __file__)


class Postgres:
    """The PostgreSQL server under test."""

    name = "postgres"

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self.running = True
        self.settings: Settings = PostgresSettings(server.url, retention_interval=0.3, append_timeout=5.0)

    async def kill(self) -> None:
        processes = self._processes()
        processes[0].kill()
        self.running = False
        # The sessions end as soon as they notice; until then one may still answer.
        await asyncio.to_thread(psutil.wait_procs, processes, timeout=10)

    async def start(self) -> None:
        await self._server.restart()
        self.running = True

    def _processes(self) -> list[psutil.Process]:
        assert self._server.pid is not None
        postmaster = psutil.Process(self._server.pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def pause(self) -> None:
        for process in self._processes():
            process.suspend()

    def resume(self) -> None:
        for process in self._processes():
            process.resume()


class Kafka:
    """The Kafka server under test."""

    name = "kafka"

    def __init__(self, server: KafkaServer) -> None:
        self._server = server
        self.running = True
        self.settings: Settings = KafkaSettings(server.bootstrap, request_timeout=5.0, delivery_timeout=60.0)

    async def kill(self) -> None:
        await self._server.kill()
        self.running = False

    async def start(self) -> None:
        await self._server.start()
        self.running = True

    def pause(self) -> None:
        self._server.pause()

    def resume(self) -> None:
        self._server.resume()


Server = Postgres | Kafka


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    async with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), supervise=False) as server:
        yield Postgres(server)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    made = make_guarded(tmp_path_factory.mktemp("kafka"))
    async with made.server:
        yield made


@pytest.fixture(scope="session")
def kafka(guarded: Guarded) -> Kafka:
    """The listener that asks nobody who is there."""
    return Kafka(guarded.server)


@pytest.fixture(params=["postgres", "kafka"])
def server(request: pytest.FixtureRequest) -> Server:
    """Every test that asks for it runs on both engines."""
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


@pytest.fixture
def topic() -> str:
    return f"t-{uuid.uuid4().hex[:12]}"


OpenBus = Callable[..., Awaitable[Bus]]


@pytest_asyncio.fixture(loop_scope="session")
async def new_bus(server: Server) -> AsyncIterator[OpenBus]:
    """Opens further buses on the server under test, as other processes would; settings can be changed."""
    async with AsyncExitStack() as stack:

        async def make(**changes: Any) -> Bus:
            return await stack.enter_async_context(await open_bus(replace(server.settings, **changes)))

        yield make
    if not server.running:
        # A test that failed half-way must not take the rest with it.
        await server.start()


@pytest_asyncio.fixture(loop_scope="session")
async def bus(new_bus: OpenBus) -> Bus:
    return await new_bus()


def settings_url(settings: Settings) -> str:
    return settings.url if isinstance(settings, PostgresSettings) else f"kafka://{settings.servers}"


@dataclass
class Member:
    """A consumer group's member in a process of its own; it does what the lines it is sent say."""

    process: asyncio.subprocess.Process

    async def tell(self, command: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(command.encode() + b"\n")
        async with asyncio.timeout(60):
            return (await self.process.stdout.readline()).decode().strip()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


StartMember = Callable[[str, str, float], Awaitable[Member]]


@pytest_asyncio.fixture(loop_scope="session")
async def new_member(server: Server) -> AsyncIterator[StartMember]:
    """Starts members of a group in processes of their own: (group, topic, lease)."""
    started: list[asyncio.subprocess.Process] = []

    async def make(group: str, topic: str, lease: float) -> Member:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("member.py")),
            settings_url(server.settings),
            group,
            topic,
            str(lease),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        started.append(process)
        return Member(process)

    yield make
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()
