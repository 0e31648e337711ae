"""PostgreSQL for the exchange: the embedded server, the pool, the migrations."""

from .cluster import running_url
from .database import Connection, Database
from .embedded import EmbeddedPostgres
from .errors import (
    DatabaseRefused,
    DatabaseUnavailable,
    DataFolderError,
    DataFolderFull,
    DataFolderLocked,
    DataFolderReadOnly,
    DataFolderTooNew,
    DataFolderVersionMismatch,
    MigrationBusy,
    MigrationChanged,
    MigrationError,
    MigrationFailed,
    MigrationInvalid,
    MigrationTooNew,
    PortInUse,
    ServerBinariesMissing,
    ServerError,
    ServerStartFailed,
    StoreError,
)
from .migrations import migrate
from .retry import is_retryable, retrying

__all__ = [
    "Connection",
    "DataFolderError",
    "DataFolderFull",
    "DataFolderLocked",
    "DataFolderReadOnly",
    "DataFolderTooNew",
    "DataFolderVersionMismatch",
    "Database",
    "DatabaseRefused",
    "DatabaseUnavailable",
    "EmbeddedPostgres",
    "MigrationBusy",
    "MigrationChanged",
    "MigrationError",
    "MigrationFailed",
    "MigrationInvalid",
    "MigrationTooNew",
    "PortInUse",
    "ServerBinariesMissing",
    "ServerError",
    "ServerStartFailed",
    "StoreError",
    "is_retryable",
    "migrate",
    "retrying",
    "running_url",
]
