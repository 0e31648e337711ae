"""Both engines: what an operator does with dead letters, by the command."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import re
import sys
from typing import Any

import pytest
from smartex_bus import Bus, DeadLetter, Record, StoredRecord, Topic, UnknownTopic, origin

from tests.integration.bus.conftest import OpenBus, Postgres, Server, settings_url

Place = tuple[str, int, int]


class Operator:
    """Runs `python -m smartex_bus` on the server under test."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def run(self, *words: object, code: int = 0) -> str:
        """What the command says: its errors if it fails."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "smartex_bus", *map(str, words)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"SMARTEX_BUS_URL": self._url},
        )
        out, errors = await process.communicate()
        assert process.returncode == code, (out, errors)
        return (errors if code else out).decode()

    async def json(self, *words: object) -> Any:
        return json.loads(await self.run(*words, "--json"))

    async def ids(self, *words: object) -> list[int]:
        return [letter["id"] for letter in (await self.json("letters", *words))["letters"]]


@pytest.fixture
def operator(server: Server) -> Operator:
    return Operator(settings_url(server.settings))


async def set_aside(bus: Bus, group: str, count: int, reason: str = "cannot parse") -> list[DeadLetter]:
    records = [
        StoredRecord("market", 2, at, b"\x00value %d" % at, b"key", {"h": b"1"}, 10**18)
        for at in range(count)
    ]
    return [await bus.dead_letter(record, group=group, reason=reason) for record in records]


async def topics_of(bus: Bus, *names: str) -> set[str]:
    """Which of these exist."""
    found = set()
    for name in names:
        try:
            await bus.offsets(name, 0)
        except UnknownTopic:
            continue
        found.add(name)
    return found


async def test_letters_are_listed_in_pages_and_shown(bus: Bus, topic: str, operator: Operator) -> None:
    group = f"g-{topic}"
    made = await set_aside(bus, group, 5, reason="why\x1b[2J\n")
    listed = await operator.json("letters", group, "--limit", 2)
    assert [letter["id"] for letter in listed["letters"]] == [letter.id for letter in made[:2]]
    assert listed["more"] == [f"letters {group} --after {made[1].id}"]
    assert await operator.ids(*listed["more"][0].split()[1:]) == [letter.id for letter in made[2:]]

    about = await operator.json("show", group, made[3].id)
    assert (about["topic"], about["partition"], about["offset"]) == ("market", 2, 3)
    assert about["origin"] == {"topic": "market", "partition": 2, "offset": 3}
    assert (about["reason"], about["key"], about["headers"]) == ("why\x1b[2J\n", "key", {"h": "1"})
    assert base64.b64decode(about["value"]) == b"\x00value 3"
    assert 0 <= about["age"] < 60
    assert about["appended"].startswith("2001-09-09T01:46:40")

    # Without a group: those of all groups. Nothing in it moves the cursor of a terminal.
    said = await operator.run("letters", "--limit", 1000)
    assert f"{group} {made[4].id}  " in said
    assert "market[2]@4" in said
    assert "\x1b" not in said + await operator.run("show", group, made[0].id)


async def test_one_letter_or_all_come_back_to_their_group(bus: Bus, topic: str, operator: Operator) -> None:
    group = f"g-{topic}"
    await bus.ensure_topics(Topic(topic))
    back: list[Place] = []

    async def consume() -> None:
        async for batch in consumer:
            for record in batch.records:
                back.append(origin(record))
                if origin(record)[2] == 3:
                    await bus.dead_letter(record, group=group, reason="still broken")
            await consumer.commit({(batch.topic, batch.partition): batch.next_offset})

    async with bus.consume(group, [topic]) as consumer:
        task = asyncio.create_task(consume())
        made = await set_aside(bus, group, 4)
        while not consumer.assignment:
            await asyncio.sleep(0.05)
        assert "delivered" in await operator.run("redrive", group, made[1].id)
        assert await operator.ids(group) == [made[0].id, made[2].id, made[3].id]
        # What fails again while they are delivered waits for the next time.
        assert await operator.json("redrive", group, "--all") == {"done": 3}
        async with asyncio.timeout(60):
            while len(back) < 4:
                await asyncio.sleep(0.05)
        assert back == [("market", 2, at) for at in (1, 0, 2, 3)]
        (again,) = (await operator.json("letters", group))["letters"]
        assert (again["topic"], again["reason"]) == (f"{group}.redrive", "still broken")
        assert again["origin"]["offset"] == 3
        task.cancel()

    await operator.run("close", group, again["id"])
    assert await operator.run("letters", group) == "no open letters\n"
    said = await operator.run("redrive", group, again["id"], code=1)
    assert f"group {group} has no open letter {again['id']}" in said


async def test_no_letter_is_lost_to_a_group_that_takes_nothing_back(
    bus: Bus, topic: str, operator: Operator
) -> None:
    """Such as one that follows a topic by itself: nobody would read what is redriven."""
    group = f"g-{topic}"
    made = await set_aside(bus, group, 2)
    with pytest.raises(UnknownTopic, match="takes no records back"):
        await bus.redrive(made[0])
    assert f"group {group} takes no records back" in await operator.run("redrive", group, "--all", code=1)
    assert await operator.ids(group) == [letter.id for letter in made]
    assert await operator.json("close", group, "--all") == {"done": 2}
    assert await operator.ids(group) == []


async def test_who_looks_makes_no_topics(bus: Bus, topic: str, operator: Operator) -> None:
    assert await operator.ids(f"mistyped-{topic}") == []
    assert await bus.dead_letters(f"mistyped-{topic}") == []
    made = await set_aside(bus, topic, 1)
    with pytest.raises(UnknownTopic):
        await bus.redrive(made[0])
    names = [
        f"{group}.{kind}" for group in (topic, f"mistyped-{topic}") for kind in ("dead-letters", "redrive")
    ]
    assert await topics_of(bus, *names) <= {f"{topic}.dead-letters"}


async def test_who_has_not_the_password_is_told_in_one_line(postgres: Postgres) -> None:
    url = re.sub(r":[^:@]*@", ":wrong@", settings_url(postgres.settings))
    said = await Operator(url).run("letters", code=1)
    assert said == 'error: password authentication failed for user "smartex"\n'


async def test_a_reason_may_hold_anything(bus: Bus, topic: str, new_bus: OpenBus) -> None:
    await bus.ensure_topics(Topic(topic))
    await bus.appender(topic).append(Record(b"x"))
    (record,) = await bus.read(topic, 0, 0)
    await bus.dead_letter(record, group=topic, reason="no \0 in 号")
    (letter,) = await (await new_bus()).dead_letters(topic)
    assert letter.reason in ("no \0 in 号", "no \\0 in 号")


async def test_the_largest_record_is_set_aside_and_delivered_again(
    bus: Bus, topic: str, new_bus: OpenBus
) -> None:
    group = f"g-{topic}"
    await bus.ensure_topics(Topic(topic))
    large = Record(random.Random(2).randbytes((16 << 20) - 5), b"key", {"h": b"1"})
    await bus.appender(topic).append(large)
    async with (await new_bus()).consume(group, [topic]) as consumer:
        for place in (topic, f"{group}.redrive"):
            batch = await anext(consumer)
            (record,) = batch.records
            assert (record.topic, record.value == large.value, record.key) == (place, True, b"key")
            assert origin(record) == (topic, 0, 0)
            await bus.dead_letter(record, group=group, reason="号" * 500)
            await consumer.commit({(batch.topic, batch.partition): batch.next_offset})
            (letter,) = await bus.dead_letters(group)
            assert letter.record.value == large.value
            await bus.redrive(letter)
    assert await bus.dead_letters(group) == []
