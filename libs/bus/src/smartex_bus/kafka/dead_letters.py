"""Dead letters of a group as a topic ``<group>.dead-letters``; the letter's id is its offset there.

A letter keeps the record's key, value and headers and carries its coordinates and the reason in one more
header. A redriven letter is marked by a later record that names its id.

A record that is too large for a letter, which only somebody else's producer can have written, stays where it is: its
letter has the coordinates and no more, so that its group can go on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterable

from smartex_bus.errors import RecordTooLarge
from smartex_bus.records import DeadLetter, Record, StoredRecord

_LETTERS = ".dead-letters"
_ABOUT = "dead-letter"
_REDRIVEN = "dead-letter-redriven"

_LEFT_OUT = "dead-letter-left-out"
_REASON = 2000
"""Characters of a reason at most."""

_PAGE = 1000

Place = tuple[str, int, int]
"""Topic, partition and offset of a record that was set aside."""
_NOWHERE: Place = ("", -1, -1)
Read = Callable[[str, int, int], Awaitable[list[StoredRecord]]]
"""Reads a topic from an offset on, so many records at most."""


def letters_topic(group: str) -> str:
    """The topic of a group's dead letters."""
    return f"{group}{_LETTERS}"


def groups_of(topics: Iterable[str]) -> list[str]:
    """The groups that have a topic of dead letters."""
    return sorted(topic.removesuffix(_LETTERS) for topic in topics if topic.endswith(_LETTERS))


def to_record(record: StoredRecord, reason: str, most: int) -> Record:
    """The record that stands for a letter, of so many bytes at most."""
    about = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "record_ns": record.time_ns,
        "reason": reason[:_REASON],
        "time_ns": time.time_ns(),
    }
    letter = Record(record.value, record.key, {**record.headers, _ABOUT: json.dumps(about).encode()})
    if letter.size() <= most:
        return letter
    about["reason"] = f"{about['reason']} (its {len(record.value)} bytes are too many for a letter)"
    return Record(b"", headers={_LEFT_OUT: b"", _ABOUT: json.dumps(about).encode()})


def check_whole(letter: DeadLetter) -> None:
    """``RecordTooLarge`` if the record was left where it was."""
    if _LEFT_OUT in letter.record.headers:
        topic, partition, offset = letter.record.topic, letter.record.partition, letter.record.offset
        raise RecordTooLarge(
            f"the record at {topic}[{partition}]@{offset} is too large to be delivered again: mend what it stands for, "
            "then close the letter"
        )


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


async def open_letters(group: str, start: int, read: Read, limit: int) -> list[DeadLetter]:
    """Letters from ``start`` on that were not redriven, oldest first; of several for one record the newest counts."""
    letters = await _open_ids(group, start, read)
    found: list[DeadLetter] = []
    for identity in letters[:limit]:
        (record,) = await read(letters_topic(group), identity, 1)
        found.append(to_letter(group, identity, record))
    return found


async def _open_ids(group: str, start: int, read: Read) -> list[int]:
    """Ids only: what is in the letters may be far more than fits into memory."""
    newest: dict[Place, int] = {}
    places: dict[int, Place] = {}
    at = start
    while records := await read(letters_topic(group), at, _PAGE):
        at = records[-1].offset + 1
        for record in records:
            redriven = record.headers.get(_REDRIVEN)
            if redriven is None:
                place = _place(record)
                places.pop(newest.get(place, -1), None)
                newest[place] = record.offset
                places[record.offset] = place
            else:
                newest.pop(places.pop(int(redriven), _NOWHERE), None)
    return list(places)


def _place(letter: StoredRecord) -> Place:
    about = json.loads(letter.headers[_ABOUT])
    return about["topic"], about["partition"], about["offset"]
