"""Seeing off what an earlier server of the same folder left."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import psutil

from .errors import DataFolderLocked
from .folder import DataFolder, try_lock

SOCKET_PREFIX = "smartex-pg-"
_STRAY_GRACE = 0.5  # seconds for the sessions of a dead server to notice
_LEFTOVER_GRACE = 5.0  # seconds for a server that is already on its way out
_LEFTOVER_STOP = 30.0  # seconds after we told it to


def lock_server(folder: DataFolder, keep: Path | None) -> int:
    """Wait until no process of an earlier server of this folder is left, and take its lock: an open file.

    Every process of a server inherits the lock, so while it is held the pid in postmaster.pid is really ours
    to signal, and once it is free that file is stale, whatever process has the number now. A server that
    somebody started by hand does not hold the lock: it is left alone, and we refuse (DataFolderLocked).
    The old socket's folder is removed unless it is the one to `keep`.
    """
    fd = os.open(folder.server_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        free = _wait_for(fd, folder)
        pid = _postmaster(folder)
        if not free or (pid is not None and _works_in(pid, folder)):
            raise DataFolderLocked(folder.root, pid)
        _remove_stale(folder, keep)
    except BaseException:
        os.close(fd)
        raise
    return fd


def postmaster_file(folder: DataFolder) -> list[str]:
    """The lines of postmaster.pid (1 process, 4 port, 5 folder of the socket, 8 state); empty if none."""
    try:
        return (folder.pgdata / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _wait_for(fd: int, folder: DataFolder) -> bool:
    if try_lock(fd, _STRAY_GRACE):
        return True
    _end_strays(folder)
    if try_lock(fd, _LEFTOVER_GRACE):
        return True
    for signum in (signal.SIGINT, signal.SIGQUIT):  # fast, then immediate
        pid = _postmaster(folder)
        if pid is not None and _works_in(pid, folder):
            _signal(pid, signum)
        if try_lock(fd, _LEFTOVER_STOP):
            return True
    return False


def _end_strays(folder: DataFolder) -> None:
    """End the sessions that outlived their server: one that computes does not notice that it is gone."""
    pid = _postmaster(folder)
    if pid is not None and _works_in(pid, folder):
        return
    for stray in psutil.pids():
        if _works_in(stray, folder):
            _signal(stray, signal.SIGQUIT)


def _signal(pid: int, signum: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signum)


def _postmaster(folder: DataFolder) -> int | None:
    lines = postmaster_file(folder)
    return int(lines[0]) if lines and lines[0].isdigit() else None


def _works_in(pid: int, folder: DataFolder) -> bool:
    with suppress(psutil.Error, OSError):
        process = psutil.Process(pid)
        return process.name() == "postgres" and Path(process.cwd()) == folder.pgdata.resolve()
    return False


def _remove_stale(folder: DataFolder, keep: Path | None) -> None:
    lines = postmaster_file(folder)
    sockets = Path(lines[4]) if len(lines) >= 5 else None
    if sockets is not None and sockets != keep and sockets.name.startswith(SOCKET_PREFIX):
        shutil.rmtree(sockets, ignore_errors=True)
    (folder.pgdata / "postmaster.pid").unlink(missing_ok=True)
