"""A group of records as a batch of Kafka's format 2, to be handed to `AIOKafkaProducer.send_batch`.

aiokafka's own builder computes the checksum in software, on the event loop, a twelfth of what a pod does there under
load; here it is done by the processor's instruction for it. The bytes are the same.

Format: https://kafka.apache.org/documentation/#recordbatch
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import google_crc32c

from smartex_bus.records import Record

_HEAD = struct.Struct(">qiibI")
"""Base offset (given by the broker), length of what follows, leader's epoch (-1: none), version, checksum."""
_BODY = struct.Struct(">hiqqqhii")
"""Attributes, last offset, first and last time, producer's id and epoch, first sequence, number of records."""
_AFTER_LENGTH = 12
_VERSION = 2


class RecordBatch:
    """What aiokafka calls a `BatchBuilder`, closed from the start and not compressed."""

    def __init__(self, records: Sequence[Record], time_ms: int, room: int) -> None:
        """`ValueError` if the records take more than `room` bytes."""
        self._count = len(records)
        self._time_ms = time_ms
        self._parts = [part for place, record in enumerate(records) for part in _encoded(place, record)]
        self._size = _HEAD.size + _BODY.size + sum(map(len, self._parts))
        if self._size > room:
            raise ValueError(f"{len(records)} records do not fit into one batch")
        self._producer = (-1, -1, 0)
        self._built = b""

    def append(self, **_record: object) -> None:
        """Nothing more fits."""

    def close(self) -> None:
        """Closed it is."""

    def closed(self) -> bool:
        """Whether nothing more may be appended."""
        return True

    def size(self) -> int:
        """Bytes of the batch."""
        return self._size

    def record_count(self) -> int:
        """Number of records."""
        return self._count

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._producer = (producer_id, producer_epoch, base_sequence)

    def _build(self) -> bytes:
        """The bytes; the same again when the batch is sent again."""
        if not self._built:
            times = self._time_ms, self._time_ms
            body = _BODY.pack(0, self._count - 1, *times, *self._producer, self._count)
            checksum = google_crc32c.value(body)
            for part in self._parts:
                checksum = google_crc32c.extend(checksum, part)
            head = _HEAD.pack(0, self._size - _AFTER_LENGTH, -1, _VERSION, checksum)
            self._built = b"".join([head, body, *self._parts])
            self._parts.clear()
        return self._built


def _encoded(place: int, record: Record) -> tuple[bytes, bytes, bytes]:
    """What comes before the value, the value, and what comes behind it."""
    key = _number(len(record.key)) + record.key if record.key else _number(-1)
    before = b"\0" + _number(0) + _number(place) + key + _number(len(record.value))
    headers = [
        part
        for name, value in record.headers.items()
        for part in (_number(len(name.encode())), name.encode(), _number(len(value)), value)
    ]
    behind = _number(len(record.headers)) + b"".join(headers)
    return _number(len(before) + len(record.value) + len(behind)) + before, record.value, behind


def _number(value: int) -> bytes:
    """A varint whose lowest bit is the sign."""
    rest = value << 1 if value >= 0 else (-value << 1) - 1
    groups = bytearray()
    while rest >= 0x80:
        groups.append(rest & 0x7F | 0x80)
        rest >>= 7
    groups.append(rest)
    return bytes(groups)
