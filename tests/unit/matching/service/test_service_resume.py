"""Resuming a stream from the event log."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from matching import frames, resume
from matching.frames import EVENT_CODEC
from matching.hub import KEPT_PART, ReportHub
from matching.resume import Past
from smartex_bus import Bus, StoredRecord
from smartex_chassis import OutOfRange, Unavailable


@pytest.fixture(scope="module", autouse=True)
def warm() -> None:
    """Compile before the clock runs: what is tested here is patience."""
    frames.warm_up()


class LateLog:
    """An event log whose publisher writes one more record each time that it was found wanting."""

    def __init__(self, published: int, most: int) -> None:
        self._published, self._most = published, most

    async def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        return 0, self._published

    async def read(self, topic: str, partition: int, offset: int, **_: Any) -> list[StoredRecord]:
        if offset >= self._published:
            self._published = min(self._published + 1, self._most)
            return []
        rows = np.zeros(2, EVENT_CODEC.row_dtype)
        value = EVENT_CODEC.encode(rows, {"version": 1, "first_sequence": 2 * offset + 1, "time_ns": 7})
        return [StoredRecord(topic, partition, offset, value, b"", {}, 0)]


class RepeatingLog:
    """An event log, two events a record, in which former publishers repeated some of the records."""

    def __init__(self, *records: range) -> None:
        self._firsts = [2 * record + 1 for part in records for record in part]

    async def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        return 0, len(self._firsts)

    async def read(self, topic: str, partition: int, offset: int, *, max_records: int) -> list[StoredRecord]:
        rows = np.zeros(2, EVENT_CODEC.row_dtype)
        return [
            StoredRecord(
                topic,
                partition,
                offset + place,
                EVENT_CODEC.encode(rows, {"version": 1, "first_sequence": first, "time_ns": 7}),
                b"",
                {},
                0,
            )
            for place, first in enumerate(self._firsts[offset : offset + max_records])
        ]


def hub(kept_events: int) -> ReportHub:
    return ReportHub(kept_events, 1, 1)


async def sequences(log: LateLog | RepeatingLog, after: int, up_to: int) -> list[int]:
    past = Past(cast("Bus", log), 0, hub(1))
    return [
        first + index async for first, _, events in past.events(after, up_to) for index in range(len(events))
    ]


@pytest.mark.parametrize("published", [0, 1, 3])
async def test_it_waits_for_what_is_not_published_yet(published: int) -> None:
    assert await sequences(LateLog(published, 5), 1, 9) == list(range(2, 10))


async def test_it_says_so_when_the_publisher_stays_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "_PATIENCE_SECONDS", 0.1)
    with pytest.raises(Unavailable, match="behind"):
        await sequences(LateLog(1, 1), 0, 9)


@pytest.mark.parametrize(
    "parts",
    [
        (range(400), range(100, 356), range(400, 700)),
        (range(400), range(100, 356), range(400, 700), range(380, 400), range(700, 1000)),
        (range(3000), range(100, 356), range(3000, 3010)),
        (range(400), range(100, 356)),
    ],
)
async def test_what_former_publishers_repeated_hides_nothing(parts: tuple[range, ...]) -> None:
    up_to = 2 * max(part.stop for part in parts)
    for after in range(0, up_to, 37):
        assert await sequences(RepeatingLog(*parts), after, up_to) == list(range(after + 1, up_to + 1))


async def test_what_is_no_longer_kept_is_gone() -> None:
    with pytest.raises(OutOfRange):
        await sequences(RepeatingLog(range(1000, 2000), range(1500, 1756), range(2000, 2100)), 7, 4200)


@pytest.mark.parametrize("kept_events", [2, 3 * KEPT_PART, 50 * KEPT_PART])
async def test_what_leaves_memory_before_a_slow_reader_comes_to_it_is_in_the_log(kept_events: int) -> None:
    memory, frame, up_to = hub(kept_events), KEPT_PART // 2, 6 * KEPT_PART
    rows = np.zeros(frame, EVENT_CODEC.row_dtype)

    def happens(first: int) -> None:
        memory.on_applied(0, first, 7, rows)

    for first in range(1 + 2 * frame, up_to, frame):
        happens(first)
    past = Past(cast("Bus", RepeatingLog(range(up_to // 2))), 0, memory)
    expected, first = 2, up_to + 1
    async for begin, _, events in past.events(1, up_to):
        assert begin == expected
        expected += len(events)
        if len(events) > 2:  # not so often from the log, which knows only small records
            happens(first)
            first += frame
    assert expected == up_to + 1
