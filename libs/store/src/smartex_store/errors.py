# ruff: noqa: N818 - the names say what happened; the base class says that it is an error
"""What can go wrong with the database, as one tree.

    StoreError                      category "final" or "retryable", reason in UPPER_SNAKE
    ├── DataFolderError             the data folder cannot be used
    │   ├── DataFolderLocked        another instance runs on it (`pid`)
    │   ├── DataFolderTooNew        written by a newer program
    │   ├── DataFolderVersionMismatch   of a version this program cannot open
    │   ├── DataFolderReadOnly      not writable by this user
    │   └── DataFolderFull          no space left
    ├── ServerError                 the embedded server
    │   ├── PortInUse               its TCP port is taken (`port`)
    │   ├── ServerStartFailed       it did not come up (`log` has its last lines)
    │   └── ServerBinariesMissing   the PostgreSQL programs are not installed
    ├── DatabaseUnavailable         retryable: the connection is lost or cannot be made
    ├── DatabaseRefused             the URL is wrong: user, password, name
    └── MigrationError              the SQL migrations of a schema
        ├── MigrationInvalid        the folder's files are not a numbered row
        ├── MigrationChanged        an applied file was edited or is missing
        ├── MigrationTooNew         the database is ahead of this program
        ├── MigrationFailed         a file's SQL failed and was rolled back
        └── MigrationBusy           retryable: somebody else migrates for too long

Each message is one line that says what to do next.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

Category = Literal["retryable", "final"]


class StoreError(Exception):
    """The root of the tree. `retryable` means that the same call may succeed later."""

    category: ClassVar[Category] = "final"
    reason: ClassVar[str] = "STORE"

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))

    @property
    def message(self) -> str:
        """The one line for people."""
        return str(self.args[0])


class DataFolderError(StoreError):
    """The data folder cannot be used as it is."""

    reason = "DATA_FOLDER"

    def __init__(self, folder: Path, message: str) -> None:
        super().__init__(message)
        self.folder = folder


class DataFolderLocked(DataFolderError):
    """Another instance runs on the folder; `pid` is its process, or None if it did not say."""

    reason = "DATA_FOLDER_LOCKED"

    def __init__(self, folder: Path, pid: int | None) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(
            folder, f"data folder {folder} is in use by {who}: stop it, or choose another folder"
        )
        self.pid = pid


class DataFolderTooNew(DataFolderError):
    """The folder was written by a newer version of the program."""

    reason = "DATA_FOLDER_TOO_NEW"

    def __init__(self, folder: Path, found: int, known: int) -> None:
        super().__init__(
            folder,
            f"data folder {folder} has format {found} but this program knows up to {known}: "
            "install the newer program, or choose another folder",
        )
        self.found = found
        self.known = known


class DataFolderVersionMismatch(DataFolderError):
    """The folder holds something this program cannot open: another PostgreSQL, or damage."""

    reason = "DATA_FOLDER_VERSION_MISMATCH"


class DataFolderReadOnly(DataFolderError):
    """The folder cannot be written by this user."""

    reason = "DATA_FOLDER_READ_ONLY"

    def __init__(self, folder: Path, detail: str) -> None:
        super().__init__(
            folder,
            f"data folder {folder} cannot be written ({detail}): "
            "make it writable for this user, or choose another folder",
        )


class DataFolderFull(DataFolderError):
    """The disk under the folder has no space left."""

    reason = "DATA_FOLDER_FULL"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, f"no space left for data folder {folder}: free some space and start again")


class ServerError(StoreError):
    """The embedded server."""

    reason = "SERVER"


class PortInUse(ServerError):
    """The TCP port asked for is taken."""

    reason = "PORT_IN_USE"

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is taken: stop the program that holds it, or choose another port")
        self.port = port


class ServerStartFailed(ServerError):
    """The server did not come up; `log` holds the last lines that it wrote."""

    reason = "SERVER_START_FAILED"

    def __init__(self, message: str, log: str = "") -> None:
        tail = f"; its log ends: {log}" if log else ""
        super().__init__(message + tail)
        self.log = log


class ServerBinariesMissing(ServerError):
    """The wheel with PostgreSQL is not installed or has no build for this machine."""

    reason = "SERVER_BINARIES_MISSING"


class DatabaseUnavailable(StoreError):
    """The database cannot be reached, or the connection broke.

    `maybe_committed` is true if it broke while a commit, or a statement that commits by itself, was on its
    way: the work may or may not be in the database, and only a look (or an idempotent repeat) can tell.
    """

    category = "retryable"
    reason = "DATABASE_UNAVAILABLE"

    def __init__(self, message: str, *, maybe_committed: bool = False) -> None:
        super().__init__(message)
        self.maybe_committed = maybe_committed


class DatabaseRefused(StoreError):
    """The server answers but does not let us in, or the URL cannot be read."""

    reason = "DATABASE_REFUSED"


class MigrationError(StoreError):
    """The migrations of one schema."""

    reason = "MIGRATION"

    def __init__(self, schema: str, message: str, number: int | None = None) -> None:
        super().__init__(f"schema {schema}: {message}")
        self.schema = schema
        self.number = number


class MigrationInvalid(MigrationError):
    """The folder's files are not a row of 0001_name.sql, 0002_name.sql, …"""

    reason = "MIGRATION_INVALID"


class MigrationChanged(MigrationError):
    """A file that was already applied was edited, renamed or removed."""

    reason = "MIGRATION_CHANGED"


class MigrationTooNew(MigrationError):
    """The database has migrations that this program does not know."""

    reason = "MIGRATION_TOO_NEW"


class MigrationFailed(MigrationError):
    """The SQL of a file failed; nothing of that file remains, the ones before it stay."""

    reason = "MIGRATION_FAILED"


class MigrationBusy(MigrationError):
    """Somebody else holds the migration lock of the schema for too long."""

    category = "retryable"
    reason = "MIGRATION_BUSY"
