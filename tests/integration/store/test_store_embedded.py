# ruff: noqa: ASYNC220, ASYNC221, ASYNC240 - a blocked loop hurts nobody here
import asyncio
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from smartex_store import (
    Database,
    DatabaseRefused,
    DataFolderLocked,
    DataFolderTooNew,
    DataFolderVersionMismatch,
    EmbeddedPostgres,
    PortInUse,
    ServerStartFailed,
    migrate,
    running_url,
)
from smartex_store.binaries import RunAs, choose_user, locate, wheel_folder

Servers = Callable[[], list[int]]
Until = Callable[..., None]


async def value(server: EmbeddedPostgres, query: str) -> object:
    connection = await asyncpg.connect(server.url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_start_stop_and_start_again_keeps_the_rows(data: Path, servers: Servers) -> None:
    async with EmbeddedPostgres(data) as server:
        assert server.version.startswith("18.")
        assert server.pid in servers()
        assert running_url(data) == server.url
        await value(server, "CREATE TABLE t AS SELECT 7 AS x")
    assert servers() == []
    assert running_url(data) is None
    server = await EmbeddedPostgres.start(data, supervise=False)
    try:
        assert await value(server, "SELECT x FROM t") == 7
    finally:
        await server.stop()
    await server.stop()  # harmless


async def test_it_is_durable_private_and_deaf_to_the_network(data: Path) -> None:
    async with EmbeddedPostgres(data, settings={"work_mem": "7MB"}) as server:
        for name, expected in {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "listen_addresses": "",
            "work_mem": "7MB",
            "server_encoding": "UTF8",
            "TimeZone": "UTC",
        }.items():
            assert await value(server, f"SHOW {name}") == expected
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.url, password="guess")
        runtime = Path(str(await value(server, "SHOW unix_socket_directories")))
        assert stat.S_IMODE(runtime.stat().st_mode) == 0o700
        assert stat.S_IMODE((data / "postgres.password").stat().st_mode) == 0o600
    assert not runtime.exists()


async def test_a_second_instance_is_refused_and_hurts_nothing(data: Path) -> None:
    async with EmbeddedPostgres(data) as server:
        with pytest.raises(DataFolderLocked) as caught:
            await EmbeddedPostgres.start(data)
        assert caught.value.pid == os.getpid()
        assert await value(server, "SELECT 1") == 1


async def test_a_newer_folder_is_refused(data: Path) -> None:
    async with EmbeddedPostgres(data):
        pass
    (data / "VERSION").write_text("999\n")
    with pytest.raises(DataFolderTooNew):
        await EmbeddedPostgres.start(data)


async def test_a_cluster_of_a_newer_postgres_is_refused(data: Path) -> None:
    (data / "postgres").mkdir(parents=True)
    (data / "postgres" / "PG_VERSION").write_text("99\n")
    with pytest.raises(DataFolderVersionMismatch, match="99"):
        await EmbeddedPostgres.start(data)
    (data / "postgres" / "PG_VERSION").unlink()


async def test_a_cut_first_start_leaves_no_half_cluster(data: Path) -> None:
    half = data / "postgres.init-cut"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    async with EmbeddedPostgres(data) as server:
        assert await value(server, "SELECT 1") == 1
    assert not half.exists()


async def test_a_wrong_setting_fails_with_the_servers_own_words(data: Path) -> None:
    with pytest.raises(ServerStartFailed, match="shared_buffers") as caught:
        await EmbeddedPostgres.start(data, settings={"shared_buffers": "many"})
    assert "shared_buffers" in caught.value.log
    async with EmbeddedPostgres(data) as server:  # and nothing is stuck
        assert await value(server, "SELECT 1") == 1


async def test_a_lost_password_file_is_named(data: Path) -> None:
    async with EmbeddedPostgres(data):
        pass
    (data / "postgres.password").unlink()
    with pytest.raises(ServerStartFailed, match=r"postgres\.password"):
        await EmbeddedPostgres.start(data)


async def test_tcp_on_request(data: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse) as caught:
            await EmbeddedPostgres.start(data, port=port)
        assert caught.value.port == port
    async with EmbeddedPostgres(data, port=port) as server:
        assert await value(server, "SELECT 1") == 1
        password = (data / "postgres.password").read_text()
        connection = await asyncpg.connect(
            host="127.0.0.1", port=port, user="smartex", password=password, database="smartex"
        )
        assert await connection.fetchval("SELECT inet_server_addr()::text") == "127.0.0.1/32"
        await connection.close()


async def test_a_long_path(tmp_path: Path, until: Until) -> None:
    folder = tmp_path / ("long-" * 30) / ("é 'quoted' " * 8)
    async with EmbeddedPostgres(folder) as server:
        assert await value(server, "SELECT 1") == 1


@pytest.mark.parametrize("delay", [0.01, 0.1, 0.25])
async def test_a_broken_off_start_leaves_nothing(data: Path, servers: Servers, delay: float) -> None:
    start = asyncio.create_task(EmbeddedPostgres.start(data))
    await asyncio.sleep(delay)
    start.cancel()
    (outcome,) = await asyncio.gather(start, return_exceptions=True)
    if isinstance(outcome, EmbeddedPostgres):  # a fast machine
        await outcome.stop()
    else:
        assert isinstance(outcome, asyncio.CancelledError)
    assert servers() == []
    async with EmbeddedPostgres(data) as server:
        assert await value(server, "SELECT 1") == 1


