import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from smartex_store import (
    Database,
    DatabaseUnavailable,
    DataFolderError,
    EmbeddedPostgres,
    ServerStartFailed,
    retrying,
)

Servers = Callable[[], list[int]]
Until = Callable[..., None]
Start = Callable[..., Any]


async def rows(url: str) -> list[int]:
    async with Database.connect(url) as db:
        return [row["x"] for row in await db.fetch("SELECT x FROM t ORDER BY x")]


def socket_folder(url: str) -> Path:
    return Path(url.partition("host=")[2].partition("&")[0])


async def forever(operation: Callable[[], Awaitable[object]]) -> None:
    while True:
        await operation()


async def test_no_server_outlives_a_killed_program(
    data: Path, servers: Servers, until: Until, program: Start
) -> None:
    running = program(data).ready()
    assert running.server_pid in servers()
    socket_dir = socket_folder(running.url)
    assert socket_dir.is_dir()
    running.kill()
    until(lambda: not servers(), "the server is gone")
    until(lambda: not socket_dir.exists(), "its socket is gone")


async def test_what_was_acknowledged_survives_the_kill_of_the_program(data: Path, program: Start) -> None:
    running = program(data, inserts=10**6).ready()
    for _ in range(200):
        acknowledged = int(running.line())
    running.kill()
    # At once, while the old server may still be on its way out.
    async with EmbeddedPostgres(data) as server:
        found = await rows(server.url)
    assert found == list(range(len(found)))
    assert len(found) > acknowledged


async def test_what_was_acknowledged_survives_the_kill_of_everything(
    data: Path, servers: Servers, program: Start
) -> None:
    running = program(data, inserts=10**6).ready()
    for _ in range(100):
        acknowledged = int(running.line())
    for pid in [running.process.pid, psutil.Process(running.server_pid).ppid(), *servers()]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    running.process.wait()
    assert socket_folder(running.url).exists()
    async with EmbeddedPostgres(data) as server:
        found = await rows(server.url)
    assert found == list(range(len(found)))
    assert len(found) > acknowledged
    assert not socket_folder(running.url).exists()


async def test_the_server_stops_when_its_guardian_is_killed(
    data: Path, servers: Servers, until: Until
) -> None:
    """The second net: the kernel tells the server; the program starts another."""
    async with EmbeddedPostgres(data) as server:
        assert server.pid is not None
        first = server.pid
        os.kill(psutil.Process(first).ppid(), signal.SIGKILL)
        async with Database.connect(server.url) as db:
            while first in servers():
                await asyncio.sleep(0.02)
            assert [row["x"] for row in await retrying(lambda: db.fetch("SELECT 1 AS x"))] == [1]
        assert server.pid != first


@pytest.mark.parametrize("victim", ["server", "session"])
async def test_a_crashed_server_comes_back_at_the_same_url(data: Path, victim: str) -> None:
    async with EmbeddedPostgres(data) as server, Database.connect(server.url, max_size=2) as db:
        url, first = server.url, server.pid
        assert first is not None
        await db.execute("CREATE TABLE t (x int PRIMARY KEY)")
        for number in range(3):
            # A server that has not noticed yet takes sessions, and ends them a moment later.
            await retrying(partial(db.execute, "INSERT INTO t VALUES ($1) ON CONFLICT DO NOTHING", number))
            session: int = await retrying(lambda: db.fetchval("SELECT pg_backend_pid()"))
            assert server.pid is not None
            os.kill(server.pid if victim == "server" else session, signal.SIGKILL)
            with pytest.raises(DatabaseUnavailable):
                await forever(lambda: db.fetch("SELECT 1"))  # until the kill is noticed
            found = await retrying(lambda: db.fetch("SELECT x FROM t ORDER BY x"))
            assert [row["x"] for row in found] == list(range(number + 1))
        assert server.url == url
        assert (server.pid == first) is (victim == "session")


async def test_a_session_that_computes_does_not_hold_up_the_restart(data: Path) -> None:
    async with EmbeddedPostgres(data) as server, Database.connect(server.url, max_size=2) as db:
        busy = asyncio.create_task(db.fetchval("SELECT count(*) FROM generate_series(1, 1000000000)"))
        while not await db.fetch(
            "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%1000000000)' AND wait_event IS NULL"
        ):
            await asyncio.sleep(0.02)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(DatabaseUnavailable):
            await busy
        assert await retrying(lambda: db.fetch("SELECT 1"))


async def test_restart_on_demand(data: Path) -> None:
    async with EmbeddedPostgres(data) as server, Database.connect(server.url) as db:
        url, first = server.url, server.pid
        await db.execute("CREATE TABLE t AS SELECT 1 AS x")
        await server.restart()
        assert (server.url, server.pid == first) == (url, False)
        assert len(await retrying(lambda: db.fetch("SELECT x FROM t"))) == 1


