"""Settings of the two engines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

KafkaCompression: TypeAlias = Literal["none", "snappy", "lz4", "zstd"]


@dataclass(frozen=True)
class PostgresSettings:
    """How the PostgreSQL engine behaves."""

    url: str = field(repr=False)
    """``postgresql://`` URL of the database; its schema ``bus`` belongs to the engine."""
    pool_size: int = 6
    """Most connections for reads and administration; every appender has one more of its own."""
    connect_timeout: float = 5.0
    """Seconds one attempt to connect may take."""
    append_timeout: float = 10.0
    """Seconds after which an append's connection is given up and the append retried on a new one."""
    poll_interval: float = 1.0
    """Seconds after which a follower looks for records it was not told of."""
    retention_interval: float = 30.0
    """Seconds between two rounds of removing what retention no longer keeps."""


@dataclass(frozen=True)
class KafkaSettings:
    """How the Kafka engine behaves."""

    servers: str
    """``host:port`` of one or more brokers, separated by commas."""
    replication: int = 1
    """Copies of every partition of the topics created here."""
    min_insync: int = 1
    """Copies that must have an append before it counts as durable."""
    compression: KafkaCompression = "none"
    """How batches are packed, Snappy fastest. It saves two thirds of the bytes on the network and on disks, and
    costs an eighth of the orders a second: worth it where brokers are far away or their disks small."""
    delivery_timeout: float = 120.0
    """Seconds after which an append without an answer poisons its appender (outcome unknown)."""
    request_timeout: float = 10.0
    """Seconds one request to a broker may take."""
    max_append_bytes: int = 16 << 20
    """Most bytes of one append; the topics created here accept as much in one batch."""
    client_id: str = "smartex-bus"
    """Name of this client in the brokers' logs and metrics."""
