"""What travels on the bus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

NO_HEADERS: Mapping[str, bytes] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Record:
    """A record to append."""

    value: bytes
    key: bytes = b""
    headers: Mapping[str, bytes] = field(default_factory=lambda: NO_HEADERS)

    def size(self) -> int:
        """Bytes of payload, as the bounds of an appender count them."""
        total = len(self.value) + len(self.key)
        for name, value in self.headers.items():
            total += len(name) + len(value)
        return total


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record in the log. ``time_ns``: append time, ns since 1970 (Kafka: to the ms)."""

    topic: str
    partition: int
    offset: int
    value: bytes
    key: bytes
    headers: Mapping[str, bytes]
    time_ns: int


@dataclass(frozen=True)
class Topic:
    """A topic: how many partitions, and how long records are kept (``None``: for ever)."""

    name: str
    partitions: int = 1
    retention: timedelta | None = None


@dataclass(frozen=True, slots=True)
class GroupBatch:
    """Consecutive records of one partition, handed to one member of a group."""

    topic: str
    partition: int
    records: list[StoredRecord]

    @property
    def next_offset(self) -> int:
        """The position to commit once every record of the batch is handled."""
        return self.records[-1].offset + 1


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that a group could not handle: where it was, why, and since when."""

    id: int
    group: str
    reason: str
    time_ns: int
    record: StoredRecord
