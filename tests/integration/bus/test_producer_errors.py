"""The producer-error rule: after an outcome that cannot be known, nothing of that appender may follow."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from smartex_bus import AppenderPoisoned, AppendUnknown, Bus, Record, Topic, UnknownTopic, open_bus


async def assert_poisoned(bus: Bus, appender: Any, futures: list[asyncio.Future[int]]) -> None:
    async with asyncio.timeout(60):
        outcomes = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [AppendUnknown] * len(futures)
    with pytest.raises(AppenderPoisoned, match="leave the process"):
        appender.append_nowait(Record(b"past the gap"))
    async with asyncio.timeout(60):
        await bus.fatal.wait()
    assert isinstance(bus.fatal_error, AppendUnknown)
    assert not await bus.healthy()


async def values(bus: Bus, topic: str) -> list[bytes]:
    return [record.value for record in await bus.read(topic, 0, 0)]


async def test_kafka_refuses_a_batch(kafka: Any, topic: str) -> None:
    async with await open_bus(kafka.settings) as bus:
        await bus.ensure_topics(Topic(topic))
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.settings.servers)
        await admin.start()
        limit = {"max.message.bytes": "1000"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=limit)])
        await admin.close()
        appender = bus.appender(topic)
        assert await appender.append(Record(b"before")) == 0
        refused = appender.append_nowait(Record(random.Random(7).randbytes(5000)))
        # Let the refused group go out alone, so that these wait behind it.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        behind = [appender.append_nowait(Record(b"behind %d" % i)) for i in range(3)]
        await assert_poisoned(bus, appender, [refused, *behind])
        assert await values(bus, topic) == [b"before"]


async def test_kafka_does_not_answer_in_time(kafka: Any, topic: str) -> None:
    settings = replace(kafka.settings, request_timeout=1.0, delivery_timeout=1.5)
    async with await open_bus(settings) as bus:
        await bus.ensure_topics(Topic(topic))
        appender = bus.appender(topic)
        assert await appender.append(Record(b"before")) == 0
        kafka.pause()
        try:
            await assert_poisoned_while_frozen(bus, appender)
        finally:
            kafka.resume()
    async with await open_bus(kafka.settings) as bus:
        # The lost group may have arrived, once; nothing may have come after it.
        assert await values(bus, topic) in ([b"before"], [b"before", b"lost"])


async def assert_poisoned_while_frozen(bus: Bus, appender: Any) -> None:
    lost = appender.append_nowait(Record(b"lost"))
    await asyncio.sleep(0.1)
    behind = [appender.append_nowait(Record(b"behind")) for _ in range(2)]
    await assert_poisoned(bus, appender, [lost, *behind])


async def test_a_superseded_postgres_producer(postgres: Any, topic: str) -> None:
    async with await open_bus(postgres.settings) as bus:
        await bus.ensure_topics(Topic(topic))
        appender = bus.appender(topic)
        assert await appender.append(Record(b"before")) == 0
        connection = await asyncpg.connect(postgres.settings.url)
        await connection.execute("update bus.producer set batch = batch + 5")
        await connection.close()
        await assert_poisoned(bus, appender, [appender.append_nowait(Record(b"late"))])
        assert await values(bus, topic) == [b"before"]


async def test_an_unknown_topic_is_told_as_such(postgres: Any, kafka: Any, topic: str) -> None:
    for server in (postgres, kafka):
        async with await open_bus(server.settings) as bus:
            appender = bus.appender(topic)
            with pytest.raises(UnknownTopic, match="ensure_topics"):
                await appender.append(Record(b"x"))
            assert not bus.fatal.is_set()
            await bus.ensure_topics(Topic(topic))
            assert await appender.append(Record(b"x")) == 0
