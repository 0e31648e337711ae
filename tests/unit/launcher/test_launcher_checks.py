"""What keeps the exchange from starting: one line that says what to do, exit code 2, no traceback."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import isolated
import pytest
from smartex_bus import BusUnavailable
from smartex_chassis import StartupError
from smartex_launcher import checks, services
from smartex_launcher.checks import check_folder, check_place, check_python, placed
from smartex_launcher.main import main
from smartex_store.folder import FORMAT_VERSION, DataFolder

AS_NOBODY = """
import os, sys
from pathlib import Path
from smartex_launcher.checks import check_folder
from smartex_store import StoreError
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    check_folder(Path(sys.argv[1]))
except StoreError as error:
    print(error.message)
"""


FREE = ("--standins-port", "0", "--callback-port", "0")


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen(1)
        yield holder.getsockname()[1]


def refusal(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    assert main([str(word) for word in words]) == 2
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == 1
    return lines[0]


def test_a_grpc_port_in_use(tmp_path: Path, taken: int, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, "--data", tmp_path, "--port", str(taken), "--metrics-port", "0", *FREE)
    assert said == f"port {taken} is taken: stop the other program or set --port or SMARTEX_PORT"


def test_a_metrics_port_in_use(tmp_path: Path, taken: int, capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, "--data", tmp_path, "--port", "0", "--metrics-port", str(taken))
    assert "--metrics-port" in said


@pytest.mark.parametrize(
    ("option", "other"), [("--standins-port", "--callback-port"), ("--callback-port", "--standins-port")]
)
def test_a_port_of_the_push_providers_in_use(
    option: str, other: str, tmp_path: Path, taken: int, capsys: pytest.CaptureFixture[str]
) -> None:
    ports = ("--port", "0", "--metrics-port", "0", option, str(taken), other, "0")
    assert option in refusal(capsys, "--data", tmp_path, *ports)


def test_a_folder_of_a_newer_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "VERSION").write_text(f"{FORMAT_VERSION + 1}\n")
    said = refusal(capsys, "--data", tmp_path, "--port", "0", "--metrics-port", "0", *FREE)
    assert "install the newer program, or choose another folder" in said


def test_a_second_instance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = DataFolder(tmp_path)
    first.claim()
    try:
        said = refusal(capsys, "--data", tmp_path, "--port", "0", "--metrics-port", "0", *FREE)
    finally:
        first.release()
    assert f"in use by process {os.getpid()}: stop it, or choose another folder" in said


def test_a_file_in_place_of_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").touch()
    said = refusal(capsys, "--data", tmp_path / "data", "--port", "0", "--metrics-port", "0", *FREE)
    assert "it is not a folder" in said


def test_a_read_only_folder(tmp_path: Path) -> None:
    """Checked as an ordinary user, since root may write anywhere."""
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(0o755)
    data = tmp_path / "data"
    data.mkdir(0o555)
    done = subprocess.run([sys.executable, "-c", AS_NOBODY, str(data)], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"data folder {data} cannot be written (Permission denied): "
        "make it writable for this user, or choose another folder"
    ]


def test_a_market_that_was_begun_elsewhere(
    tmp_path: Path, taken: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with placed(tmp_path, "the embedded PostgreSQL"):
        pass
    words = ("--data", tmp_path, "--port", str(taken), "--metrics-port", "0", *FREE)
    assert refusal(capsys, *words, "--kafka") == (
        f"the market in {tmp_path} runs on the embedded PostgreSQL, not on the embedded PostgreSQL with the "
        "local Kafka: start it as before, or choose another folder"
    )
    assert "is taken" in refusal(capsys, *words)


def test_a_market_that_was_never_begun_may_begin_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(BusUnavailable), placed(tmp_path, "the embedded PostgreSQL with a Kafka of yours"):
        raise BusUnavailable("away")
    check_place(tmp_path, "the embedded PostgreSQL")
    with placed(tmp_path, "the embedded PostgreSQL"):
        pass
    with pytest.raises(BusUnavailable), placed(tmp_path, "the embedded PostgreSQL"):
        raise BusUnavailable("away")
    with pytest.raises(StartupError, match="start it as before"):
        check_place(tmp_path, "the embedded PostgreSQL with a Kafka of yours")


def test_an_address_that_is_not_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMARTEX_HOST", "192.0.2.1")
    said = refusal(capsys, "--data", tmp_path, "--port", "17999", "--metrics-port", "0", *FREE)
    assert said == "cannot listen on 192.0.2.1:17999: Cannot assign requested address; set SMARTEX_HOST"


def test_a_folder_that_cannot_be_made(capsys: pytest.CaptureFixture[str]) -> None:
    said = refusal(capsys, "--data", "/proc/smartex", "--port", "0", "--metrics-port", "0", *FREE)
    assert said.startswith("data folder /proc/smartex cannot be written (")


def test_no_folder_is_not_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    said = "SMARTEX_DATA=: names no folder: leave it out for ./data"
    assert refusal(capsys, "--data", "", "--check") == said
    monkeypatch.setenv("SMARTEX_DATA", "")
    assert refusal(capsys, "--check") == said
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_has_enough_is_no_failure() -> None:
    pytest.importorskip("matching", reason="where no service is installed, there are no settings to print")
    reading, writing = os.pipe()
    os.close(reading)
    words = "from smartex_launcher.main import main; raise SystemExit(main(['--print-settings']))"
    done = subprocess.run([sys.executable, "-c", words], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three services, whatever is installed here."""
    names = ("matching", "notifications", "positions")
    points = [EntryPoint(name, "smartex_launcher.services:one_line", services.GROUP) for name in names]
    monkeypatch.setattr(services, "entry_points", lambda group: points)


