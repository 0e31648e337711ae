"""`python -m matching rebuild`: writes the history anew from the event log, once what set records aside is mended."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from smartex_bus import Bus, BusError, open_bus, service_settings
from smartex_chassis import SettingsInvalid, StartupError, load
from smartex_store import Database, StoreError

from matching.history.store import SCHEMA
from matching.settings import MatchingSettings

_TABLES = ("orders", "trades", "transfers", "candles")
_BEGIN = f"""
    UPDATE {SCHEMA}.projection
       SET sequence = DEFAULT, next_offset = DEFAULT, epoch = epoch + 1, lease_until = '-infinity'
"""


class LogCutShort(Exception):  # noqa: N818 - a verdict
    """The event log does not begin at its beginning any more: what the tables hold could not be made again."""


async def main(arguments: Sequence[str]) -> int:
    """Begin anew; the exit code is 1 if that cannot be."""
    parser = argparse.ArgumentParser(prog="python -m matching rebuild", description=__doc__)
    parser.add_argument("--write", action="store_true", required=True, help="empty the history's tables")
    parser.parse_args(arguments)
    try:
        settings = load(MatchingSettings)
        url = settings.database_if_any()
        if url is None:
            raise SettingsInvalid(["no history: set SMARTEX_DATABASE_URL or SMARTEX_DATABASE_URL_FILE"])
        async with (
            Database.connect(url, name=f"rebuild-{settings.pod}") as database,
            await open_bus(service_settings("matching", settings)) as bus,
        ):
            await begin_anew(database, bus)
    except (StartupError, StoreError, BusError, LogCutShort) as error:
        print(f"error: {error}")
        return 1
    print("the history begins anew: running pods write it from the event log's beginning")
    return 0


async def begin_anew(database: Database, bus: Bus, topic: str = "matching.events.v1") -> None:
    """Empty the tables of all shards and take the leases away, so that who projects starts over."""
    for row in await database.fetch(f"SELECT shard FROM {SCHEMA}.projection"):
        earliest, _ = await bus.offsets(topic, row["shard"])
        if earliest:
            raise LogCutShort(
                f"{topic}[{row['shard']}] begins at offset {earliest}: the history stays as it is"
            )
    async with database.transaction() as connection:
        # First, so that a projector at work ends its transaction before, and finds its lease gone.
        await connection.execute(_BEGIN)
        await connection.execute(f"TRUNCATE {', '.join(f'{SCHEMA}.{table}' for table in _TABLES)}")
