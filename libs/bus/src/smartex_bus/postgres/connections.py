"""Connections of the PostgreSQL engine, and which of its failures may be retried."""

from __future__ import annotations

import asyncpg
from asyncpg import exceptions as pg

from smartex_bus.errors import BusUnavailable
from smartex_bus.settings import PostgresSettings

LOST: tuple[type[BaseException], ...] = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    pg.InternalClientError,
    pg.PostgresConnectionError,
    pg.OperatorInterventionError,
    pg.InsufficientResourcesError,
    pg.ReadOnlySQLTransactionError,
    pg.IdleInTransactionSessionTimeoutError,
    pg.TransactionRollbackError,
)
"""The server is away, starting, stopping, full or read-only: the same call may work later."""


FAILED: tuple[type[BaseException], ...] = (*LOST, asyncpg.PostgresError)
"""Whatever the database may answer."""

WAITING: tuple[type[BaseException], ...] = (*FAILED, BusUnavailable)
"""The same, also as the bus itself names it."""


async def connect(settings: PostgresSettings, purpose: str) -> asyncpg.Connection[asyncpg.Record]:
    """A connection of its own, named after its purpose."""
    return await asyncpg.connect(
        settings.url,
        timeout=settings.connect_timeout,
        server_settings={"application_name": f"smartex-bus {purpose}", "jit": "off"},
    )
