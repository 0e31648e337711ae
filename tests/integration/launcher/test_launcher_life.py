"""`make up` as a person meets it: start, trade with what it printed, kill it, start again, Ctrl-C."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

Launch = Callable[..., Any]
NoneLeft = Callable[[list[psutil.Process]], None]


def said(exchange: Any, words: str) -> Any:
    """What the CLI answers in JSON."""
    done = exchange.cli(f".venv/bin/smartex --json {words}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(600)
def test_an_exchange_lives_through_kill_and_ctrl_c(
    tmp_path: Path, launch: Launch, none_left: NoneLeft
) -> None:
    data = tmp_path / "data"
    exchange = launch(data).until_said("ready after")
    for command in exchange.commands():
        done = exchange.cli(command)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    assert len(exchange.commands()) == 4  # and where SMARTEX_HOME is
    for path in (data / "profiles").glob("**/*.token"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    # Far from the market, so that it rests whatever the participants do.
    placed = said(exchange, "--as bob order buy 609018.SH 300 --price 11.60")
    amended = said(exchange, f"--as bob order amend {placed['order_id']} --quantity 200")
    assert amended["open_quantity"] == "200"
    before = said(exchange, "--as bob account show")
    family = exchange.family()
    assert any("postgres" in process.name() for process in family)
    exchange.kill()
    none_left(family)

    again = launch(data).until_said("ready after")
    assert said(again, "--as bob account show")["cash"] == before["cash"]
    order = said(again, f"--as bob order show {placed['order_id']}")["order"]
    assert (order["status"], order["open_quantity"]) == ("open", "200")
    said(again, f"--as bob order cancel {placed['order_id']}")

    postmaster = int((data / "postgres" / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    placed = said(again, "--as bob order buy 609018.SH 100 --price 11.60")
    assert placed["status"] == "open"

    family = again.family()
    assert again.interrupt() == 0
    assert again.said[-1] == "stopped"
    assert again.complained == []
    none_left(family)


@pytest.mark.timeout(600)
def test_an_empty_market_with_json_logs(tmp_path: Path, launch: Launch) -> None:
    exchange = launch(tmp_path / "data", "--no-demo", "--json-logs", "--exit-after-ready")
    assert exchange.process.wait(240) == 0
    assert exchange.interrupt() == 0
    assert exchange.said == []
    events = [json.loads(line)["event"] for line in exchange.complained]
    assert "ready" in events
    assert events[-1] == "stopped"


@pytest.mark.timeout(600)
def test_a_market_alone_has_its_demo_without_people(
    tmp_path: Path, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMARTEX_SERVICES", "matching")
    exchange = launch(tmp_path / "data").until_said("ready after")
    assert not any("people" in line for line in exchange.said)
    for command in exchange.commands():
        done = exchange.cli(command)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    assert exchange.interrupt() == 0
    assert (tmp_path / "data" / "PLACE").read_text() == "the embedded PostgreSQL\n"


@pytest.mark.timeout(600)
def test_a_second_instance_is_refused_while_the_first_trades_on(tmp_path: Path, launch: Launch) -> None:
    first = launch(tmp_path / "data", "--no-demo").until_said("ready after")
    second = launch(tmp_path / "data", "--no-demo")
    assert second.process.wait(120) == 2
    second.interrupt()
    assert len(second.complained) == 1
    assert f"in use by process {first.process.pid}: stop it, or choose another folder" in second.complained[0]
    assert said(first, "--as operator venue status")["instruments"] == 0
    assert first.interrupt() == 0


@pytest.mark.timeout(600)
def test_ctrl_c_while_starting_leaves_nothing_behind(
    tmp_path: Path, launch: Launch, none_left: NoneLeft
) -> None:
    exchange = launch(tmp_path / "data").until_said("PostgreSQL")
    family = exchange.family()
    assert exchange.interrupt() == 130
    assert exchange.said[-1] == "stopped"
    none_left(family)


DOOMED = """
import asyncio, sys
from smartex_chassis import ServiceModule
from smartex_launcher import services
from smartex_launcher.main import main

async def run():
    await asyncio.sleep(0.2)
    raise RuntimeError("the log cannot be trusted any more")

def build(context):
    return ServiceModule("doomed", lambda server: None, {}, run=run)

services.find = lambda: [services.Found("doomed", build)]
ports = [f"--{name}port=0" for name in ("", "metrics-", "standins-", "callback-")]
sys.exit(main(["--data", sys.argv[1], *ports, "--no-demo"]))
"""


@pytest.mark.timeout(600)
def test_a_service_that_fails_for_good_ends_everything_with_its_reason(tmp_path: Path) -> None:
    data = tmp_path / "data"
    done = subprocess.run([sys.executable, "-c", DOOMED, str(data)], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "the exchange stopped: doomed failed: the log cannot be trusted any more; "
        f"see {data}/logs/smartex.log"
    ]
    assert "RuntimeError" in (data / "logs" / "smartex.log").read_text()


@pytest.mark.timeout(600)
def test_a_local_kafka_that_dies_is_started_again(
    tmp_path: Path, launch: Launch, none_left: NoneLeft
) -> None:
    exchange = launch(tmp_path / "data", "--kafka").until_said("ready after")
    family = exchange.family()
    broker = next(process for process in family if process.name() == "java")
    broker.kill()
    placed = said(exchange, "--as bob order buy 609018.SH 100 --price 11.60")
    assert placed["open_quantity"] == "100"
    family = exchange.family()
    assert exchange.interrupt() == 0
    none_left(family)
