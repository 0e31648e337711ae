"""What is checked before anything is started. Each failure is one line that says what to do."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smartex_bus import BusUnavailable, open_bus
from smartex_chassis import BindFailed, ChassisSettings, StartupError
from smartex_chassis.ports import refusal
from smartex_store import Database, DatabaseRefused, DatabaseUnavailable
from smartex_store.folder import DataFolder

from .settings import LauncherSettings

OLDEST_PYTHON = (3, 11)
_PLACE = "PLACE"
_REACH_SECONDS = 5.0
"""For which a database that does not answer is asked again: it may be starting, too."""


def check_python(version: tuple[int, ...] = tuple(sys.version_info[:2])) -> None:
    """Raise StartupError if this Python is too old."""
    if version < OLDEST_PYTHON:
        raise StartupError(
            f"Python {version[0]}.{version[1]} is too old: run `make up PYTHON=python3.11` or a newer one"
        )


def check_folder(data: Path) -> None:
    """Raise DataFolderError if the folder is another instance's, of a newer version or not writable."""
    folder = DataFolder(data)
    folder.claim()
    try:
        # The claim takes the lock, which an owner may hold in a folder that became read-only since.
        with folder.writing():
            probe = data / f".writable.{id(folder)}"
            probe.touch()
            probe.unlink()
    finally:
        folder.release()


def check_place(data: Path, place: str) -> None:
    """Raise StartupError if the market of this folder was begun with another database or bus than `place` says.

    Its history is in the one and its log in the other: half of them elsewhere would be another market.
    """
    file = data / _PLACE
    before = file.read_text("utf-8").strip() if file.exists() else place
    if before != place:
        raise StartupError(
            f"the market in {data} runs on {before}, not on {place}: start it as before, or choose another folder"
        )


@contextmanager
def placed(data: Path, place: str) -> Iterator[None]:
    """Write down what the market of this folder runs on while it is started there.

    Where a first start reaches none, no market was begun, and the next start may name another place.
    """
    file = data / _PLACE
    first = not file.exists()
    file.write_text(f"{place}\n", "utf-8")
    try:
        yield
    except (BusUnavailable, DatabaseRefused, DatabaseUnavailable):
        if first:
            file.unlink()
        raise


def check_ports(chassis: ChassisSettings, launcher: LauncherSettings) -> None:
    """Raise PortInUse or BindFailed if a port cannot be had, before minutes are spent on starting."""
    _check_port(chassis.host, chassis.port, "--port or SMARTEX_PORT")
    if chassis.metrics_port is not None:
        _check_port(chassis.host, chassis.metrics_port, "--metrics-port or SMARTEX_METRICS_PORT")
    if launcher.starts_standins:
        _check_port("127.0.0.1", launcher.standins_port, "--standins-port or SMARTEX_STANDINS_PORT")
    _check_port("127.0.0.1", launcher.callback_port, "--callback-port or SMARTEX_CALLBACK_PORT")


async def check_reach(launcher: LauncherSettings) -> None:
    """Raise StartupError or BusUnavailable if a database or bus of yours cannot be had, before kernels are compiled."""
    if launcher.database_url is not None:
        await _check_database(launcher.database_url.get_secret_value(), "SMARTEX_DATABASE_URL")
    if launcher.bus_url is None:
        return
    url = launcher.bus_url.get_secret_value()
    if url.startswith("kafka://"):
        await (await open_bus(url)).close()
    else:
        await _check_database(url, "--bus or SMARTEX_BUS_URL")


async def _check_database(url: str, remedy: str) -> None:
    try:
        async with Database.connect(url, name="smartex-up", connect_within=_REACH_SECONDS):
            pass
    except (DatabaseRefused, DatabaseUnavailable) as error:
        raise StartupError(f"{error.message} ({remedy})") from error


def free_port(host: str) -> int:
    """A port that is free now: services are told where they will be reached before they serve."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _check_port(host: str, port: int, remedy: str) -> None:
    if not port:
        return
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise BindFailed(f"{host}:{port}", str(error), "SMARTEX_HOST") from error
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            raise refusal(host, port, error, port_variable=remedy) from error