async def test_without_supervision_a_crash_waits_for_restart(data: Path) -> None:
    server = await EmbeddedPostgres.start(data, supervise=False)
    try:
        with pytest.raises(ServerStartFailed):
            await server.watch()
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(DatabaseUnavailable):
            await Database.connect(server.url, connect_within=0.5)
        await server.restart()
        async with Database.connect(server.url) as db:
            assert await db.fetchval("SELECT 1") == 1
    finally:
        await server.stop()


async def test_watch_ends_with_the_server_and_tells_when_it_is_beyond_help(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smartex_store.embedded._GIVE_UP_AFTER", 2)
    async with EmbeddedPostgres(data) as server:
        watching = asyncio.create_task(server.watch())
        await asyncio.sleep(0)
        await server.stop()
        await watching
    async with EmbeddedPostgres(data) as server:
        watching = asyncio.create_task(server.watch())
        (data / "postgres" / "global" / "pg_control").rename(data / "pg_control")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(ServerStartFailed):
            await watching
        (data / "pg_control").rename(data / "postgres" / "global" / "pg_control")
    async with EmbeddedPostgres(data) as server, Database.connect(server.url) as db:
        assert await db.fetchval("SELECT 1") == 1


async def test_a_commit_that_was_cut_off_says_so(data: Path) -> None:
    async with EmbeddedPostgres(data) as server, Database.connect(server.url, max_size=2) as db:
        # The commit itself takes its time: a deferred trigger sleeps in it.
        await db.execute(
            """
            CREATE TABLE t (x int);
            CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION slow()
            """
        )

        async def insert() -> None:
            async with db.transaction() as tx:
                await tx.execute("INSERT INTO t VALUES (1)")

        task = asyncio.create_task(insert())
        while not await db.fetch("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"):
            await asyncio.sleep(0.02)
        await server.restart()
        with pytest.raises(DatabaseUnavailable) as caught:
            await task
        assert caught.value.maybe_committed


@pytest.fixture
def as_nobody() -> tuple[str, ...]:
    """A command prefix that makes an ordinary user, who may read the tests wherever they lie."""
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("setpriv (util-linux) is needed to become an ordinary user")
    rights = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")
    return (setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", *rights, "--")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    folder.chmod(0o777)
    shutil.rmtree(folder)


async def test_an_ordinary_user(
    open_folder: Path, as_nobody: tuple[str, ...], program: Start, until: Until
) -> None:
    data = open_folder / "data"
    running = program(data, inserts=50, prefix=as_nobody).ready()
    assert psutil.Process(running.server_pid).uids().real == (65534 if as_nobody else os.geteuid())
    assert data.stat().st_uid == psutil.Process(running.server_pid).uids().real
    while running.line() != "49":
        pass
    running.kill()
    until(lambda: not psutil.pid_exists(running.server_pid), "the server is gone")
    again = program(data, prefix=as_nobody).ready()
    assert await rows(again.url) == list(range(50))
    again.kill()
    until(lambda: not psutil.pid_exists(again.server_pid), "the server is gone")
    # What an ordinary user made, root can open: the server runs as the folder's owner.
    async with EmbeddedPostgres(data) as server:
        assert psutil.Process(server.pid).uids().real == data.stat().st_uid


ATTEMPT = """
import asyncio, sys
from pathlib import Path
from smartex_store import EmbeddedPostgres, StoreError
try:
    asyncio.run(EmbeddedPostgres.start(Path(sys.argv[1])))
except StoreError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("made_before", [False, True])
def test_a_read_only_folder_is_refused(
    open_folder: Path, as_nobody: tuple[str, ...], made_before: bool
) -> None:
    data = open_folder / "data"
    if made_before:
        data.mkdir()
        (data / "VERSION").write_text("1\n")
        data.chmod(0o555)
    open_folder.chmod(0o555)
    command = [*as_nobody, sys.executable, "-c", ATTEMPT, str(data)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.startswith("DataFolderReadOnly "), done.stderr
    assert "writable" in done.stdout
    assert len(done.stdout.splitlines()) == 1
    if made_before:
        data.chmod(0o755)


async def test_failures_of_a_start_are_of_one_kind(data: Path) -> None:
    data.parent.joinpath("data").write_text("a file")
    with pytest.raises(DataFolderError):
        await EmbeddedPostgres.start(data)


async def test_retrying_spans_a_restart(data: Path) -> None:
    async with EmbeddedPostgres(data) as server, Database.connect(server.url, max_size=2) as db:
        await db.execute("CREATE TABLE t (x int PRIMARY KEY)")

        async def put(number: int) -> None:
            async with db.transaction() as tx:
                await tx.execute("INSERT INTO t VALUES ($1) ON CONFLICT DO NOTHING", number)

        async def writer() -> None:
            for number in range(300):
                await retrying(lambda number=number: put(number))  # type: ignore[misc]

        writing = asyncio.create_task(writer())
        for _ in range(3):
            await asyncio.sleep(0.05)
            victim = server.pid
            assert victim is not None
            os.kill(victim, signal.SIGKILL)
            while server.pid in (victim, None):
                await asyncio.sleep(0.01)
        await writing
        assert [row["count"] for row in await retrying(lambda: db.fetch("SELECT count(*) FROM t"))] == [300]
