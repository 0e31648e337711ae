"""Keeping the projector's process up."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from matching.history import process
from matching.history.process import ProjectorProcess, Task


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
