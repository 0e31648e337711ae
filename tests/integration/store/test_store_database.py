import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal

import asyncpg
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from smartex_store import Database, DatabaseRefused, DatabaseUnavailable, EmbeddedPostgres


async def test_values_come_back_as_they_went(db: Database) -> None:
    document = {"a": [1, None, "三"], "b": {"c": True}}
    now = datetime.now(UTC)
    row = await db.fetchrow(
        "SELECT $1::jsonb AS b, $2::json AS j, $3::numeric AS n, $4::timestamptz AS t",
        document,
        [1],
        Decimal("1.10"),
        now,
    )
    assert row is not None
    assert (row["b"], row["j"], str(row["n"]), row["t"]) == (document, [1], "1.10", now)
    assert json.loads(await db.fetchval("SELECT $1::jsonb::text", document)) == document


async def insert(db: Database, *numbers: int, then: Exception | None = None) -> None:
    async with db.transaction() as tx:
        for number in numbers:
            await tx.execute("INSERT INTO t VALUES ($1)", number)
        if then is not None:
            raise then


async def test_a_transaction_is_all_or_nothing(db: Database) -> None:
    await db.execute("CREATE TABLE t (x int PRIMARY KEY)")
    await insert(db, 1, 2)
    with pytest.raises(KeyError):
        await insert(db, 3, then=KeyError("mine"))
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(db, 4, 1)
    await db.executemany("INSERT INTO t VALUES ($1)", [(5,), (6,)])
    assert [row["x"] for row in await db.fetch("SELECT x FROM t ORDER BY x")] == [1, 2, 5, 6]
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        async with db.transaction(readonly=True, isolation="repeatable_read") as tx:
            await tx.execute("INSERT INTO t VALUES (7)")


async def test_a_cancelled_transaction_is_rolled_back_and_its_connection_is_free(db: Database) -> None:
    await db.execute("CREATE TABLE t (x int)")
    inside = asyncio.Event()

    async def work() -> None:
        async with db.transaction() as tx:
            await tx.execute("INSERT INTO t VALUES (1)")
            inside.set()
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(work()) for _ in range(4)]  # all that the pool has
    await inside.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await db.fetchval("SELECT count(*) FROM t") == 0
    assert await db.fetchval("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'") == 0


async def test_a_callers_own_errors_pass_unchanged(db: Database) -> None:
    for own in (FileNotFoundError("mine"), TimeoutError("mine")):
        with pytest.raises(type(own), match="mine"):
            await insert(db, then=own)


async def test_the_session_is_set_up(shared: EmbeddedPostgres) -> None:
    async with Database.connect(shared.url, name="matching", schema="shop") as db:
        assert await db.fetchval("SHOW application_name") == "matching"
        assert await db.fetchval("SHOW search_path") == "shop, public"
        async with db.acquire() as connection:
            await connection.execute("SET search_path = elsewhere")
            await connection.fetchval("SELECT pg_advisory_lock(1)")
        assert await db.fetchval("SHOW search_path") == "shop, public"
        assert await db.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    async with Database.connect(shared.url, statement_timeout=1.0) as db:
        with pytest.raises(asyncpg.QueryCanceledError):
            await db.execute("SELECT pg_sleep(300)")


async def test_listening(db: Database) -> None:
    heard: asyncio.Queue[object] = asyncio.Queue(10)

    def hear(*args: object) -> None:
        heard.put_nowait(args[-1])

    async with db.acquire() as connection:
        await connection.add_listener("bell", hear)
        await db.execute("SELECT pg_notify('bell', 'ding')")
        assert await heard.get() == "ding"
        await connection.remove_listener("bell", hear)


async def test_one_lost_connection_is_replaced(db: Database) -> None:
    async def lose() -> None:
        async with db.transaction() as tx:
            pid = await tx.fetchval("SELECT pg_backend_pid()")
            await db.execute("SELECT pg_terminate_backend($1)", pid)
            while True:
                await tx.execute("SELECT 1")

    for _ in range(5):
        with pytest.raises(DatabaseUnavailable) as caught:
            await lose()
        assert caught.value.category == "retryable"
        assert not caught.value.maybe_committed
        assert await db.fetchval("SELECT 1") == 1


async def test_a_statement_that_was_cut_off_may_have_happened(db: Database) -> None:
    task = asyncio.create_task(db.execute("SELECT pg_sleep(60)"))
    query = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    while (pid := await db.fetchval(query)) is None:
        await asyncio.sleep(0.01)
    await db.execute("SELECT pg_terminate_backend($1)", pid)
    with pytest.raises(DatabaseUnavailable) as caught:
        await task
    assert caught.value.maybe_committed


async def test_an_url_that_is_wrong_is_refused_at_once(shared: EmbeddedPostgres) -> None:
    secret = shared.url.split(":")[2].split("@")[0]
    for url in (
        shared.url.replace(secret, "guess"),
        shared.url.replace("/smartex?", "/nothing?"),
        "http://localhost/smartex",
    ):
        with pytest.raises(DatabaseRefused) as caught:
            await Database.connect(url, connect_within=60)
        assert secret not in str(caught.value)


async def test_a_database_that_is_away_is_unavailable() -> None:
    with pytest.raises(DatabaseUnavailable, match="try again"):
        await Database.connect("postgresql://u:secret@127.0.0.1:1/x", connect_within=0.1)


async def test_an_external_server_by_its_url(shared: EmbeddedPostgres) -> None:
    """Nothing in Database knows who started the server."""
    db = await Database.connect(shared.url)
    assert await db.fetch("SELECT 1")
    await db.close()
    with pytest.raises(asyncpg.InterfaceError):
        await db.fetch("SELECT 1")


async def test_spans(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("smartex_store.tracing._tracer", provider.get_tracer("test"))
    await db.fetch("SELECT $1::text  AS secret", "hidden")
    async with db.transaction() as tx:
        await tx.execute("SELECT 1")
    with pytest.raises(asyncpg.UndefinedTableError):
        await db.execute("SELECT * FROM nothing")
    provider.shutdown()
    fetch, transaction, failed = exporter.get_finished_spans()
    assert [item.name for item in (fetch, transaction, failed)] == [
        "db.fetch",
        "db.transaction",
        "db.execute",
    ]
    assert fetch.attributes is not None
    assert fetch.attributes["db.query.text"] == "SELECT $1::text AS secret"
    assert "hidden" not in str(dict(fetch.attributes))
    assert failed.attributes is not None
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.attributes["error.type"] == "UndefinedTableError"
