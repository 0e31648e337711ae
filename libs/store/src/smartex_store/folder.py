"""The data folder: who may use it, what is in it.

VERSION             the format of the folder, one integer
LOCK                held by the running program, with its process id
postgres.lock       held by every process of the running server
postgres.password   the password of the embedded server, readable by the owner only
postgres.start.log  what the server said before its own log was open
postgres/           the cluster; postgres/log/ has its log, one file for each day of the week
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import (
    DataFolderFull,
    DataFolderLocked,
    DataFolderReadOnly,
    DataFolderTooNew,
    DataFolderVersionMismatch,
)

FORMAT_VERSION = 1


class DataFolder:
    """The paths of one data folder, and its lock."""

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root.expanduser()))
        self.pgdata = self.root / "postgres"
        self.server_lock = self.root / "postgres.lock"
        self.start_log = self.root / "postgres.start.log"
        self._password = self.root / "postgres.password"
        self._version = self.root / "VERSION"
        self._lock = self.root / "LOCK"
        self._lock_fd: int | None = None

    def claim(self) -> None:
        """Create the folder if need be, take its lock and check its format."""
        with self.writing():
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_format()
            self._take_lock()
        try:
            with self.writing():
                if not self._version.exists():
                    write_private(self._version, f"{FORMAT_VERSION}\n")
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Give the lock back. The file stays: removing it would let two processes lock two files."""
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def password(self) -> str:
        """The password of the embedded server, made on the first call."""
        if not self._password.exists():
            with self.writing():
                write_private(self._password, secrets.token_urlsafe(24))
        return self._password.read_text().strip()

    def major(self) -> int | None:
        """The PostgreSQL major version of the cluster, or None if there is no cluster yet."""
        if not self.pgdata.exists():
            return None
        try:
            return int((self.pgdata / "PG_VERSION").read_text())
        except (FileNotFoundError, ValueError) as error:
            raise DataFolderVersionMismatch(
                self.root,
                f"{self.pgdata} is not a PostgreSQL cluster (no valid PG_VERSION): "
                "restore it from a backup, or choose another folder",
            ) from error

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Turn the system's refusals to write into typed errors."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DataFolderFull(self.root) from error
            if isinstance(error, FileExistsError | NotADirectoryError):
                raise DataFolderReadOnly(self.root, "it is not a folder") from error
            raise DataFolderReadOnly(self.root, error.strerror or "refused") from error

    def _take_lock(self) -> None:
        fd = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not try_lock(fd):
            holder = os.pread(fd, 32, 0).decode(errors="replace").strip()
            os.close(fd)
            raise DataFolderLocked(self.root, int(holder) if holder.isdigit() else None)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._lock_fd = fd

    def _check_format(self) -> None:
        try:
            text = self._version.read_text().strip()
        except FileNotFoundError:
            return
        if not text.isdigit():
            raise DataFolderVersionMismatch(
                self.root,
                f"{self._version} holds no number: restore it from a backup, or choose another folder",
            )
        found = int(text)
        if found > FORMAT_VERSION:
            raise DataFolderTooNew(self.root, found, FORMAT_VERSION)
        if found < FORMAT_VERSION:
            raise DataFolderVersionMismatch(
                self.root,
                f"data folder {self.root} has format {found} and this program needs {FORMAT_VERSION}: "
                "open it with the program that wrote it, or choose another folder",
            )


def try_lock(fd: int, timeout: float = 0.0) -> bool:
    """Lock an open file, waiting up to `timeout` seconds; the lock is the open file's, not the process's."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        else:
            return True


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all, and onto the disk."""
    scratch = path.with_name(f"{path.name}.{os.getpid()}.new")
    fd = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and creations in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
