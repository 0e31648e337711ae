"""What is old is deleted, and nothing else: neither what waits nor what was talked about."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from engine_works import Scripted, Works
from notifications import forgetting
from notifications.domain.notice import State
from notifications.domain.sending import ChannelKind, Failed
from notifications.forgetting import Forgetter
from notifications.intake import Intake
from notifications.store.inbox import Inbox
from smartex_store import Database
from waiting import until

KEPT = timedelta(days=400)
LATER = {"days": 402}
FCM = ChannelKind.FCM


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "PAUSE_SECONDS", 0)


def forgetter(made: Works) -> Forgetter:
    return Forgetter(made.database, KEPT, made.clock)


async def count(database: Database, table: str) -> int:
    found: int = await database.fetchval(f"SELECT count(*) FROM notifications.{table}")
    return found


async def left(database: Database) -> dict[str, int]:
    return {
        table: await count(database, table)
        for table in ("notices", "inbox_entries", "deliveries", "attempts")
    }


async def test_what_is_old_goes_with_all_that_hangs_on_it(works: Any) -> None:
    made: Works = await works(Scripted(FCM, [Failed("X")]))
    await made.reach(1, FCM)
    await made.tell(made.notice("read"), made.notice("unread"))
    await made.later(minutes=1)
    inbox = Inbox(made.database)
    await inbox.mark_read(1, ["read"], 0, made.clock())
    # One attempt failed, and was made again.
    assert await left(made.database) == {"notices": 2, "inbox_entries": 2, "deliveries": 4, "attempts": 3}
    made.clock.advance(days=400)
    await made.tell(made.notice("young"))
    await made.settle(State.SENT)
    assert await forgetter(made).forget() == 0, "a day of margin"
    made.clock.advance(days=2)
    assert await forgetter(made).forget() == 2
    assert await left(made.database) == {"notices": 1, "inbox_entries": 1, "deliveries": 2, "attempts": 1}
    assert (await inbox.standing(1)).unread == 1
    [entry] = await inbox.page(1, before=2**62, limit=10, unread_only=True)
    assert entry["notice_id"] == "young"


async def test_what_waits_or_is_under_way_stays(works: Any) -> None:
    gate = asyncio.Event()

    async def hold(_: object) -> None:
        await gate.wait()

    made: Works = await works(Scripted(FCM, on_send=hold))
    await made.reach(1, FCM)
    await made.reach(2, FCM)
    far = made.clock() + timedelta(days=1000)
    scheduled = made.notice("scheduled", account=2)
    scheduled.expire_time.FromDatetime(far)
    await made.tell(made.notice("sending"))
    while not await made.database.fetchval("SELECT 1 FROM notifications.deliveries WHERE state = 2"):
        await asyncio.sleep(0.01)
    async with made.database.transaction() as connection:
        await made.intake.take_in(connection, [scheduled])
        await connection.execute(
            "UPDATE notifications.deliveries SET due_time = $1 WHERE notice_id = 'scheduled' AND state = 1",
            far - timedelta(days=1),
        )
    made.clock.advance(**LATER)
    assert await forgetter(made).forget() == 0
    # Not even its expiry: what waits is the engine's.
    made.clock.advance(days=1000)
    await made.database.execute(
        "UPDATE notifications.deliveries SET due_time = due_time + interval '9 years'"
    )
    assert await forgetter(made).forget() == 0
    gate.set()
    while await made.database.fetchval("SELECT 1 FROM notifications.deliveries WHERE state = 2"):
        await asyncio.sleep(0.01)
    assert await forgetter(made).forget() == 1
    assert [row["notice_id"] for row in await made.deliveries()] == ["scheduled"]


async def test_what_could_still_be_replayed_stays(works: Any) -> None:
    made: Works = await works(Scripted(FCM), start=False)
    notice = made.notice("long")
    notice.expire_time.FromDatetime(made.clock() + timedelta(days=500))
    await made.tell(notice)
    made.clock.advance(**LATER)
    assert await forgetter(made).forget() == 0
    made.clock.advance(days=100)
    assert await forgetter(made).forget() == 1


async def test_a_repeat_is_known_however_late_it_comes(works: Any) -> None:
    made: Works = await works(Scripted(FCM), start=False)
    intake = Intake(made.book, frozenset({FCM}), made.clock, KEPT)
    notice = made.notice("n1")

    async def take_in() -> set[str]:
        async with made.database.transaction() as connection:
            return await intake.take_in(connection, [notice])

    assert await take_in() == {"n1"}
    for _ in range(5):
        made.clock.advance(days=100)
        await forgetter(made).forget()
        assert await take_in() == set()
    assert await count(made.database, "notices") == 0


async def test_conversations_stay(works: Any) -> None:
    made: Works = await works(Scripted(FCM), start=False)
    await made.database.execute(
        """
        INSERT INTO notifications.threads
               (thread_id, account_id, trader, title, opener, request_id, create_time, active_time, position)
        VALUES ('t', 1, 'trader', 'title', 'trader', 1, $1, $1, 1)
        """,
        made.clock(),
    )
    await made.database.execute(
        """
        INSERT INTO notifications.messages (position, thread_id, author, origin, text, request_key, grams, create_time)
        VALUES (1, 't', 1, '', 'hello', 'k', '{}', $1)
        """,
        made.clock(),
    )
    await made.tell(made.notice("message:1", kind="conversations.message"))
    made.clock.advance(days=4000)
    assert await forgetter(made).forget() == 1
    assert await count(made.database, "messages") == await count(made.database, "threads") == 1


async def many(database: Database, first: int, number: int, age: str) -> None:
    """Notices that were sent so long ago, of a thousand accounts."""
    await database.execute(
        """
        INSERT INTO notifications.notices
        SELECT 'n' || g, 1 + g % 1000, 'k', 2, time, time, '', false, '', '', '', time
          FROM generate_series($1::int, $1 + $2 - 1) g, (SELECT now() - $3::text::interval AS time) t
        """,
        first,
        number,
        age,
    )
    await database.execute(
        """
        INSERT INTO notifications.deliveries
               (delivery_id, notice_id, account_id, channel, address_id, kind, urgency, state, state_reason,
                create_time, due_time, expire_time, supersede_key, trace_id)
        SELECT 'd' || g, 'n' || g, 1 + g % 1000, 'fcm', 'a', 'k', 2, 3, '', now(), now(), now(), '', ''
          FROM generate_series($1::int, $1 + $2 - 1) g
        """,
        first,
        number,
    )
    await database.execute(
        """
        INSERT INTO notifications.attempts (delivery_id, number, channel, time)
        SELECT 'd' || g, 1, 'fcm', now() FROM generate_series($1::int, $1 + $2 - 1) g
        """,
        first,
        number,
    )


async def test_pods_share_the_work_and_read_no_more_than_they_delete(tables: Database) -> None:
    await many(tables, 0, 1000, "500 days")
    await many(tables, 1000, 20_000, "5 days")
    await tables.execute("ANALYZE notifications.notices, notifications.deliveries, notifications.attempts")
    await tables.execute("SELECT pg_stat_reset()")
    now = await tables.fetchval("SELECT now()")
    async with Database.connect(tables.url, max_size=6) as worked:
        pods = [Forgetter(worked, KEPT, lambda: now) for _ in range(3)]
        assert sum(await asyncio.gather(*(pod.forget() for pod in pods))) == 1000
    assert await count(tables, "notices") == await count(tables, "attempts") == 20_000

    async def told() -> list[Any]:
        """What was read, once the connections have told all that they did: they do when they end."""
        found = await tables.fetch(
            """
            SELECT relname, seq_tup_read, n_tup_del FROM pg_stat_user_tables
             WHERE schemaname = 'notifications' AND relname IN ('deliveries', 'inbox_entries') ORDER BY relname
            """
        )
        return found if found[0]["n_tup_del"] == 1000 else []

    scans = await until(told)
    assert {row["relname"]: row["seq_tup_read"] for row in scans} == {"deliveries": 0, "inbox_entries": 0}


async def test_the_oldest_are_found_by_their_index(tables: Database) -> None:
    await many(tables, 0, 20_000, "5 days")
    await tables.execute("ANALYZE notifications.notices, notifications.deliveries")
    async with tables.acquire() as connection:
        plan = await connection.fetch(
            "EXPLAIN SELECT n.notice_id FROM notifications.notices n WHERE n.create_time < now() - interval '400 days'"
            " ORDER BY n.create_time LIMIT 200"
        )
    assert "notices_times" in "\n".join(row[0] for row in plan)
