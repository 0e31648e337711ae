"""Resuming a stream from the event log."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from matching import frames, resume
from matching.frames import EVENT_CODEC
from matching.resume import Past
from smartex_bus import Bus, StoredRecord
from smartex_chassis import Unavailable


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


async def sequences(log: LateLog, after: int, up_to: int) -> list[int]:
    past = Past(cast("Bus", log), 0)
    return [
        first + index
        async for first, _, events in past.events(after, up_to, ())
        for index in range(len(events))
    ]


@pytest.mark.parametrize("published", [0, 1, 3])
async def test_it_waits_for_what_is_not_published_yet(published: int) -> None:
    assert await sequences(LateLog(published, 5), 1, 9) == list(range(2, 10))


async def test_it_says_so_when_the_publisher_stays_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "_PATIENCE_SECONDS", 0.1)
    with pytest.raises(Unavailable, match="behind"):
        await sequences(LateLog(1, 1), 0, 9)
