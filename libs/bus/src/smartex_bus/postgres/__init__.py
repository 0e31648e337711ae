"""The PostgreSQL engine of the bus."""

from smartex_bus.postgres.engine import PostgresBus

__all__ = ["PostgresBus"]
