"""A Kafka that asks who is there: what works, and what who is wrong is told."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path
from typing import get_args
from urllib.parse import quote

import pytest
from smartex_bus import (
    BusUnavailable,
    KafkaSettings,
    Misconfigured,
    Record,
    Topic,
    open_bus,
    origin,
    settings_of,
)
from smartex_bus.settings import KafkaMechanism

from tests.integration.bus.secure import PASSWORD, USER, Authority, Guarded
from tests.integration.bus.test_letters import Operator
from tests.integration.bus.test_log import follow_until, read_all


async def test_every_client_logs_in(guarded: Guarded, topic: str) -> None:
    """Appends, reads, followers, a group and its letters, and the command."""
    url, group = guarded.url("SCRAM-SHA-512"), f"g-{topic}"
    async with await open_bus(url) as bus, await open_bus(url) as other:
        await bus.ensure_topics(Topic(topic))
        appender = bus.appender(topic)
        await asyncio.gather(*(appender.append(Record(b"%d" % i)) for i in range(20)))
        assert [int(record.value) for record in await read_all(other, topic)] == list(range(20))
        assert len(await follow_until(other, topic, 0, 20)) == 20
        async with other.consume(group, [topic]) as consumer:
            batch = await anext(consumer)
            await other.dead_letter(batch.records[3], group=group, reason="cannot parse")
            await consumer.commit({(batch.topic, batch.partition): batch.next_offset})
            assert await Operator(url).json("redrive", group, "--all") == {"done": 1}
            while (batch := await anext(consumer)).topic == topic:
                pass
            assert origin(batch.records[0]) == (topic, 0, 3)
        assert await bus.healthy()


@pytest.mark.parametrize("mechanism", get_args(KafkaMechanism))
async def test_no_mechanism_tells_the_log_the_password(
    guarded: Guarded, topic: str, mechanism: KafkaMechanism, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = guarded.url(mechanism)
    async with await open_bus(url) as bus:
        assert await bus.dead_letters(topic) == []
    settings = settings_of(url)
    assert isinstance(settings, KafkaSettings)
    assert settings.security.password is not None
    assert "aiokafka" in caplog.text
    assert settings.security.password not in caplog.text


async def test_a_certificate_is_shown_to_a_listener_that_asks_for_one(
    guarded: Guarded, topic: str, tmp_path: Path
) -> None:
    ca = f"ca_file={guarded.authority.ca}"
    certificate, key = guarded.authority.issue("client")
    async with await open_bus(f"kafka://{guarded.mutual}?{ca}&cert_file={certificate}&key_file={key}") as bus:
        await bus.ensure_topics(Topic(topic))
        assert await bus.appender(topic).append(Record(b"x")) == 0
    strange_certificate, strange_key = Authority(tmp_path / "other").issue("client")
    for words in ("", f"&cert_file={strange_certificate}&key_file={strange_key}"):
        with pytest.raises(Misconfigured, match="whether it asks for a certificate"):
            await open_bus(f"kafka://{guarded.mutual}?{ca}{words}")


async def test_who_is_refused_is_told_why_at_once(guarded: Guarded, tmp_path: Path) -> None:
    login = f"{USER}:{quote(PASSWORD, safe='')}"
    other = f"ca_file={Authority(tmp_path / 'other').ca}"
    refused = [
        *(
            (guarded.url(mechanism, password="wrong"), "refuses user 'market' or the password")
            for mechanism in get_args(KafkaMechanism)
        ),
        (f"kafka://{login}@{guarded.sasl_ssl}?{other}", "is not trusted .*: set ca_file"),
        (f"kafka://{login}@{guarded.sasl_ssl}", "is not trusted .*: set ca_file"),
        (f"kafka://{login}@{guarded.server.bootstrap}?security=SASL_PLAINTEXT", "takes no login"),
    ]
    for url, says in refused:
        with pytest.raises(Misconfigured, match=says) as caught:
            await open_bus(url)
        assert not re.search(r"wrong|p@ss|\n", str(caught.value))
    # A broker says the same while it goes down.
    for place in (guarded.sasl_ssl, guarded.sasl):
        with pytest.raises(BusUnavailable, match="set another security than PLAINTEXT"):
            await open_bus(f"kafka://{place}")
    said = await Operator(guarded.url("SCRAM-SHA-256", password="wrong")).run("letters", code=1)
    assert said.startswith(f"error: Kafka at {guarded.sasl_ssl} refuses user 'market'")
    assert said.count("\n") == 1