async def test_a_stale_pid_file_of_a_reused_pid_is_no_obstacle(data: Path) -> None:
    async with EmbeddedPostgres(data):
        pass
    stale = f"{os.getppid()}\n{data}/postgres\n1\n5432\n/tmp\n\n0 0\nready\n"
    (data / "postgres" / "postmaster.pid").write_text(stale)
    async with EmbeddedPostgres(data) as server:
        assert await value(server, "SELECT 1") == 1


async def test_a_server_started_by_hand_is_respected(data: Path) -> None:
    async with EmbeddedPostgres(data):
        pass
    run_as = choose_user(data / "postgres")
    binaries = locate(18, run_as)
    cwd = data / "postgres"
    command = [binaries.program("postgres"), "-D", "/proc/self/cwd", "-c", "unix_socket_directories="]
    command += ["-c", "listen_addresses=127.0.0.1", "-c", "port=0"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        command[-1] = f"port={probe.getsockname()[1]}"
    who: dict[str, Any] = (
        {"user": run_as.uid, "group": run_as.gid, "extra_groups": []} if run_as.switches else {}
    )
    by_hand = subprocess.Popen(command, cwd=cwd, stderr=subprocess.DEVNULL, **who)
    try:
        while not (cwd / "postmaster.pid").exists():
            await asyncio.sleep(0.02)
        with pytest.raises(DataFolderLocked) as caught:
            await EmbeddedPostgres.start(data)
        assert caught.value.pid == by_hand.pid
        assert by_hand.poll() is None
    finally:
        by_hand.send_signal(signal.SIGINT)
        by_hand.wait()


async def test_programs_in_a_closed_folder_are_copied_out(until: Until) -> None:
    """A project under /root: the server's user can neither reach the wheel nor walk to the data."""
    if os.geteuid() != 0:
        pytest.skip("only root hands the server over to another user")
    wheel = wheel_folder()
    scratch = Path(tempfile.mkdtemp())
    try:
        scratch.chmod(0o755)
        closed = scratch / "closed"
        closed.mkdir(mode=0o700)
        for part in ("bin", "lib", "share"):
            shutil.copytree(wheel / "pginstall18" / part, closed / wheel.name / "pginstall18" / part)
        shutil.copytree(wheel.with_name(f"{wheel.name}.libs"), closed / f"{wheel.name}.libs")
        run_as = choose_user(closed / "nothing")
        found = locate(18, run_as, wheel=closed / wheel.name, reachable=scratch / "open")
        assert (scratch / "open") in found.bin.parents
        done = subprocess.run(
            [found.program("initdb"), "--version"],
            user=run_as.uid,
            group=run_as.gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            text=True,
        )
        assert done.stdout.startswith("initdb (PostgreSQL) 18"), done.stderr
        assert locate(18, run_as, wheel=closed / wheel.name, reachable=scratch / "open") == found
    finally:
        shutil.rmtree(scratch)


COUNT_FORKS = """
import ctypes, os, subprocess, sys
from pathlib import Path
from smartex_store.binaries import choose_user, locate
forks = []
handler = ctypes.CFUNCTYPE(None)(lambda: forks.append(1))
getattr(ctypes.CDLL(None), "__register_atfork")(handler, None, None, None)
locate(18, choose_user(Path(sys.argv[1])))
print(len(forks))
subprocess.run(["/bin/true"], user=os.geteuid())
print(len(forks))
"""


def test_looking_for_the_programs_does_not_copy_this_process(tmp_path: Path) -> None:
    """A copy runs the fork handlers of every library; gRPC's once crashed it, and with it the start."""
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("only root hands the server over to another user")
    done = subprocess.run(
        [sys.executable, "-c", COUNT_FORKS, str(tmp_path / "nothing")], capture_output=True, text=True
    )
    assert done.stdout.split() == ["0", "1"], done.stderr


def test_an_ordinary_user_is_not_switched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert choose_user(tmp_path) == RunAs()


async def test_the_command_line(data: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "smartex_store", "--data", str(data)]
    refused = subprocess.run([*command, "psql-url"], capture_output=True, text=True)
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    running = subprocess.Popen([*command, "run"], stdout=subprocess.DEVNULL)
    try:
        while (url := running_url(data)) is None:
            assert running.poll() is None
            await asyncio.sleep(0.02)
        (tmp_path / "m").mkdir()
        (tmp_path / "m" / "0001_first.sql").write_text("CREATE TABLE shelf AS SELECT 5 AS x")
        told = subprocess.run([*command, "psql-url"], capture_output=True, text=True, check=True)
        assert told.stdout.strip() == url
        while True:
            try:
                await migrate(url, "shop", tmp_path / "m")
                break
            except DatabaseRefused:  # the program makes its database just after the start
                await asyncio.sleep(0.05)
        asked = subprocess.run(
            [*command, "psql", "--", "-Atc", "SELECT x FROM shop.shelf"], capture_output=True, text=True
        )
        assert asked.stdout == "5\n", asked.stderr
    finally:
        running.send_signal(signal.SIGTERM)
        assert running.wait() == 0


def ps_text() -> str:
    return "\n".join(" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"]))


async def test_the_password_is_in_no_process_list(data: Path) -> None:
    async with EmbeddedPostgres(data) as server, Database.connect(server.url) as db:
        assert (data / "postgres.password").read_text().strip() not in ps_text()
        assert "postgresql://" not in repr(db)
