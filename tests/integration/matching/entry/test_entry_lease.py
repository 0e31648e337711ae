"""The lease as PostgreSQL keeps it: one holder at a time, and none that is lost for ever."""

from __future__ import annotations

from isolated import fresh_database
from matching.lease import _CLAIM, _RELEASE, prepare
from smartex_store import Database, EmbeddedPostgres


async def test_only_the_holder_keeps_it_until_it_releases_it_or_is_silent(postgres: EmbeddedPostgres) -> None:
    """Two that publish at once would both fill the event log; with none it would stand still."""
    async with fresh_database(postgres) as url, Database.connect(url) as database:
        await prepare(database)

        async def claim(holder: str, seconds: float = 600.0, shard: int = 0) -> int | None:
            epoch: int | None = await database.fetchval(_CLAIM, shard, holder, seconds)
            return epoch

        assert [await claim("one") for _ in range(2)] == [1, 1]
        assert await claim("two") is None
        assert await claim("two", shard=1) == 1
        await database.execute(_RELEASE, 0, "two")
        assert await claim("two") is None
        await database.execute(_RELEASE, 1, "one")
        assert await claim("one", shard=1) is None
        await database.execute(_RELEASE, 0, "one")
        assert await claim("two", seconds=-1.0) == 2
        # Silent past its time, and never released.
        assert await claim("one") == 3
        assert await claim("two") is None
