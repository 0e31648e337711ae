"""The exchange in the process of its test: every service on one port and one database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import grpc
from matching.wiring import Pod
from smartex_chassis import LocalIssuer
from smartex_store import Database

# What services write by themselves: leases, positions in the log, and what the log tells them.
_NOT_BY_REQUEST = (
    "projection",
    "consumer_positions",
    "definitions",
    "instruments",
    "accounts",
    "holdings",
    "open_orders",
    "fills",
    "points",
    "habit_figures",
    "digests",
    "trading_days",
    "schema_migrations",
)


@dataclass
class Place:
    """The pod of matching, a channel to all services, who issues their tokens, and where they keep what they know."""

    pod: Pod
    channel: grpc.aio.Channel
    issuer: LocalIssuer
    scopes: Mapping[str, str]
    database: Database

    def metadata(
        self, *scopes: str, account_id: int | None = None, subject: str = "e2e"
    ) -> tuple[tuple[str, str], ...]:
        """Metadata with a token."""
        token = self.issuer.issue(subject=subject, account_id=account_id, scopes=scopes)
        return (("authorization", f"Bearer {token}"),)

    def state_hash(self) -> str:
        """Hash of the core's state now."""
        return self.pod.replica.core.state_hash()

    async def fingerprint(self) -> tuple[str, ...]:
        """All that requests may change: the core's state, and every row that they write to a table."""
        tables = await self.database.fetch(
            "SELECT schemaname || '.' || tablename AS name FROM pg_tables"
            " WHERE schemaname IN ('positions', 'notifications') AND tablename <> ALL($1) ORDER BY 1",
            list(_NOT_BY_REQUEST),
        )
        sums = " UNION ALL ".join(
            f"SELECT '{row['name']} ' || count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)), 0)"
            f" FROM {row['name']} t"
            for row in tables
        )
        rows = await self.database.fetch(sums)
        return self.state_hash(), *sorted(row[0] for row in rows)
