"""Settings of the two engines."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from smartex_bus.errors import Misconfigured

KafkaCompression: TypeAlias = Literal["none", "snappy", "lz4", "zstd"]
KafkaProtocol: TypeAlias = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
KafkaMechanism: TypeAlias = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


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
class KafkaSecurity:
    """How brokers are spoken to: encrypted or not, and as whom. ``Misconfigured`` if the parts do not fit together."""

    protocol: KafkaProtocol = "PLAINTEXT"
    """Kafka's ``security.protocol``: SSL is TLS, SASL is user and password."""
    mechanism: KafkaMechanism = "PLAIN"
    """Kafka's ``sasl.mechanism``: how the password is shown."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    """Authorities (PEM) that brokers' certificates are checked with; the system's by default."""
    cert_file: Path | None = None
    """PEM certificate chain that is shown to brokers which ask for one."""
    key_file: Path | None = None
    """PEM private key of it, not encrypted."""

    @property
    def tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.protocol in ("SSL", "SASL_SSL")

    @property
    def sasl(self) -> bool:
        """Whether a user logs in."""
        return self.protocol in ("SASL_PLAINTEXT", "SASL_SSL")

    def __post_init__(self) -> None:
        if (self.user is None) != (self.password is None):
            raise Misconfigured(
                "Kafka's user and password go together: give user:password@, or user@ and password_file"
            )
        if self.sasl != (self.user is not None):
            raise Misconfigured(
                f"security {self.protocol} {'needs' if self.sasl else 'takes no'} user and password: "
                "SASL_SSL and SASL_PLAINTEXT do, SSL and PLAINTEXT do not"
            )
        if not self.tls and (self.ca_file or self.cert_file or self.key_file):
            raise Misconfigured(f"security {self.protocol} takes no certificates: SSL and SASL_SSL do")
        if (self.cert_file is None) != (self.key_file is None):
            raise Misconfigured("cert_file and key_file go together: give both or none")
        for name, file in (
            ("ca_file", self.ca_file),
            ("cert_file", self.cert_file),
            ("key_file", self.key_file),
        ):
            if file is not None and not os.access(file, os.R_OK):
                raise Misconfigured(f"{name}: no readable file at {file}")


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
    security: KafkaSecurity = KafkaSecurity()
    """TLS and login."""
