"""Keeping the projector's process up."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest
from matching import history, wiring
from matching.history import process
from matching.history.process import ProjectorProcess, Task
from matching.settings import MatchingSettings
from smartex_bus import service_settings


@pytest.mark.parametrize(
    "error", [BlockingIOError(11, "no more processes"), ValueError("a line without an end")]
)
async def test_where_it_cannot_be_kept_up_it_is_tried_again_with_growing_pauses(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 9:
            raise asyncio.CancelledError

    async def run() -> int:
        raise error

    kept = ProjectorProcess(Task("", "", 0, "pod", {}))
    monkeypatch.setattr(process, "asyncio", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(kept, "_run", run)
    keeping: Any = kept._keep()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_its_topics_are_made_as_the_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or letters of the history would lie on one broker alone."""
    monkeypatch.setenv("SMARTEX_DATABASE_URL", "postgresql://h/db")
    monkeypatch.setenv("SMARTEX_BUS_URL", "kafka://a:1")
    monkeypatch.setenv("SMARTEX_KAFKA_REPLICATION", "3")
    settings = MatchingSettings(pod="pod-1", kafka_compression="snappy")
    beside = wiring._history_beside(settings)
    assert beside is not None
    made: Any = history.build(database=None, bus=None, catalogue=None, holder="pod-1", beside=beside)  # type: ignore[arg-type]
    told = Task(**json.loads(json.dumps(asdict(made.projector._task))))
    assert service_settings("matching", told) == service_settings("matching", settings)
