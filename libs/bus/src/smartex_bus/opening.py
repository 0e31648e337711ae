"""One door to both engines."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, TypeVar

from smartex_bus.api import Bus
from smartex_bus.errors import Misconfigured
from smartex_bus.kafka_url import kafka_settings
from smartex_bus.settings import KafkaCompression, KafkaSettings, PostgresSettings


async def open_bus(where: str | PostgresSettings | KafkaSettings) -> Bus:
    """Open the bus at ``postgresql://…`` or ``kafka://host:port,host:port``, or as the settings say.

    ``Misconfigured`` for any other URL, and if Kafka refuses what the settings say; ``BusUnavailable`` if the server
    cannot be reached.
    """
    settings = settings_of(where) if isinstance(where, str) else where
    # A process uses one engine; the other's driver need not be loaded.
    if isinstance(settings, PostgresSettings):
        from smartex_bus.postgres import PostgresBus

        return await PostgresBus.open(settings)
    from smartex_bus.kafka import KafkaBus

    return await KafkaBus.open(settings)


def settings_of(url: str) -> PostgresSettings | KafkaSettings:
    """The settings a URL stands for. ``Misconfigured`` if it is neither engine's, or not whole."""
    scheme, _, rest = url.partition("://")
    if scheme in ("postgresql", "postgres") and rest:
        return PostgresSettings(url)
    if scheme == "kafka" and rest:
        return kafka_settings(rest)
    raise Misconfigured("a bus is kafka://host:port,… or postgresql://…")


class Secret(Protocol):
    """A word that settings hide (pydantic's `SecretStr`)."""

    def get_secret_value(self) -> str:
        """The word."""


S = TypeVar("S", bound=Secret)


def known_url(url: S | None) -> S | None:
    """For the validators of settings: the URL, if there is one, as it is. ``Misconfigured`` as `settings_of`."""
    if url is not None:
        settings_of(url.get_secret_value())
    return url


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
    """The bus of a service's pod: an append is durable once most copies have it. ``Misconfigured`` as `settings_of`."""
    settings = settings_of(chosen.bus())
    if isinstance(settings, PostgresSettings):
        return settings
    return replace(
        settings,
        replication=chosen.kafka_replication,
        min_insync=chosen.kafka_replication // 2 + 1,
        compression=chosen.kafka_compression,
        client_id=f"{service}-{chosen.pod}",
    )
