"""The participants' process: kept up, and gone with its owner."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
from processes import ended
from smartex_launcher.child import Child, agents_command
from structlog.testing import capture_logs
from waiting import until

OBEDIENT = "import sys; print('up', flush=True); sys.stdin.read()"
STUBBORN = "import time; print('up', flush=True); time.sleep(600)"
SHORT = "print('up', flush=True)"

OWNER = """
import asyncio, sys
from pathlib import Path
from smartex_launcher.child import Child

async def main():
    child = Child([sys.executable, "-c", "import sys; sys.stdin.read()"], Path(sys.argv[1]))
    await child.start()
    print(child.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def child(code: str, log: Path, **options: Any) -> Child:
    return Child([sys.executable, "-c", code], log, **options)


async def test_it_ends_when_its_input_ends(tmp_path: Path) -> None:
    kept = child(OBEDIENT, tmp_path / "log")
    await kept.start()
    pid = kept.pid
    await until(lambda: (tmp_path / "log").read_text() == "up\n")
    await kept.stop()
    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert kept.starts == 1


async def test_it_is_started_again_when_it_ends(tmp_path: Path) -> None:
    kept = child(SHORT, tmp_path / "log", first_pause=0.01)
    await kept.start()
    await until(lambda: kept.starts >= 3)
    await kept.stop()
    assert (tmp_path / "log").read_text().startswith("up\nup\n")


async def test_it_is_started_again_once_its_log_can_be_opened(tmp_path: Path) -> None:
    logs, away = tmp_path / "logs", tmp_path / "away"
    logs.mkdir()
    kept = child(SHORT, logs / "log", first_pause=0.01)
    with capture_logs() as told:
        await kept.start()
        logs.rename(away)
        await until(lambda: any(each["event"] == "child not started" for each in told))
        away.rename(logs)
        starts = kept.starts
        await until(lambda: kept.starts > starts)
    await kept.stop()


async def test_it_is_started_again_when_it_is_killed(tmp_path: Path) -> None:
    kept = child(OBEDIENT, tmp_path / "log", first_pause=0.01)
    await kept.start()
    first = kept.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: kept.starts == 2)
    assert kept.pid not in (None, first)
    await kept.stop()


async def test_what_does_not_leave_is_ended_by_force(tmp_path: Path) -> None:
    kept = child(STUBBORN, tmp_path / "log", stop_within=0.2)
    await kept.start()
    pid = kept.pid
    await kept.stop()
    assert pid is not None
    assert not psutil.pid_exists(pid)


async def test_ctrl_c_on_the_terminal_does_not_reach_it(tmp_path: Path) -> None:
    kept = child(OBEDIENT, tmp_path / "log")
    await kept.start()
    assert kept.pid is not None
    assert os.getpgid(kept.pid) != os.getpgid(0)
    await kept.stop()


async def test_it_does_not_outlive_an_owner_that_is_killed(tmp_path: Path) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(tmp_path / "log"), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    child = psutil.Process(int(await owner.stdout.readline()))
    owner.kill()
    await owner.wait()
    await until(lambda: ended(child))


def test_the_command_runs_the_participants(tmp_path: Path) -> None:
    command = agents_command(tmp_path, 12.5, 7)
    assert command[1:3] == ["-m", "smartex_agents"]
    assert command[3:] == ["--profiles", str(tmp_path), "--rate", "12.5", "--seed", "7", "--with-parent"]
