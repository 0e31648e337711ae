"""Versions of templates."""

from __future__ import annotations

from datetime import datetime

from smartex.notifications.v1 import notification_service_pb2 as pb
from smartex_store import Database

from notifications import contract
from notifications.domain.templates import Template
from notifications.store.notices import TEMPLATES

_NEWEST = """
    SELECT DISTINCT ON (kind, language, channel) version, content FROM notifications.templates
     ORDER BY kind, language, channel, version DESC
"""


class TemplateStore:
    """Reads the newest versions and adds new ones."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self) -> list[Template]:
        """Return the newest version of each template that was put."""
        return [_read(row["content"], row["version"]) for row in await self._database.fetch(_NEWEST)]

    async def put(self, template: Template, author: str, now: datetime) -> Template | None:
        """Add the version after `template.version`; None if another came between."""
        key = (template.kind, template.language, template.channel or "")
        message = contract.template_message(template)
        message.version = template.version + 1
        async with self._database.transaction() as connection:
            # Two at once: one waits here, and finds that another came between.
            await connection.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended($1, 7402))", "/".join(key)
            )
            latest = await connection.fetchval(
                """
                SELECT coalesce(max(version), 0) FROM notifications.templates
                 WHERE kind = $1 AND language = $2 AND channel = $3
                """,
                *key,
            )
            if latest != template.version:
                return None
            await connection.execute(
                "INSERT INTO notifications.templates VALUES ($1, $2, $3, $4, $5, $6, $7)",
                *key,
                message.version,
                message.SerializeToString(),
                now,
                author,
            )
            await connection.execute("SELECT pg_notify($1, '')", TEMPLATES)
        return contract.template(message)


def _read(content: bytes, version: int) -> Template:
    message = pb.Template.FromString(content)
    message.version = version
    return contract.template(message)