@pytest.mark.usefixtures("installed")
def test_a_check_or_a_failed_start_leaves_the_bus_open(
    tmp_path: Path, taken: int, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(tmp_path), "--metrics-port", "0", *FREE]
    assert main([*words, "--port", "0", "--kafka", "--check"]) == 0
    capsys.readouterr()
    assert "is taken" in refusal(capsys, *words, "--port", str(taken), "--kafka")
    assert main([*words, "--port", "0", "--check"]) == 0


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("variable", "url", "says"),
    [
        ("SMARTEX_DATABASE_URL", "postgresql://smartex:geheim@127.0.0.1:{port}/x", "cannot be reached"),
        ("SMARTEX_DATABASE_URL", "postgresql://smartex:geheim@127.0.0.1:port/x", "cannot be read"),
        ("SMARTEX_BUS_URL", "kafka://127.0.0.1:{port}", "the bus cannot be reached"),
        ("SMARTEX_BUS_URL", "postgresql://smartex:geheim@127.0.0.1:port/x", "cannot be read"),
    ],
)
def test_a_database_or_bus_that_is_not_there_is_told_before_anything_starts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    url: str,
    says: str,
) -> None:
    monkeypatch.setattr(checks, "_REACH_SECONDS", 0.1)
    monkeypatch.setattr(services, "find", lambda: pytest.fail("services were loaded before"))
    monkeypatch.setenv(variable, url.format(port=isolated.free_port()))
    ports = [f"--{name}port=0" for name in ("", "metrics-", "standins-", "callback-")]
    assert main(["--data", str(tmp_path), *ports]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert says in lines[0]
    assert variable in lines[0]
    assert "geheim" not in lines[0]
    assert not (tmp_path / "PLACE").exists()
    assert not (tmp_path / "postgres").exists()


@pytest.mark.usefixtures("installed")
def test_an_unknown_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMARTEX_SERVICES", "matchin,positions")
    assert refusal(capsys, "--data", tmp_path, "--check") == (
        "SMARTEX_SERVICES: there is no service matchin; there are matching, notifications, positions"
    )


def test_a_good_folder_is_free_again_afterwards(tmp_path: Path) -> None:
    check_folder(tmp_path / "data")
    check_folder(tmp_path / "data")
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["LOCK", "VERSION"]


def test_an_old_python() -> None:
    with pytest.raises(StartupError, match=r"Python 3.10 is too old: run `make up PYTHON="):
        check_python((3, 10))
    check_python((3, 12))
