"""The life of one PostgreSQL cluster: made, started, stopped. Blocking; `embedded` wraps it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil

from . import binaries, watchdog
from .errors import DataFolderLocked, DataFolderVersionMismatch, PortInUse, ServerStartFailed
from .folder import DataFolder, sync_folder, try_lock

SUPERUSER = "smartex"
DATABASE = "smartex"
_SOCKET_PORT = 5432  # only part of the socket's name
_STRAY_GRACE = 0.5  # seconds for the sessions of a dead server to notice
_LEFTOVER_GRACE = 5.0  # seconds for a server that is already on its way out
_LEFTOVER_STOP = 30.0  # seconds after we told it to
_LOG_TAIL = 5  # lines

#: What a small machine needs: durable, no stalls by checkpoints, few processes.
DEFAULTS: Mapping[str, str] = {
    "shared_buffers": "128MB",
    "max_connections": "60",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "replica",
    "wal_buffers": "16MB",
    "wal_compression": "off",
    "min_wal_size": "256MB",
    "max_wal_size": "2GB",
    "max_wal_senders": "0",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "commit_delay": "0",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgres-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_file_mode": "0600",
    "log_line_prefix": "%m [%p] %q%a ",
    "log_checkpoints": "off",
}
_SINCE_18: Mapping[str, str] = {"io_method": "sync"}  # no extra worker processes


@dataclass(frozen=True)
class _Spec:
    """What the watchdog is told; see `watchdog`."""

    argv: list[str]
    log: Path
    cwd: Path
    signal: signal.Signals
    cleanup: Path | None = None


class Cluster:
    """One cluster. Not safe to call from two threads at once."""

    def __init__(self, folder: DataFolder, settings: Mapping[str, str], port: int | None) -> None:
        self.folder = folder
        self.port = port
        self._settings = settings
        self._run_as = binaries.choose_user(folder.pgdata)
        self._binaries = binaries.locate(self._major(), self._run_as)
        self._runtime: Path | None = None
        self.guardian: subprocess.Popen[bytes] | None = None
        self.pid: int | None = None

    @property
    def version(self) -> str:
        """The version of PostgreSQL, such as "18.4"."""
        return self._binaries.version

    @property
    def url(self) -> str:
        """The DSN, with the password, over the Unix socket."""
        if self._runtime is None:
            raise ServerStartFailed("the embedded server was not started: call start() first")
        return socket_url(self.folder, self._runtime, self.port or _SOCKET_PORT)

    def start(self, timeout: float) -> None:
        """Bring the server up, after seeing off any leftover of this folder; makes the cluster at first."""
        deadline = time.monotonic() + timeout
        if self.port is not None:
            _check_port(self.port)
        with self.folder.writing():
            lock = self._lock_server()
            try:
                self._make_runtime()
                if not self.folder.pgdata.exists():
                    self._initdb(lock, deadline)
                self._configure()
                self.guardian = self._launch(self._server_spec(), lock)
            finally:
                os.close(lock)  # the guardian and the server hold it on
        try:
            self._wait_ready(deadline)
        except BaseException:
            self.stop(immediate=True)
            raise

    def stop(self, *, immediate: bool = False) -> None:
        """Stop the server: sessions are ended, everything is written. Harmless if it is down."""
        guardian = self.guardian
        if guardian is not None:
            assert guardian.stdin is not None
            with suppress(BrokenPipeError):
                os.write(guardian.stdin.fileno(), b"i" if immediate else b"f")
            guardian.wait()
            guardian.stdin.close()
        self.guardian = None
        self.pid = None

    def remove_runtime(self) -> None:
        """Drop the socket's folder; the next start makes another one, so the URL changes."""
        if self._runtime is not None:
            shutil.rmtree(self._runtime, ignore_errors=True)
            self._runtime = None

    def log_tail(self) -> str:
        """The last lines that the server wrote, on one line."""
        logs = sorted(self.folder.pgdata.glob("log/*.log"), key=lambda path: path.stat().st_mtime)
        lines: list[str] = []
        for path in [self.folder.start_log, *logs[-1:]]:
            with suppress(OSError):
                lines += path.read_text(errors="replace").splitlines()[-_LOG_TAIL:]
        return " | ".join(
            line.strip() for line in lines if "redirecting log" not in line and "HINT:" not in line
        )

    def _major(self) -> int:
        found = self.folder.major()
        if found is not None and found > binaries.NEWEST_MAJOR:
            raise DataFolderVersionMismatch(
                self.folder.root,
                f"data folder {self.folder.root} was made by PostgreSQL {found} and this program brings "
                f"{binaries.NEWEST_MAJOR}: install the newer program, or choose another folder",
            )
        return found or binaries.NEWEST_MAJOR

    def _lock_server(self) -> int:
        """Wait until no process of an earlier server of this folder is left, and take its lock.

        Every process of a server inherits the lock, so while it is held the pid in postmaster.pid is really
        ours to signal, and once it is free that file is stale, whatever process has the number now.
        """
        fd = os.open(self.folder.server_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        free = try_lock(fd, _STRAY_GRACE)
        if not free:
            self._end_strays()
            free = try_lock(fd, _LEFTOVER_GRACE)
        for signum in (signal.SIGINT, signal.SIGQUIT):
            if free:
                break
            self._signal_leftover(signum)
            free = try_lock(fd, _LEFTOVER_STOP)
        pid = self._postmaster_pid()
        if not free or (pid is not None and self._is_server_here(pid)):
            os.close(fd)
            raise DataFolderLocked(self.folder.root, pid)
        if pid is not None:
            (self.folder.pgdata / "postmaster.pid").unlink(missing_ok=True)
        return fd

    def _signal_leftover(self, signum: signal.Signals) -> None:
        pid = self._postmaster_pid()
        if pid is not None and self._is_server_here(pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signum)

    def _end_strays(self) -> None:
        """End the sessions that outlived their server: one that computes does not notice that it is gone."""
        pid = self._postmaster_pid()
        if pid is not None and self._is_server_here(pid):
            return
        for stray in psutil.pids():
            if self._is_server_here(stray):
                with suppress(ProcessLookupError):
                    os.kill(stray, signal.SIGQUIT)

    def _postmaster_pid(self) -> int | None:
        lines = self._postmaster_file()
        return int(lines[0]) if lines and lines[0].lstrip("-").isdigit() else None

    def _postmaster_file(self) -> list[str]:
        try:
            return (self.folder.pgdata / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _is_server_here(self, pid: int) -> bool:
        with suppress(psutil.Error, OSError):
            process = psutil.Process(pid)
            return process.name() == "postgres" and Path(process.cwd()) == self.folder.pgdata.resolve()
        return False

    def _make_runtime(self) -> None:
        """A short private folder for the socket: its path may have no more than 107 bytes."""
        if self._runtime is not None and self._runtime.exists():
            return
        self._runtime = Path(tempfile.mkdtemp(prefix="smartex-pg-", dir=_short_temp()))
        self._give(self._runtime)

    def _give(self, path: Path) -> None:
        if self._run_as.switches:
            os.chown(path, self._run_as.uid or -1, self._run_as.gid or -1)

    def _initdb(self, lock: int, deadline: float) -> None:
        """Make the cluster beside its place and move it there whole, so that a cut start leaves no half."""
        for stale in self.folder.root.glob("postgres.init-*"):
            shutil.rmtree(stale, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix="postgres.init-", dir=self.folder.root))
        assert self._runtime is not None
        pwfile = self._runtime / "password"
        pwfile.touch(mode=0o600)
        pwfile.write_text(self.folder.password() + "\n")
        self._give(scratch)
        self._give(pwfile)
        try:
            self._run(self._initdb_spec(scratch, pwfile), lock, deadline)
            self._run(self._sync_spec(scratch), lock, deadline)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        finally:
            pwfile.unlink()
        os.rename(scratch, self.folder.pgdata)
        sync_folder(self.folder.root)

    def _initdb_spec(self, pgdata: Path, pwfile: Path) -> _Spec:
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        argv = [self._binaries.program("initdb"), "-D", self._here(pgdata), "-U", SUPERUSER, "-E", "UTF8"]
        argv += ["--auth=scram-sha-256", f"--pwfile={pwfile}", "--no-sync", "--no-instructions", *locale]
        return _Spec(argv, self.folder.start_log, pgdata, signal.SIGTERM, self._runtime)

    def _sync_spec(self, pgdata: Path) -> _Spec:
        argv = [self._binaries.program("initdb"), "--sync-only", "-D", self._here(pgdata)]
        return _Spec(argv, self.folder.start_log, pgdata, signal.SIGTERM, self._runtime)

    def _server_spec(self) -> _Spec:
        pgdata = self.folder.pgdata
        argv = [self._binaries.program("postgres"), "-D", self._here(pgdata)]
        return _Spec(argv, self.folder.start_log, pgdata, signal.SIGINT, self._runtime)

    def _here(self, folder: Path) -> str:
        """The name of `folder` for a program that is started in it.

        A parent folder may be closed to the server's user (a project under /root): the path cannot be walked
        then, but the working folder, entered before the user changes, can be, by this link of the kernel.
        """
        link = "/proc/self/cwd"
        return link if self._run_as.switches and os.path.exists(link) else str(folder)

    def _configure(self) -> None:
        """Write postgresql.conf anew: the program owns it; people's settings come in through `settings`."""
        own = {
            "unix_socket_directories": str(self._runtime),
            "unix_socket_permissions": "0700",
            "listen_addresses": "127.0.0.1" if self.port is not None else "",
            "port": str(self.port or _SOCKET_PORT),
        }
        newer = _SINCE_18 if self._binaries.major >= 18 else {}
        merged = {**DEFAULTS, **newer, **self._settings, **own}
        lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in merged.items()]
        conf = self.folder.pgdata / "postgresql.conf"
        scratch = conf.with_suffix(".new")
        scratch.write_text("# written at every start\n" + "\n".join(lines) + "\n")
        scratch.chmod(0o600)
        self._give(scratch)
        os.replace(scratch, conf)

    def _launch(self, spec: _Spec, lock: int) -> subprocess.Popen[bytes]:
        spec.log.write_bytes(b"")
        spec.log.chmod(0o600)
        order = {
            "argv": spec.argv,
            "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            "cwd": str(spec.cwd),
            "log": str(spec.log),
            "signal": int(spec.signal),
            "uid": self._run_as.uid,
            "gid": self._run_as.gid,
            "lock_fd": lock,
            "cleanup": str(spec.cleanup) if spec.cleanup else None,
        }
        return subprocess.Popen(
            [sys.executable, "-I", "-S", watchdog.__file__, json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(lock,),
            start_new_session=True,
            cwd="/",
        )

    def _run(self, spec: _Spec, lock: int, deadline: float) -> None:
        process = self._launch(spec, lock)
        try:
            status = process.wait(max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise ServerStartFailed("initdb took too long: is the disk slow or full?") from error
        finally:
            assert process.stdin is not None
            process.stdin.close()  # ends it if it still runs
            process.wait()
        if status != 0:
            raise self._start_error(f"initdb failed with status {status}")

    def _wait_ready(self, deadline: float) -> None:
        assert self.guardian is not None
        while time.monotonic() < deadline:
            if (status := self.guardian.poll()) is not None:
                raise self._start_error(f"PostgreSQL ended with status {status} while starting")
            lines = self._postmaster_file()
            if len(lines) >= 8 and lines[7].strip() == "ready":
                self.pid = int(lines[0])
                return
            time.sleep(0.01)
        raise self._start_error("PostgreSQL was not ready in time: start again with a longer start_timeout")

    def _start_error(self, message: str) -> ServerStartFailed | PortInUse:
        tail = self.log_tail()
        if self.port is not None and "could not create any TCP/IP sockets" in tail:
            return PortInUse(self.port)
        return ServerStartFailed(f"{message}: see {self.folder.pgdata / 'log'}", tail)


def socket_url(folder: DataFolder, socket_dir: Path, port: int) -> str:
    """The DSN of the server of that folder which listens in `socket_dir`."""
    secret = quote(folder.password(), safe="")
    return (
        f"postgresql://{SUPERUSER}:{secret}@/{DATABASE}?host={quote(str(socket_dir), safe='/')}&port={port}"
    )


def running_url(data_dir: Path) -> str | None:
    """The DSN of the server that runs on the folder now, for tools; None if none does."""
    folder = DataFolder(data_dir)
    try:
        lines = (folder.pgdata / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    if len(lines) < 8 or not psutil.pid_exists(int(lines[0])):
        return None
    return socket_url(folder, Path(lines[4]), int(lines[3]))


def _short_temp() -> str:
    """A folder for sockets which every user can reach: /tmp where there is one."""
    return "/tmp" if os.access("/tmp", os.W_OK | os.X_OK) else tempfile.gettempdir()


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortInUse(port) from error
