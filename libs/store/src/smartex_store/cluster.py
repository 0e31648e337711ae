"""The life of one PostgreSQL cluster: made, started, stopped. Blocking; `embedded` wraps it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psutil

from . import binaries
from .conf import SOCKET_PORT, render
from .errors import DataFolderVersionMismatch, PortInUse, ServerStartFailed
from .folder import DataFolder, sync_folder
from .launch import Spec, launch
from .leftover import SOCKET_PREFIX, lock_server, postmaster_file

SUPERUSER = "smartex"
DATABASE = "smartex"
_LOG_TAIL = 5  # lines


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
        return socket_url(self.folder, self._runtime, self.port or SOCKET_PORT)

    def start(self, timeout: float) -> None:
        """Bring the server up, after seeing off any leftover of this folder; makes the cluster at first."""
        deadline = time.monotonic() + timeout
        if self.port is not None:
            _check_port(self.port)
        with self.folder.writing():
            lock = lock_server(self.folder, self._runtime)
            try:
                self._make_runtime()
                if not self.folder.pgdata.exists():
                    self._initdb(lock, deadline)
                self._configure()
                self.guardian = launch(self._server_spec(), self._run_as, lock)
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

    def _make_runtime(self) -> None:
        """A short private folder for the socket: its path may have no more than 107 bytes."""
        if self._runtime is None:
            self._runtime = Path(tempfile.mkdtemp(prefix=SOCKET_PREFIX, dir=_short_temp()))
        else:
            self._runtime.mkdir(mode=0o700, exist_ok=True)  # a tidy-up of /tmp may have taken it
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

    def _initdb_spec(self, pgdata: Path, pwfile: Path) -> Spec:
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        argv = [self._binaries.program("initdb"), "-D", self._here(pgdata), "-U", SUPERUSER, "-E", "UTF8"]
        argv += ["--auth=scram-sha-256", f"--pwfile={pwfile}", "--no-sync", "--no-instructions", *locale]
        return Spec(argv, self.folder.start_log, pgdata, signal.SIGTERM, self._runtime)

    def _sync_spec(self, pgdata: Path) -> Spec:
        argv = [self._binaries.program("initdb"), "--sync-only", "-D", self._here(pgdata)]
        return Spec(argv, self.folder.start_log, pgdata, signal.SIGTERM, self._runtime)

    def _server_spec(self) -> Spec:
        pgdata = self.folder.pgdata
        argv = [self._binaries.program("postgres"), "-D", self._here(pgdata)]
        return Spec(argv, self.folder.start_log, pgdata, signal.SIGINT, self._runtime)

    def _here(self, folder: Path) -> str:
        """The name of `folder` for a program that is started in it.

        A parent folder may be closed to the server's user (a project under /root): the path cannot be walked
        then, but the working folder, entered before the user changes, can be, by this link of the kernel.
        """
        link = "/proc/self/cwd"
        return link if self._run_as.switches and os.path.exists(link) else str(folder)

    def _configure(self) -> None:
        """Write postgresql.conf anew: the program owns it; people's settings come in through `settings`."""
        assert self._runtime is not None
        conf = self.folder.pgdata / "postgresql.conf"
        scratch = conf.with_suffix(".new")
        scratch.write_text(render(self._binaries.major, self._settings, self._runtime, self.port))
        scratch.chmod(0o600)
        self._give(scratch)
        os.replace(scratch, conf)

    def _run(self, spec: Spec, lock: int, deadline: float) -> None:
        process = launch(spec, self._run_as, lock)
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
            lines = postmaster_file(self.folder)
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
    lines = postmaster_file(folder)
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
