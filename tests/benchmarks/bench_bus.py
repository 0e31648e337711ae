"""The bus's append against the bare driver on the same server in the same run, both engines, all of it
durable.

The peers: asyncpg's prepared INSERT that commits by itself, and aiokafka's `send_and_wait` of an idempotent
producer with acks=all. Rounds alternate, since the machines are shared. Latency: one caller, p50 in µs,
ratio = ours / theirs (less is better). Throughput: 8 callers that wait for every append, appends/s, ratio =
ours / theirs (more is better); the bare INSERTs go over 8 connections.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer
from smartex_bus import Bus, Record, Topic, open_bus
from smartex_bus.kafka_server import KafkaServer
from smartex_store import EmbeddedPostgres

Append = Callable[[], Awaitable[Any]]
VALUE = bytes(range(200))
WARM_UP = 1_000
"""Appends of each kind before those that count: a broker that has just started compiles itself while it answers."""
ROUNDS = 5
SINGLE = 200
CALLERS = 8
EACH = 150
FOLLOWED = 400


async def _latencies(append: Append) -> list[float]:
    taken: list[float] = []
    for _ in range(SINGLE):
        start = time.perf_counter()
        await append()
        taken.append(time.perf_counter() - start)
    return taken


async def _rate(appends: list[Append]) -> float:
    async def work(append: Append) -> None:
        for _ in range(EACH):
            await append()

    start = time.perf_counter()
    await asyncio.gather(*map(work, appends))
    return len(appends) * EACH / (time.perf_counter() - start)


async def _compare(engine: str, ours: Append, theirs: list[Append]) -> list[dict[str, Any]]:
    """`theirs`: one append per caller; the first also stands for the single caller."""
    for _ in range(WARM_UP):
        await ours()
        await theirs[0]()
    for append in theirs[1:]:
        await append()
    single: tuple[list[float], list[float]] = ([], [])
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        single[0].extend(await _latencies(ours))
        single[1].extend(await _latencies(theirs[0]))
        rates[0].append(await _rate([ours] * CALLERS))
        rates[1].append(await _rate(theirs))
    p50 = [statistics.median(taken) * 1e6 for taken in single]
    p99 = [statistics.quantiles(taken, n=100)[98] * 1e6 for taken in single]
    rate = [statistics.median(rounds) for rounds in rates]
    return [
        _row(f"{engine}: append, one caller, p50", p50, "µs"),
        _row(f"{engine}: append, one caller, p99", p99, "µs"),
        _row(f"{engine}: append, {CALLERS} callers", rate, "appends/s"),
    ]


def _row(name: str, pair: list[float], unit: str) -> dict[str, Any]:
    return {"name": name, "value": pair[0], "unit": unit, "peer": pair[1], "ratio": pair[0] / pair[1]}


async def _wake_ups(engine: str, bus: Bus, other: Bus) -> list[dict[str, Any]]:
    """From the call of `append` until a follower has the record: on the same bus, and on another."""
    return [
        await _wake_up(f"{engine}: append until followed here, p50", bus, bus),
        await _wake_up(f"{engine}: append until followed elsewhere, p50", bus, other),
    ]


async def _wake_up(name: str, writer: Bus, reader: Bus) -> dict[str, Any]:
    await writer.ensure_topics(Topic("followed"))
    appender = writer.appender("followed")
    stream = reader.follow("followed", 0, (await reader.offsets("followed", 0))[1])
    taken: list[float] = []
    for _ in range(FOLLOWED):
        following = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.001)
        start = time.perf_counter()
        await appender.append(Record(VALUE))
        await following
        taken.append(time.perf_counter() - start)
    await stream.aclose()  # type: ignore[attr-defined]
    p50 = statistics.median(taken) * 1e6
    return {"name": name, "value": p50, "unit": "µs"}


async def _postgres(folder: Path) -> list[dict[str, Any]]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(EmbeddedPostgres(folder))
        bus, other = [await stack.enter_async_context(await open_bus(server.url)) for _ in range(2)]
        await bus.ensure_topics(Topic("bench"))
        appender = bus.appender("bench")
        bare = await asyncpg.connect(server.url)
        await bare.execute("create table bare (id bigserial primary key, value bytea not null)")
        theirs: list[Append] = []
        for _ in range(CALLERS):
            connection = await asyncpg.connect(server.url)
            stack.push_async_callback(connection.close)
            statement = await connection.prepare("insert into bare (value) values ($1) returning id")
            theirs.append(lambda statement=statement: statement.fetchval(VALUE))  # type: ignore[misc]
        await bare.close()
        rows = await _compare("PostgreSQL", lambda: appender.append(Record(VALUE)), theirs)
        return [*rows, *await _wake_ups("PostgreSQL", bus, other)]


async def _kafka(folder: Path) -> list[dict[str, Any]]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(KafkaServer(folder))
        bus, other = [await stack.enter_async_context(await open_bus(server.url)) for _ in range(2)]
        await bus.ensure_topics(Topic("bench"), Topic("bare"))
        appender = bus.appender("bench")
        producer = AIOKafkaProducer(
            bootstrap_servers=server.bootstrap, acks="all", enable_idempotence=True, max_batch_size=1 << 20
        )
        await producer.start()
        stack.push_async_callback(producer.stop)
        theirs: list[Append] = [lambda: producer.send_and_wait("bare", VALUE, partition=0)] * CALLERS
        rows = await _compare("Kafka", lambda: appender.append(Record(VALUE)), theirs)
        return [*rows, *await _wake_ups("Kafka", bus, other)]


async def run() -> list[dict[str, Any]]:
    """Measure both engines; about half a minute."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        return [*await _postgres(Path(folder) / "postgres"), *await _kafka(Path(folder) / "kafka")]
