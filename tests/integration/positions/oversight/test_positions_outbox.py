"""The outbox: nothing is lost, and what is told twice has the same id."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from positions import outbox
from positions.outbox import NOTICES_TOPIC, Relay
from smartex.notifications.v1.notice_pb2 import Notice
from smartex_bus import AppendUnknown, Record
from waiting import until


def notice(number: int) -> Notice:
    return Notice(notice_id=f"n:{number}", account_id=number % 5 + 1)


async def put(desk: Any, *numbers: int) -> None:
    async with desk.database.transaction() as connection:
        await outbox.put(connection, [notice(number) for number in numbers])


async def ids(desk: Any) -> list[str]:
    records = await desk.bus.read(NOTICES_TOPIC, 0, 0, max_records=5000)
    assert all(record.key == str(Notice.FromString(record.value).account_id).encode() for record in records)
    return [Notice.FromString(record.value).notice_id for record in records]


async def test_in_order_and_once(desk: Any) -> None:
    await put(desk, *range(1200))
    moved = [await desk.oversight.relay.relay() for _ in range(4)]
    assert moved == [500, 500, 200, 0]
    assert await ids(desk) == [f"n:{number}" for number in range(1200)]


async def test_a_rolled_back_cause_tells_nothing(desk: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        await broken(desk)
    assert await desk.oversight.relay.relay() == 0


async def broken(desk: Any) -> None:
    async with desk.database.transaction() as connection:
        await outbox.put(connection, [notice(1)])
        raise ZeroDivisionError


class Dying:
    """An appender whose program dies right after the append was durable."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def append(self, *records: Record) -> int:
        await self._inner.append(*records)
        raise asyncio.CancelledError


async def test_death_between_append_and_delete_repeats_and_loses_nothing(desk: Any) -> None:
    class Bus:
        def appender(self, topic: str) -> Dying:
            return Dying(desk.bus.appender(topic))

    await put(desk, 1, 2)
    with pytest.raises(asyncio.CancelledError):
        await Relay(desk.database, Bus()).relay()  # type: ignore[arg-type]
    assert await desk.oversight.relay.relay() == 2
    assert await ids(desk) == ["n:1", "n:2", "n:1", "n:2"]


async def test_two_relays_share_the_work(desk: Any) -> None:
    await put(desk, *range(900))
    other = Relay(desk.database, desk.bus)
    while sum(await asyncio.gather(desk.oversight.relay.relay(), other.relay())):
        pass
    assert sorted(await ids(desk)) == sorted(f"n:{number}" for number in range(900))


async def test_a_running_relay_hears_a_wake(desk: Any) -> None:
    relay = Relay(desk.database, desk.bus)
    await relay.start()
    try:
        await put(desk, 7)
        relay.wake()

        async def relayed() -> bool:
            return await ids(desk) == ["n:7"]

        await until(relayed)
    finally:
        await relay.stop()


async def test_a_relay_holds_one_connection_however_much_it_moves(desk: Any) -> None:
    """A connection for each batch used the server's up after a hundred alerts."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%append%'"
    found = []
    for number in range(5):
        await put(desk, number)
        assert await desk.oversight.relay.relay() == 1
        found.append(await desk.database.fetchval(count))
    assert len(set(found)) == 1
    await desk.oversight.relay.stop()


async def test_a_failed_append_is_tried_again_over_a_new_one(desk: Any) -> None:
    """An appender that failed takes no more: kept, it would hold all later notices back until a restart."""
    made: list[Any] = []

    class Bus:
        def appender(self, topic: str) -> Any:
            made.append(Failing() if not made else desk.bus.appender(topic))
            return made[-1]

    relay = Relay(desk.database, Bus())  # type: ignore[arg-type]
    await put(desk, 1, 2)
    with pytest.raises(AppendUnknown):
        await relay.relay()
    assert made[0].closed
    assert await relay.relay() == 2
    assert await ids(desk) == ["n:1", "n:2"]
    await relay.stop()


class Failing:
    """An appender whose append fails for good."""

    closed = False

    async def append(self, *records: Record) -> int:
        raise AppendUnknown("no answer")

    async def close(self, drain: bool = True) -> None:
        self.closed = True
