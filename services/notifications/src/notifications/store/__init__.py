"""SQL of this service, a module for each kind of row."""

from __future__ import annotations

from pathlib import Path

import smartex_store
from smartex_store import Database

SCHEMA = "notifications"
MIGRATIONS = Path(__file__).parents[1] / "migrations"


async def migrate(database: Database | str) -> list[int]:
    """Bring the schema up to date; returns the numbers of the migrations applied."""
    return await smartex_store.migrate(database, SCHEMA, MIGRATIONS)
