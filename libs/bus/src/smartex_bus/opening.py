"""One door to both engines."""

from __future__ import annotations

from typing import Protocol

from smartex_bus.api import Bus
from smartex_bus.settings import KafkaCompression, KafkaSettings, PostgresSettings


async def open_bus(where: str | PostgresSettings | KafkaSettings) -> Bus:
    """Open the bus at ``postgresql://…`` or ``kafka://host:port,host:port``, or as the settings say.

    ``ValueError`` for any other URL; ``BusUnavailable`` if the server cannot be reached.
    """
    settings = settings_of(where) if isinstance(where, str) else where
    # A process uses one engine; the other's driver need not be loaded.
    if isinstance(settings, PostgresSettings):
        from smartex_bus.postgres import PostgresBus

        return await PostgresBus.open(settings)
    from smartex_bus.kafka import KafkaBus

    return await KafkaBus.open(settings)


def settings_of(url: str) -> PostgresSettings | KafkaSettings:
    """The settings a URL stands for. ``ValueError`` if it is neither engine's."""
    scheme, _, rest = url.partition("://")
    if scheme in ("postgresql", "postgres") and rest:
        return PostgresSettings(url)
    if scheme == "kafka" and rest:
        return KafkaSettings(rest)
    raise ValueError(f"a bus is postgresql://… or kafka://host:port,host:port, not {scheme}://…")


class BusChoice(Protocol):
    """What a service's settings say of its bus."""

    @property
    def pod(self) -> str:
        """Name of the pod."""

    @property
    def kafka_replication(self) -> int:
        """Copies of the topics made on Kafka."""

    @property
    def kafka_compression(self) -> KafkaCompression:
        """How batches are packed on Kafka."""

    def bus(self) -> str:
        """URL of the bus."""


def service_settings(service: str, chosen: BusChoice) -> PostgresSettings | KafkaSettings:
    """The bus of a service's pod: an append is durable once most copies have it. ``ValueError`` as `settings_of`."""
    settings = settings_of(chosen.bus())
    if isinstance(settings, PostgresSettings):
        return settings
    return KafkaSettings(
        settings.servers,
        replication=chosen.kafka_replication,
        min_insync=chosen.kafka_replication // 2 + 1,
        compression=chosen.kafka_compression,
        client_id=f"{service}-{chosen.pod}",
    )
