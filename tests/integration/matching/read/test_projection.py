"""The projector on a real database and bus: exactly once, whatever is repeated, killed or broken."""

import asyncio
import os
import signal
import subprocess
import sys
from random import Random
from typing import Any

import psutil
import pytest
from matching import history
from matching.history import meters, projector, rows
from matching.history.process import ProjectorProcess
from matching.history.rebuilding import LogCutShort, begin_anew
from plain_history import PlainHistory, PlainOrder
from readside import ModelMarket
from smartex_bus import Record
from smartex_store import EmbeddedPostgres
from structlog.testing import capture_logs
from waiting import until

ORDER_COLUMNS = [
    "created_sequence",
    "order_id",
    "client_order_id",
    "account_id",
    "instrument_id",
    "side",
    "price_ticks",
    "quantity_lots",
    "leaves_lots",
    "executed_lots",
    "executed_value",
    "fees_micros",
    "status",
    "reason",
    "sequence",
    "create_time_ns",
    "update_time_ns",
]


class Flow:
    """A random market's records, and what the history must say of them."""

    def __init__(self, place: Any, seed: int, profile: int = 1, commands: int = 2500) -> None:
        self.market = ModelMarket(seed, profile)
        self.plain = PlainHistory()
        self.records: list[Record] = []
        for number, (first, time_ns, events) in enumerate(self.market.frames(commands)):
            if len(events):
                self.plain.apply(first, time_ns, events)
                self.records.append(place.record(first, time_ns, events, number))


async def check(place: Any, flow: Flow) -> None:
    """The tables say what the plain history says."""
    found = await place.database.fetch(
        f"SELECT {', '.join(ORDER_COLUMNS)}, open FROM matching.orders ORDER BY created_sequence DESC"
    )
    expected = flow.plain.all()
    assert len(found) == len(expected) > 20
    for row, order in zip(found, expected, strict=True):
        assert PlainOrder(**{name: row[name] for name in ORDER_COLUMNS}) == order
        assert row["open"] == (order.leaves_lots > 0)
    trades = await place.database.fetchval("SELECT count(*) FROM matching.trades")
    assert 2 * trades == len(flow.plain.fills) > 2
    volumes = await place.database.fetch(
        "SELECT seconds, sum(volume_lots), sum(trade_count) FROM matching.candles GROUP BY seconds"
    )
    lots = sum(fill[5] for fill in flow.plain.fills) // 2
    assert [tuple(row)[1:] for row in volumes] == [(lots, trades)] * 9


@pytest.mark.parametrize(("seed", "profile"), [(1, 0), (2, 1), (3, 2)])
async def test_the_history_is_what_happened(place: Any, seed: int, profile: int) -> None:
    flow = Flow(place, seed, profile)
    past = place.history(flow.market, batch_events=Random(seed).choice((1, 50, 20_000)))
    await past.start()
    appender = place.bus.appender(place.topic)
    await asyncio.gather(*(appender.append(record) for record in flow.records))
    await place.reached(flow.market.sequence)
    await past.stop()
    await check(place, flow)


async def test_repeats_and_restarts_change_nothing(place: Any) -> None:
    """A second publisher repeats what was said, in other portions; the projector starts again and again."""
    flow = Flow(place, 21)
    random = Random(5)
    appender = place.bus.appender(place.topic)
    at = 0
    while at < len(flow.records):
        upto = at + random.randrange(1, 40)
        await asyncio.gather(*(appender.append(record) for record in flow.records[at:upto]))
        past = place.history(flow.market, holder=f"pod {at}", batch_events=random.choice((1, 300)))
        await past.start()
        await asyncio.sleep(random.random() / 20)
        await past.stop()
        at = max(0, upto - random.randrange(10)) if upto < len(flow.records) else upto
    past = place.history(flow.market, lease_seconds=0.5)
    await past.start()
    await place.reached(flow.market.sequence)
    await past.stop()
    await check(place, flow)


