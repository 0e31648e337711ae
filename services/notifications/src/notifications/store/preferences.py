"""What investors want."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from smartex.notifications.v1 import notification_service_pb2 as pb
from smartex_store import Connection, Database

from notifications import contract
from notifications.domain.preferences import Preferences

HOUSE = Preferences()
"""What holds for who has said nothing."""


def read(content: bytes | None) -> Preferences:
    """Return stored preferences; the house's if there are none."""
    return contract.preferences(pb.Preferences.FromString(content)) if content is not None else HOUSE


async def of_accounts(connection: Connection, accounts: Collection[int]) -> dict[int, Preferences]:
    """Return the preferences of those accounts that have set some."""
    rows = await connection.fetch(
        "SELECT account_id, content FROM notifications.preferences WHERE account_id = ANY($1::bigint[])",
        list(accounts),
    )
    return {row["account_id"]: read(row["content"]) for row in rows}


class PreferenceStore:
    """Reads and writes one account's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, account_id: int) -> Preferences:
        """Return an account's preferences."""
        return read(
            await self._database.fetchval(
                "SELECT content FROM notifications.preferences WHERE account_id = $1", account_id
            )
        )

    async def set(self, account_id: int, wanted: Preferences, now: datetime) -> None:
        """Replace an account's preferences."""
        await self._database.execute(
            """
            INSERT INTO notifications.preferences (account_id, content, update_time) VALUES ($1, $2, $3)
                ON CONFLICT (account_id) DO UPDATE SET content = excluded.content, update_time = excluded.update_time
            """,
            account_id,
            contract.preferences_message(wanted).SerializeToString(),
            now,
        )
