"""Settings of Kafka's topics: written where they differ, and only then."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from smartex_bus import KafkaSettings, Misconfigured, Topic, open_bus
from structlog.testing import capture_logs
from waiting import until

from tests.integration.bus.conftest import Kafka

HOUR = timedelta(hours=1)


class Operator:
    """Sees and sets what topics are set to, past the bus; counts what is written."""

    def __init__(self, client: AIOKafkaAdminClient, monkeypatch: pytest.MonkeyPatch) -> None:
        self._client = client
        self.writes = 0
        write = AIOKafkaAdminClient.alter_configs

        async def counted(admin: AIOKafkaAdminClient, resources: list[ConfigResource]) -> Any:
            self.writes += 1
            return await write(admin, resources)

        monkeypatch.setattr(AIOKafkaAdminClient, "alter_configs", counted)

    async def set(self, topic: str, **settings: str) -> None:
        configs = {name.replace("_", "."): value for name, value in settings.items()}
        await self._client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=configs)])
        await self.until(topic, configs)

    async def until(self, topic: str, configs: dict[str, str]) -> None:
        """Wait until the broker knows what was written: the controller tells it later."""

        async def known() -> bool:
            return await self.sees(topic, *configs) == list(configs.values())

        await until(known, f"{topic} to have {configs}")

    async def sees(self, topic: str, *names: str) -> list[str]:
        wanted = dict.fromkeys(names)
        (answer,) = await self._client.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic, configs=wanted)]
        )
        entries = answer.to_object()["resources"][0]["config_entries"]
        found = {entry["config_names"]: entry["config_value"] for entry in entries}
        return [found[name] for name in names]


async def test_settings_are_written_only_where_they_differ(
    kafka: Kafka, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(kafka.settings, KafkaSettings)
    client = AIOKafkaAdminClient(bootstrap_servers=kafka.settings.servers)
    await client.start()
    operator = Operator(client, monkeypatch)
    try:
        async with await open_bus(kafka.settings) as bus:
            topics = Topic(topic, retention=HOUR), Topic(f"{topic}-b")
            for _ in range(2):
                await bus.ensure_topics(*topics)
            assert operator.writes == 0

            await operator.set(topic, segment_bytes="2000000", max_message_bytes="1000")
            with capture_logs() as logs:
                await bus.ensure_topics(*topics)
            assert operator.writes == 2
            (said,) = [each for each in logs if each["event"] == "the settings of a topic were changed"]
            assert said["topic"] == topic
            assert said["changed"]["max.message.bytes"] == f"1000 to {18 << 20}"
            # The operator's own setting is still there.
            await operator.until(
                topic,
                {"segment.bytes": "2000000", "retention.ms": "3600000", "max.message.bytes": str(18 << 20)},
            )

            await bus.ensure_topics(*topics)
            assert operator.writes == 2
    finally:
        await client.close()


async def test_settings_that_kafka_refuses_are_told(kafka: Kafka, topic: str) -> None:
    async with await open_bus(kafka.settings) as bus:
        await bus.ensure_topics(Topic(topic))
        for name in (topic, f"{topic}-new"):
            with pytest.raises(Misconfigured, match=f"topic {name}.*retention.ms"):
                await bus.ensure_topics(Topic(name, retention=timedelta(milliseconds=-5)))
