"""Readers who come with a sequence that this pod has not seen."""

from __future__ import annotations

from typing import Any, cast

import pytest
from matching import reaching
from matching.reaching import Reaching
from matching.replica import Replica
from smartex_bus import Bus, BusError
from smartex_chassis import OutOfRange, Unavailable


class Pod:
    """A log of some frames, three events each, of which each look at the state applies one more."""

    def __init__(self, frames: int, applies: int, *, away: bool = False) -> None:
        self.core = self
        self.next_offset = 0
        self._frames, self._applies, self._away = frames, applies, away

    @property
    def sequence(self) -> int:
        self.next_offset = min(self.next_offset + 1, self._applies)
        return 3 * self.next_offset

    async def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        if self._away:
            raise BusError("the log is away")
        return 0, self._frames

    async def reach(self, sequence: int) -> None:
        pod: Any = self
        await Reaching(cast("Bus", pod), 0, cast("Replica", pod)).reach(sequence)


@pytest.mark.parametrize("sequence", [0, 1, 29, 30])
async def test_a_pod_that_is_behind_comes_there(sequence: int) -> None:
    pod = Pod(frames=10, applies=10)
    await pod.reach(sequence)
    assert 3 * pod.next_offset >= sequence


async def test_where_the_whole_log_does_not_lead_is_ahead() -> None:
    with pytest.raises(OutOfRange, match="at 30") as caught:
        await Pod(frames=10, applies=10).reach(31)
    assert caught.value.reason == "RESUME_AHEAD"


@pytest.mark.parametrize("away", [False, True])
async def test_a_pod_that_cannot_say_is_behind(away: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "_PATIENCE_SECONDS", 0.1)
    with pytest.raises(Unavailable) as caught:
        await Pod(frames=10, applies=9, away=away).reach(31)
    assert caught.value.reason == "POD_BEHIND"
