import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psutil
import pytest
from smartex_store import Database, EmbeddedPostgres

PROGRAM = """
import asyncio, sys
from pathlib import Path
from smartex_store import Database, EmbeddedPostgres

async def main():
    async with EmbeddedPostgres(Path(sys.argv[1])) as server:
        async with Database.connect(server.url) as db:
            await db.execute("CREATE TABLE IF NOT EXISTS t (x int)")
            print(server.pid, server.url, flush=True)
            for number in range(int(sys.argv[2])):
                await db.execute("INSERT INTO t VALUES ($1)", number)
                print(number, flush=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""


def wait_until(condition: Callable[[], bool], what: str, within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"still waiting for: {what}"
        time.sleep(0.02)


def servers_of(data: Path) -> list[int]:
    """The live PostgreSQL processes that work in the folder."""
    found = []
    for process in psutil.process_iter(["name"]):
        try:
            if process.info["name"] == "postgres" and Path(process.cwd()) == data / "postgres":
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


class Program:
    """A program of ours in a process of its own, to be killed."""

    def __init__(self, data: Path, inserts: int = 0, prefix: tuple[str, ...] = ()) -> None:
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", PROGRAM, str(data), str(inserts)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self.server_pid = 0
        self.url = ""

    def line(self) -> str:
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        assert text, f"the program ended: {self.lines}"
        self.lines.append(text)
        return text.strip()

    def ready(self) -> "Program":
        while "postgresql://" not in (text := self.line()):
            pass
        pid, self.url = text.split()
        self.server_pid = int(pid)
        return self

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def program() -> Iterator[Callable[..., Program]]:
    started: list[Program] = []

    def start(data: Path, inserts: int = 0, prefix: tuple[str, ...] = ()) -> Program:
        started.append(Program(data, inserts, prefix))
        return started[-1]

    yield start
    for item in started:
        if item.process.poll() is None:
            item.kill()
        assert item.process.stdout is not None
        item.process.stdout.close()


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data folder of its own; at the end no server may be left on it."""
    folder = tmp_path / "data"
    yield folder
    wait_until(lambda: not servers_of(folder), "no server is left")


@pytest.fixture
def servers(data: Path) -> Callable[[], list[int]]:
    return lambda: servers_of(data)


@pytest.fixture
def until() -> Callable[..., None]:
    return wait_until


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """One server for the tests that do not hurt it."""
    folder = tmp_path_factory.mktemp("shared") / "data"
    server = asyncio.run(EmbeddedPostgres.start(folder, supervise=False))
    yield server
    asyncio.run(server.stop())


@pytest.fixture
async def db(shared: EmbeddedPostgres) -> AsyncIterator[Database]:
    async with Database.connect(shared.url, name="test", max_size=4) as database:
        await database.execute("DROP SCHEMA IF EXISTS shop CASCADE")
        await database.execute("DROP TABLE IF EXISTS t")
        yield database
