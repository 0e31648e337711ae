"""Between aiokafka's records and the bus's."""

from __future__ import annotations

from typing import Any

from smartex_bus.records import NO_HEADERS, Record, StoredRecord

RECORD_OVERHEAD = 1 << 20
"""Bytes a batch may take beyond its payload: lengths, timestamps, names."""


def stored(raw: Any) -> StoredRecord:
    """The bus's record for a ``ConsumerRecord``."""
    headers = {name: value or b"" for name, value in raw.headers} if raw.headers else NO_HEADERS
    return StoredRecord(
        raw.topic,
        raw.partition,
        raw.offset,
        raw.value or b"",
        raw.key or b"",
        headers,
        raw.timestamp * 1_000_000,
    )


def fill(batch: Any, records: list[Record], time_ms: int) -> None:
    """Put the records into a ``BatchBuilder``. ``ValueError`` if they do not fit; nothing was sent then."""
    for record in records:
        done = batch.append(
            timestamp=time_ms,
            key=record.key or None,
            value=record.value,
            headers=list(record.headers.items()) if record.headers else [],
        )
        if done is None:
            raise ValueError(f"{len(records)} records do not fit into one batch")
    batch.close()
