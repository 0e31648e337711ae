"""What the publisher learns from the event log."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
from matching.domain import EVENT
from matching.frames import encode_events
from matching.publisher import last_sequence, published_sequence
from smartex_bus import StoredRecord


def stored(offset: int, value: bytes, key: bytes = b"") -> StoredRecord:
    return StoredRecord("matching.events.v1", 0, offset, value, key, {}, 0)


class Log:
    """An event log of these records."""

    def __init__(self, *records: StoredRecord) -> None:
        self.records = list(records)

    async def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        return 0, len(self.records)

    async def read(self, topic: str, partition: int, offset: int, *, max_records: int) -> list[StoredRecord]:
        return self.records[offset : offset + max_records]


def of_events(offset: int, first: int, count: int) -> StoredRecord:
    ((_, _, value),) = encode_events(0, offset, first, 5, np.zeros(count, EVENT))
    return stored(offset, value, struct.pack(">qq", first, count))


async def test_what_is_published_is_the_highest_of_the_last_records() -> None:
    log = Log(of_events(0, 1, 10), of_events(1, 11, 5), of_events(2, 1, 10))
    assert await published_sequence(log, 0) == 15  # type: ignore[arg-type]


async def test_a_record_of_nobody_says_nothing() -> None:
    """A publisher that stopped at one would publish nothing more; one that believed it would leave events out."""
    lying = replace(of_events(2, 10**9, 3), key=b"")
    log = Log(of_events(0, 1, 10), stored(1, b"\xff\xff\xff not a record"), lying)
    assert await published_sequence(log, 0) == 10  # type: ignore[arg-type]
    assert last_sequence(lying) == 0