async def test_connections_killed_in_mid_batch_lose_and_double_nothing(
    place: Any, server: EmbeddedPostgres
) -> None:
    flow = Flow(place, 31, commands=4000)
    past = place.history(flow.market, batch_events=100, lease_seconds=0.5)
    await past.start()
    appender = place.bus.appender(place.topic)
    random = Random(1)
    written = asyncio.gather(*(appender.append(record) for record in flow.records))
    for _ in range(12):
        await asyncio.sleep(random.random() / 10)
        await place.database.fetch(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%matching%'
            """
        )
    await written
    await place.reached(flow.market.sequence)
    await past.stop()
    await check(place, flow)


async def test_one_works_and_another_takes_over_from_a_dead_one(place: Any) -> None:
    flow = Flow(place, 41)
    first = place.history(flow.market, holder="first", lease_seconds=1)
    second = place.history(flow.market, holder="second", lease_seconds=1)
    await first.start()
    await until(lambda: first.projector.working)
    await second.start()
    appender = place.bus.appender(place.topic)
    half = len(flow.records) // 2
    await asyncio.gather(*(appender.append(record) for record in flow.records[:half]))
    await place.reached(1)
    assert (first.projector.working, second.projector.working) == (True, False)
    # It dies: nothing is released, the lease has to run out.
    task = first.projector._task
    first.projector._store.release = lambda position: asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.gather(*(appender.append(record) for record in flow.records[half:]))
    await place.reached(flow.market.sequence)
    assert second.projector.working
    await second.stop()
    await check(place, flow)


async def test_a_zombie_cannot_write_after_its_lease_passed(place: Any) -> None:
    from matching.history.rows import Piece, build
    from matching.history.store import LeaseLost, Position, ProjectionStore

    zombie = ProjectionStore(place.database, 0, "zombie", 1)
    other = ProjectionStore(place.database, 0, "other", 5)
    held = await zombie.take()
    assert held is not None
    assert await other.take() is None
    await until(other.take, "the lease to pass")
    first, time_ns, events = next(iter(ModelMarket(51, 1).frames(10)))
    batch = build([Piece(first, time_ns, events)], 0)
    with pytest.raises(LeaseLost):
        await zombie.write(batch, held, Position(held.epoch, len(events), 1))
    assert await place.database.fetchval("SELECT count(*) FROM matching.orders") == 0
    assert await place.position() == 0


async def test_what_cannot_be_read_or_written_is_set_aside_and_the_stream_goes_on(place: Any) -> None:
    flow = Flow(place, 61, commands=800)
    appender = place.bus.appender(place.topic)
    half = len(flow.records) // 2
    past = place.history(flow.market)
    await appender.append(Record(b"\xff\xff\xff"), *flow.records[:half])
    await appender.append(Record(b""), *flow.records[half:])
    await past.start()
    await place.reached(flow.market.sequence)
    # In form, but contradicts what is known: an order that exists is accepted again.
    _, time_ns, events = next(
        frame for frame in ModelMarket(61, 1).frames(800) if (frame[2]["kind"] == 1).any()
    )
    again = events[events["kind"] == 1]
    await appender.append(place.record(flow.market.sequence + 1, time_ns, again))
    await place.reached(flow.market.sequence + len(again))
    await past.stop()
    letters = await place.bus.dead_letters("matching.history")
    assert [letter.record.offset for letter in letters] == [0, half + 1, len(flow.records) + 2]
    assert "UniqueViolation" in letters[2].reason
    await check(place, flow)


async def test_a_rebuild_writes_what_was_set_aside_by_mistake(place: Any, monkeypatch: Any) -> None:
    """The projector cannot take one record, a repair comes, and the history is made anew under way."""
    flow = Flow(place, 62, commands=800)
    await place.bus.appender(place.topic).append(*flow.records)
    broken = place.history(flow.market)
    build = rows.build

    def fails_once(pieces: Any, shard: int) -> Any:
        if any(piece.first_sequence <= 100 < piece.first_sequence + len(piece.events) for piece in pieces):
            raise ValueError("a bug")
        return build(pieces, shard)

    monkeypatch.setattr(rows, "build", fails_once)
    await broken.start()
    await place.reached(flow.market.sequence)
    (letter,) = await place.bus.dead_letters("matching.history")
    with pytest.raises(AssertionError):
        await check(place, flow)

    monkeypatch.setattr(rows, "build", build)
    await begin_anew(place.database, place.bus)
    await place.reached(flow.market.sequence)
    await broken.stop()
    await check(place, flow)
    assert await place.bus.dead_letters("matching.history") == [letter]

    await place.bus.trim(place.topic, 0, 1)
    with pytest.raises(LogCutShort, match="begins at offset 1"):
        await begin_anew(place.database, place.bus)
    await check(place, flow)


async def test_a_history_of_another_log_waits_for_a_rebuild(
    place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log was restored from an older backup, its history was not: what comes would pass for repeats."""
    monkeypatch.setattr(projector, "_LOOK_SECONDS", 0.05)
    flow = Flow(place, 63, commands=300)
    await place.database.execute(
        "INSERT INTO matching.projection (shard, sequence, next_offset) VALUES (0, 1000000, 3)"
    )
    past = place.history(flow.market, lease_seconds=0.5)
    with capture_logs() as logs:
        await past.start()
        await until(lambda: any(said["event"] == "history_of_another_log" for said in logs))
        await place.bus.appender(place.topic).append(*flow.records)
        told = len(logs)
        await until(lambda: len(logs) > told)
    assert await place.position() == 1_000_000
    await begin_anew(place.database, place.bus)
    await until(lambda: reached(place, flow.market.sequence))
    await past.stop()
    await check(place, flow)


async def reached(place: Any, sequence: int) -> bool:
    return bool(await place.position() == sequence)


def beside(place: Any, server: EmbeddedPostgres, flow: Flow) -> history.History:
    return history.build(
        database=place.database,
        bus=place.bus,
        catalogue=flow.market,
        holder="beside",
        beside=history.Beside(server.url, server.url),
    )


async def test_in_a_process_of_its_own_it_is_started_again_when_killed(
    place: Any, server: EmbeddedPostgres
) -> None:
    flow = Flow(place, 71)
    past = beside(place, server, flow)
    appender = place.bus.appender(place.topic)
    third = len(flow.records) // 3
    await asyncio.gather(*(appender.append(record) for record in flow.records[:third]))
    await past.start()
    await place.reached(1)
    projector = past.projector
    assert isinstance(projector, ProjectorProcess)
    first = projector.pid
    assert first is not None
    with capture_logs() as logs:
        os.kill(first, signal.SIGKILL)
        await asyncio.gather(*(appender.append(record) for record in flow.records[third:]))
        await place.reached(flow.market.sequence)
    assert [log["status"] for log in logs if log["event"] == "history_process_ended"] == [-signal.SIGKILL]
    second = projector.pid
    assert second is not None
    assert second != first
    assert os.getpriority(os.PRIO_PROCESS, second) > 0
    await past.stop()
    assert not psutil.pid_exists(second)
    # It has let go: another one is at work at once, not after the lease.
    assert await place.database.fetchval("SELECT lease_until < now() FROM matching.projection")
    await check(place, flow)


async def test_what_the_process_sets_aside_is_logged_and_counted_by_the_pod(
    place: Any, server: EmbeddedPostgres
) -> None:
    flow = Flow(place, 72, commands=200)
    past = beside(place, server, flow)
    before = meters.set_aside._value.get()
    appender = place.bus.appender(place.topic)
    await appender.append(Record(b"\xff\xff\xff"), *flow.records)
    with capture_logs() as logs:
        await past.start()
        await place.reached(flow.market.sequence)
        await past.stop()
    assert [log["log_level"] for log in logs if log["event"] == "history_record_set_aside"] == ["error"]
    assert meters.set_aside._value.get() == before + 1
    assert "password" not in str(logs)


async def test_the_first_question_after_a_start_waits_for_the_process(
    place: Any, server: EmbeddedPostgres
) -> None:
    flow = Flow(place, 73, commands=200)
    appender = place.bus.appender(place.topic)
    await asyncio.gather(*(appender.append(record) for record in flow.records))
    past = history.build(
        database=place.database,
        bus=place.bus,
        catalogue=flow.market,
        holder="beside",
        beside=history.Beside(server.url, server.url),
        head=lambda: flow.market.sequence,
    )
    await past.start()
    assert await past.queries.position() == flow.market.sequence
    await past.stop()


def test_the_process_does_not_outlive_the_pod(server: EmbeddedPostgres) -> None:
    program = (
        "import asyncio, sys\n"
        "from matching.history.process import ProjectorProcess, Task\n"
        "async def main():\n"
        "    kept = ProjectorProcess(Task(sys.argv[1], sys.argv[1], 0, 'pod', {}))\n"
        "    await kept.start()\n"
        "    while kept.pid is None:\n"
        "        await asyncio.sleep(0.01)\n"
        "    print(kept.pid, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    pod = subprocess.Popen([sys.executable, "-c", program, server.url], stdout=subprocess.PIPE, text=True)
    assert pod.stdout is not None
    child = psutil.Process(int(pod.stdout.readline()))
    pod.kill()
    pod.wait()
    pod.stdout.close()
    child.wait(30)
