"""Dead letters of a group as a topic ``<group>.dead-letters``; the letter's id is its offset there.

A letter keeps the record's key, value and headers and carries its coordinates and the reason in one more
header. A redriven letter is marked by a later record that names its id.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable

from smartex_bus.records import DeadLetter, Record, StoredRecord

_ABOUT = "dead-letter"
_REDRIVEN = "dead-letter-redriven"

Read = Callable[[str, int], Awaitable[list[StoredRecord]]]


def letters_topic(group: str) -> str:
    """The topic of a group's dead letters."""
    return f"{group}.dead-letters"


def to_record(record: StoredRecord, reason: str) -> Record:
    """The record that stands for a letter."""
    about = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "record_ns": record.time_ns,
        "reason": reason,
        "time_ns": time.time_ns(),
    }
    return Record(record.value, record.key, {**record.headers, _ABOUT: json.dumps(about).encode()})


def to_letter(group: str, identity: int, record: Record | StoredRecord) -> DeadLetter:
    """The letter that ``to_record`` made a record of."""
    about = json.loads(record.headers[_ABOUT])
    headers = {name: value for name, value in record.headers.items() if name != _ABOUT}
    return DeadLetter(
        identity,
        group,
        about["reason"],
        about["time_ns"],
        StoredRecord(
            about["topic"],
            about["partition"],
            about["offset"],
            record.value,
            record.key,
            headers,
            about["record_ns"],
        ),
    )


def mark_redriven(letter: DeadLetter) -> Record:
    """The record that says a letter was redriven."""
    return Record(b"", headers={_REDRIVEN: str(letter.id).encode()})


async def open_letters(group: str, earliest: int, read: Read, limit: int) -> list[DeadLetter]:
    """Letters that were not redriven, oldest first; of several for one record the newest counts."""
    by_place: dict[tuple[str, int, int], DeadLetter] = {}
    at = earliest
    while records := await read(letters_topic(group), at):
        at = records[-1].offset + 1
        for record in records:
            redriven = record.headers.get(_REDRIVEN)
            if redriven is None:
                letter = to_letter(group, record.offset, record)
                place = (letter.record.topic, letter.record.partition, letter.record.offset)
                by_place.pop(place, None)
                by_place[place] = letter
            else:
                by_place = {p: letter for p, letter in by_place.items() if letter.id != int(redriven)}
    return list(by_place.values())[:limit]
