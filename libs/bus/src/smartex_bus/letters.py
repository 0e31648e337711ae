"""Dead letters: what both engines share."""

from __future__ import annotations

from smartex_bus.errors import UnknownTopic
from smartex_bus.records import DeadLetter, Record, StoredRecord

LETTER_ROOM = 64 << 10
"""Bytes that the bus may add to a record which it sets aside or delivers again: a record of the greatest size that an
append takes must not stay stuck for them."""
_TOPIC, _PARTITION, _OFFSET = "origin-topic", "origin-partition", "origin-offset"


def redrive_topic(group: str) -> str:
    """The topic by which letters come back to a group; every member consumes it."""
    return f"{group}.redrive"


def not_taken_back(group: str) -> UnknownTopic:
    """The error for a group that never consumed, and so would never see what is redriven."""
    return UnknownTopic(
        f"group {group} takes no records back (there is no topic {redrive_topic(group)}): mend what it makes of "
        "its topics, then close the letters"
    )


def redriven(letter: DeadLetter) -> Record:
    """The record of a letter with its coordinates in the headers, for the redrive topic."""
    record = letter.record
    topic, partition, offset = origin(record)
    headers = {
        **record.headers,
        _TOPIC: topic.encode(),
        _PARTITION: str(partition).encode(),
        _OFFSET: str(offset).encode(),
    }
    return Record(record.value, record.key, headers)


def origin(record: StoredRecord) -> tuple[str, int, int]:
    """Topic, partition and offset where a record was first, also after a redrive."""
    topic = record.headers.get(_TOPIC)
    if topic is None:
        return record.topic, record.partition, record.offset
    return topic.decode(), int(record.headers[_PARTITION]), int(record.headers[_OFFSET])
