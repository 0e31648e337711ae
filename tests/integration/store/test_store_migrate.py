import asyncio
from pathlib import Path

import asyncpg
import pytest
from smartex_store import (
    Database,
    DatabaseUnavailable,
    EmbeddedPostgres,
    MigrationBusy,
    MigrationChanged,
    MigrationFailed,
    MigrationTooNew,
    migrate,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_shelves.sql").write_text("CREATE TABLE shelf (id int PRIMARY KEY);")
    (tmp_path / "0002_fill.sql").write_text("INSERT INTO shelf VALUES (1);\nINSERT INTO shelf VALUES (2);")
    return tmp_path


async def ids(db: Database) -> list[int]:
    return [row["id"] for row in await db.fetch("SELECT id FROM shop.shelf ORDER BY id")]


async def test_files_are_applied_once_and_in_order(db: Database, folder: Path) -> None:
    assert await migrate(db, "shop", folder) == [1, 2]
    assert await migrate(db, "shop", folder) == []
    (folder / "0003_more.sql").write_text("INSERT INTO shelf SELECT max(id) + 1 FROM shelf")
    assert await migrate(db.url, "shop", folder) == [3]
    assert await ids(db) == [1, 2, 3]
    assert await db.fetchval("SELECT to_regclass('public.shelf')") is None


async def test_many_runners_at_once_apply_once(db: Database, folder: Path) -> None:
    (folder / "0003_slow.sql").write_text("SELECT pg_sleep(0.1); INSERT INTO shelf VALUES (3);")
    applied = await asyncio.gather(*(migrate(db.url, "shop", folder) for _ in range(8)))
    assert sorted(map(len, applied)) == [0] * 7 + [3]
    assert await ids(db) == [1, 2, 3]


async def test_a_failing_file_is_rolled_back_whole(db: Database, folder: Path) -> None:
    bad = folder / "0003_bad.sql"
    bad.write_text(
        "INSERT INTO shelf VALUES (3);\nCREATE TABLE extra (x int);\nINSERT INTO shelf VALUES (1);"
    )
    with pytest.raises(MigrationFailed, match="0003_bad") as caught:
        await migrate(db, "shop", folder)
    assert caught.value.number == 3
    assert await ids(db) == [1, 2]
    assert await db.fetchval("SELECT to_regclass('shop.extra')") is None
    bad.write_text("INSERT INTO shelf VALUES (3);")  # it was never applied, so it may be mended
    assert await migrate(db, "shop", folder) == [3]


async def test_a_file_must_not_commit(db: Database, folder: Path) -> None:
    (folder / "0003_commits.sql").write_text("INSERT INTO shelf VALUES (3); COMMIT;")
    with pytest.raises(MigrationFailed, match="COMMIT"):
        await migrate(db, "shop", folder)


async def test_an_edited_or_removed_past_is_refused(db: Database, folder: Path) -> None:
    await migrate(db, "shop", folder)
    first = folder / "0001_shelves.sql"
    text = first.read_text()
    first.write_text(text + "\n-- a word more")
    with pytest.raises(MigrationChanged) as caught:
        await migrate(db, "shop", folder)
    assert caught.value.number == 1
    first.write_text(text)
    assert await migrate(db, "shop", folder) == []


async def test_a_newer_database_is_refused(db: Database, folder: Path) -> None:
    await migrate(db, "shop", folder)
    (folder / "0002_fill.sql").unlink()
    with pytest.raises(MigrationTooNew) as caught:
        await migrate(db, "shop", folder)
    assert caught.value.number == 2


async def test_waiting_for_another_runner_has_an_end(db: Database, folder: Path) -> None:
    (folder / "0003_stuck.sql").write_text("SELECT pg_sleep(60)")
    stuck = asyncio.create_task(migrate(db, "shop", folder))
    query = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    while (pid := await db.fetchval(query)) is None:
        await asyncio.sleep(0.02)
    with pytest.raises(MigrationBusy):
        await migrate(db, "shop", folder, lock_within=0.1)
    # The runner dies; its lock dies with its session.
    await db.execute("SELECT pg_terminate_backend($1)", pid)
    with pytest.raises(DatabaseUnavailable):
        await stuck
    (folder / "0003_stuck.sql").write_text("INSERT INTO shelf VALUES (3)")
    assert await migrate(db, "shop", folder) == [3]


async def test_schemas_do_not_mix(db: Database, shared: EmbeddedPostgres, folder: Path) -> None:
    await db.execute("DROP SCHEMA IF EXISTS shop_two CASCADE")
    assert await migrate(db, "shop", folder) == [1, 2]
    assert await migrate(db, "shop_two", folder) == [1, 2]
    connection = await asyncpg.connect(shared.url)
    assert await connection.fetchval("SELECT count(*) FROM shop_two.shelf") == 2
    await connection.close()
