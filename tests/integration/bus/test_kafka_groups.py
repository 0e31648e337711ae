"""Groups on Kafka go on after what stops aiokafka's consumer, and past what no letter holds."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from smartex_bus import (
    BusUnavailable,
    GroupBatch,
    GroupConsumer,
    LeaseLost,
    Record,
    RecordTooLarge,
    Topic,
    open_bus,
)
from waiting import until


async def test_a_member_joins_anew_when_its_driver_gave_up(
    kafka: Any, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = GroupCoordinator._maybe_do_autocommit
    failures = [RuntimeError("a bug in the driver")]

    async def fail_once(coordinator: GroupCoordinator, assignment: Any) -> Any:
        if failures:
            raise failures.pop()
        return await really(coordinator, assignment)

    async with await open_bus(kafka.settings) as bus:
        await bus.ensure_topics(Topic(topic))
        await bus.appender(topic).append(Record(b"x"))
        before = asyncio.all_tasks()
        monkeypatch.setattr(GroupCoordinator, "_maybe_do_autocommit", fail_once)
        async with bus.consume(f"g-{topic}", [topic]) as consumer:
            batches: list[GroupBatch] = []
            # The first may have been fetched before the driver gave up, and comes again then.
            while not batches or not await committed(consumer, batches[-1]):
                async with asyncio.timeout(60):
                    batches.append(await anext(consumer))
            assert not failures
            assert [record.value for record in batches[-1].records] == [b"x"]
        await until(lambda: asyncio.all_tasks() <= before, "the tasks of both consumers to end")


async def committed(consumer: GroupConsumer, batch: GroupBatch) -> bool:
    try:
        await consumer.commit({(batch.topic, batch.partition): batch.next_offset})
    except (LeaseLost, BusUnavailable):
        return False
    return True


async def test_no_group_stops_at_a_record_too_large_for_a_letter(kafka: Any, topic: str) -> None:
    """Such as one that a program of somebody else wrote, packed."""
    group = f"g-{topic}"
    async with await open_bus(kafka.settings) as bus:
        await bus.ensure_topics(Topic(topic))
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka.settings.servers, compression_type="gzip", max_request_size=40 << 20
        )
        async with producer:
            await producer.send_and_wait(topic, bytes(18 << 20), b"key")
        async with bus.consume(group, [topic]) as consumer:
            batch = await anext(consumer)
            await bus.dead_letter(batch.records[0], group=group, reason="cannot parse")
            await consumer.commit({(batch.topic, batch.partition): batch.next_offset})
        (letter,) = await bus.dead_letters(group)
        assert (letter.record.topic, letter.record.offset, letter.record.value) == (topic, 0, b"")
        assert letter.reason == f"cannot parse (its {18 << 20} bytes are too many for a letter)"
        with pytest.raises(RecordTooLarge, match="close the letter"):
            await bus.redrive(letter)
        await bus.close_letter(letter)
        assert await bus.dead_letters(group) == []
