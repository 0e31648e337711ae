"""Topics of the cluster: made, described, trimmed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    InvalidConfigurationError,
    InvalidPartitionsError,
    KafkaConnectionError,
    KafkaError,
    PolicyViolationError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.metadata import MetadataRequest

from smartex_bus.errors import BusUnavailable, Misconfigured, UnknownTopic
from smartex_bus.kafka.records import RECORD_OVERHEAD
from smartex_bus.kafka.security import FORBIDDEN, connection
from smartex_bus.records import Topic
from smartex_bus.settings import KafkaSettings

_log = structlog.get_logger(__name__)
_READY_SECONDS = 15.0
_OF_THE_TOPIC = 1
"""Source of a setting in Kafka's answers: set for this topic, not by the brokers' settings or by default."""


class Topics:
    """Administration over one connection."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._admin: Any = None
        self._lock = asyncio.Lock()
        self._known: dict[str, int] = {}

    async def admin(self) -> Any:
        """The admin client, connected. ``KafkaConnectionError`` if no broker answers."""
        async with self._lock:
            if self._admin is None:
                admin = AIOKafkaAdminClient(
                    **connection(self._settings),
                    request_timeout_ms=int(self._settings.request_timeout * 1000),
                )
                try:
                    await admin.start()
                except BaseException:
                    await admin.close()
                    raise
                self._admin = admin
            return self._admin

    async def forget(self) -> None:
        """Drop the connection, so that the next call starts afresh with the brokers of the settings."""
        async with self._lock:
            admin, self._admin = self._admin, None
        if admin is not None:
            with contextlib.suppress(KafkaError, OSError):
                await admin.close()

    async def ensure(self, *topics: Topic) -> None:
        """Create or widen the topics, correct their settings, and wait until their partitions have leaders."""
        admin = await self.admin()
        there = await self._described(admin, [topic.name for topic in topics])
        existing = {name for name, partitions in there.items() if partitions}
        existing |= await self._create(admin, [topic for topic in topics if topic.name not in existing])
        old = [topic for topic in topics if topic.name in existing]
        await self._correct(admin, old)
        await self._widen(admin, old)
        await self._wait_for_leaders(admin, topics)

    async def _create(self, admin: Any, topics: Sequence[Topic]) -> set[str]:
        """Make topics; returns those that somebody else made at the same time."""
        if not topics:
            return set()
        answer = await admin.create_topics(
            [
                NewTopic(t.name, t.partitions, self._settings.replication, topic_configs=self._configs(t))
                for t in topics
            ]
        )
        made_by_others: set[str] = set()
        for name, code, *message in answer.topic_errors:
            if for_code(code) is TopicAlreadyExistsError:
                made_by_others.add(name)
            else:
                _refuse(code, f"cannot create topic {name}: {message}")
        return made_by_others

    def _configs(self, topic: Topic) -> dict[str, str]:
        room = self._settings.max_append_bytes + 2 * RECORD_OVERHEAD
        milliseconds = -1 if topic.retention is None else int(topic.retention.total_seconds() * 1000)
        return {
            "retention.ms": str(milliseconds),
            "retention.bytes": "-1",
            "max.message.bytes": str(room),
            "min.insync.replicas": str(self._settings.min_insync),
            "compression.type": "producer",
        }

    async def _correct(self, admin: Any, topics: Sequence[Topic]) -> None:
        """Write the settings that differ. What an operator set beside them stays."""
        if not topics:
            return
        resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics]
        (answer,) = await admin.describe_configs(resources)
        found = {each["resource_name"]: each for each in answer.to_object()["resources"]}
        for topic in topics:
            code, message = found[topic.name]["error_code"], found[topic.name]["error_message"]
            if for_code(code) is UnknownTopicOrPartitionError:
                continue  # made by another process a moment ago, as this one would have made it
            _refuse(code, f"cannot read the settings of topic {topic.name}: {message}")
            await self._correct_one(admin, topic, found[topic.name]["config_entries"])

    async def _correct_one(self, admin: Any, topic: Topic, entries: Sequence[dict[str, Any]]) -> None:
        wanted = self._configs(topic)
        values = {entry["config_names"]: entry["config_value"] for entry in entries}
        changes = {
            name: f"{values.get(name)} to {value}"
            for name, value in wanted.items()
            if values.get(name) != value
        }
        if not changes:
            return
        # The request replaces all settings of the topic: what it leaves out falls back to the cluster's default.
        own = {
            entry["config_names"]: entry["config_value"]
            for entry in entries
            if entry["config_source"] == _OF_THE_TOPIC
        }
        resource = ConfigResource(ConfigResourceType.TOPIC, topic.name, configs=own | wanted)
        (answer,) = await admin.alter_configs([resource])
        for code, message, *_ in answer.resources:
            _refuse(code, f"cannot change topic {topic.name}, {changes}: {message}")
        _log.warning("the settings of a topic were changed", topic=topic.name, changed=changes)

    async def _widen(self, admin: Any, topics: Iterable[Topic]) -> None:
        for topic in topics:
            partitions = len(await self._partitions(admin, topic.name))
            if partitions < topic.partitions:
                with contextlib.suppress(InvalidPartitionsError):
                    await admin.create_partitions({topic.name: NewPartitions(topic.partitions)})
                    _log.info(
                        "partitions were added", topic=topic.name, before=partitions, now=topic.partitions
                    )

    async def _wait_for_leaders(self, admin: Any, topics: Iterable[Topic]) -> None:
        async with asyncio.timeout(_READY_SECONDS):
            for topic in topics:
                self._known.pop(topic.name, None)
                while True:
                    partitions = await self._partitions(admin, topic.name)
                    led = [p for p in partitions if p["leader"] >= 0]
                    if len(led) >= topic.partitions:
                        self._known[topic.name] = len(partitions)
                        break
                    await asyncio.sleep(0.05)

    async def _partitions(self, admin: Any, name: str) -> list[dict[str, Any]]:
        return (await self._described(admin, [name]))[name]

    @staticmethod
    async def _described(admin: Any, names: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """The partitions of each topic, none of one that does not exist."""
        # Not by `describe_topics`, which has a cluster that makes topics by itself make those that are asked for.
        request = MetadataRequest(list(names), allow_auto_topic_creation=False)
        answer = (await admin._send_request(request)).to_object()
        for topic in answer["topics"]:
            if for_code(topic["error_code"]) in FORBIDDEN:
                _refuse(topic["error_code"], f"cannot see topic {topic['topic']}")
        return {
            topic["topic"]: [] if topic["error_code"] else list(topic["partitions"])
            for topic in answer["topics"]
        }

    async def names(self) -> list[str]:
        """Every topic of the cluster."""
        return list(await (await self.admin()).list_topics())

    async def partitions(self, name: str) -> int:
        """How many partitions a topic has. ``UnknownTopic`` if there is no such topic."""
        if name not in self._known:
            self._known[name] = await self._look_up(name)
        return self._known[name]

    async def _look_up(self, name: str) -> int:
        # A topic made a moment ago is not known to every broker yet.
        for wait in (0.05, 0.15, 0.3, 0.5, 0.0):
            partitions = await self._partitions(await self.admin(), name)
            if partitions:
                return len(partitions)
            await asyncio.sleep(wait)
        raise UnknownTopic(f"topic {name} does not exist: call ensure_topics")

    async def resolve(self, name: str, partition: int) -> None:
        """``UnknownTopic`` if the topic or its partition does not exist."""
        partitions = await self.partitions(name)
        if partition >= partitions:  # another process may have widened the topic
            self._known.pop(name)
            partitions = await self.partitions(name)
        if not 0 <= partition < partitions:
            raise UnknownTopic(
                f"topic {name} has no partition {partition}, only {partitions}: call ensure_topics"
            )

    async def trim(self, name: str, partition: int, before: int) -> None:
        """Remove every record before the offset."""
        admin = await self.admin()
        await admin.delete_records({TopicPartition(name, partition): RecordsToDelete(before)})

    async def answers(self) -> bool:
        """Whether the cluster answers within two seconds."""
        try:
            async with asyncio.timeout(2.0):
                return bool(await (await self.admin()).describe_cluster())
        except (KafkaError, OSError, TimeoutError):
            await self.forget()
            return False


def _refuse(code: int, words: str) -> None:
    """Raise what an answer's code means, if it is no success."""
    error = for_code(code)
    if error in (InvalidConfigurationError, PolicyViolationError):
        raise Misconfigured(f"Kafka refuses: {words}")
    if code:
        raise error(words)


class Available:
    """Turns the driver's errors into ``BusUnavailable``, and makes the next call connect anew."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (KafkaError, OSError, TimeoutError)):
            if isinstance(error, FORBIDDEN):
                raise Misconfigured(
                    f"Kafka does not allow that to this user, give the right to it: {error}"
                ) from error
            if isinstance(error, (KafkaConnectionError, OSError, TimeoutError)) or error.retriable:
                await self._topics.forget()
            raise BusUnavailable(f"Kafka does not do it at the moment, retry: {error!r}") from error
