"""Numbered SQL files that bring one PostgreSQL schema to the form a service needs."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import structlog

from .database import Database
from .errors import MigrationBusy, MigrationChanged, MigrationFailed, MigrationInvalid, MigrationTooNew
from .retry import CLIENT_ERRORS, connecting, is_connection_lost, typed

_log = structlog.get_logger("smartex.store")
_SCHEMA = re.compile(r"[a-z][a-z0-9_]{0,47}")
_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_LOCK_CLASS = 0x5A7E  # sets our advisory locks apart from those of others


@dataclass(frozen=True)
class Migration:
    """One file. The checksum does not mind how lines end."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hex."""
        return hashlib.sha256(self.sql.replace("\r\n", "\n").encode()).hexdigest()

    @property
    def label(self) -> str:
        """The file's name without its ending."""
        return f"{self.number:04d}_{self.name}"


@dataclass(frozen=True)
class Applied:
    """What the database remembers of a migration."""

    number: int
    name: str
    checksum: str


def load(schema: str, folder: Path) -> list[Migration]:
    """Read the folder's files in order; raises MigrationInvalid unless they are 0001, 0002, … with no gap."""
    if not _SCHEMA.fullmatch(schema):
        raise MigrationInvalid(schema, "not a schema name: use lower-case letters, digits and _")
    if not folder.is_dir():
        raise MigrationInvalid(schema, f"no folder {folder}: give the folder of the migrations")
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise MigrationInvalid(
                schema, f"{path.name} is not a migration's name: call it 0001_what_it_does.sql"
            )
        found.append(Migration(int(match[1]), match[2], path.read_bytes().decode()))
    for expected, migration in enumerate(found, start=1):
        if migration.number != expected:
            raise MigrationInvalid(
                schema, f"{migration.label} should have number {expected:04d}: renumber it"
            )
    return found


def pending(schema: str, files: Sequence[Migration], applied: Sequence[Applied]) -> list[Migration]:
    """Which files are still to run; raises MigrationTooNew or MigrationChanged if the past differs."""
    known = {migration.number: migration for migration in files}
    for past in applied:
        now = known.get(past.number)
        if now is None and past.number > len(files):
            raise MigrationTooNew(
                schema,
                f"the database has migration {past.number:04d}_{past.name} which this program does not know: "
                "install the newer program",
                past.number,
            )
        if now is None or now.checksum != past.checksum or now.name != past.name:
            raise MigrationChanged(
                schema,
                f"migration {past.number:04d}_{past.name} was edited after it was applied: "
                "restore the file and put the change into a new one",
                past.number,
            )
    done = {past.number for past in applied}
    return [migration for migration in files if migration.number not in done]


async def migrate(
    db_or_url: Database | str,
    schema: str,
    folder: Path,
    *,
    lock_within: float = 60.0,
    connect_within: float = 10.0,
) -> list[int]:
    """Apply the files which the schema does not have yet, each in its own transaction; returns their numbers.

    Any number of processes may call it at once: one works, the others wait up to `lock_within` seconds and
    find it done. A file that fails is rolled back whole (MigrationFailed); those before it stay. Files run
    with the search path on their schema. Raises MigrationError or DatabaseUnavailable.
    """
    files = load(schema, folder)
    url = db_or_url.url if isinstance(db_or_url, Database) else db_or_url
    settings = {"application_name": f"migrate {schema}", "statement_timeout": "0"}
    connection = await connecting(lambda: asyncpg.connect(url, server_settings=settings), connect_within)
    try:
        with typed():
            return await _apply(connection, schema, files, lock_within)
    finally:
        with contextlib.suppress(*CLIENT_ERRORS):
            await connection.close()


async def _apply(
    connection: asyncpg.Connection[asyncpg.Record],
    schema: str,
    files: Sequence[Migration],
    lock_within: float,
) -> list[int]:
    await _lock(connection, schema, lock_within)
    await connection.execute(
        f"""
        CREATE SCHEMA IF NOT EXISTS {schema};
        CREATE TABLE IF NOT EXISTS {schema}.schema_migrations (
            number      integer PRIMARY KEY,
            name        text NOT NULL,
            checksum    text NOT NULL,
            apply_time  timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    rows = await connection.fetch(
        f"SELECT number, name, checksum FROM {schema}.schema_migrations ORDER BY number"
    )
    todo = pending(schema, files, [Applied(row["number"], row["name"], row["checksum"]) for row in rows])
    for migration in todo:
        await _run(connection, schema, migration)
        _log.info("migration_applied", schema=schema, migration=migration.label)
    return [migration.number for migration in todo]


async def _lock(connection: asyncpg.Connection[asyncpg.Record], schema: str, within: float) -> None:
    """Take the schema's lock for this session; the server frees it when the session ends, however it ends."""
    await connection.execute(f"SET lock_timeout = {max(1, int(within * 1000))}")
    try:
        await connection.execute("SELECT pg_advisory_lock($1, hashtext($2))", _LOCK_CLASS, schema)
    except asyncpg.LockNotAvailableError as error:
        raise MigrationBusy(
            schema, "another process is migrating and does not finish: look at it, then start again"
        ) from error


async def _run(connection: asyncpg.Connection[asyncpg.Record], schema: str, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL search_path = {schema}, public")
            await connection.execute(migration.sql)
            if not connection.is_in_transaction():
                raise MigrationFailed(
                    schema,
                    f"migration {migration.label} ends its transaction: take COMMIT out",
                    migration.number,
                )
            await connection.execute(
                f"INSERT INTO {schema}.schema_migrations (number, name, checksum) VALUES ($1, $2, $3)",
                migration.number,
                migration.name,
                migration.checksum,
            )
    except asyncpg.PostgresError as error:
        if is_connection_lost(error):
            raise
        raise MigrationFailed(
            schema,
            f"migration {migration.label} failed ({error}): mend the file and start again",
            migration.number,
        ) from error
