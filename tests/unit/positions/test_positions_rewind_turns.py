"""Portfolios of the past are made a few at a time, and nobody waits longer for a turn than it makes sense."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from positions import rewind
from positions.rewind import Moment, Rewind
from smartex_chassis import Overloaded


class Slow(Rewind):
    """One whose books take until they are let go."""

    def __init__(self) -> None:
        super().__init__(*cast(Any, (None,) * 7))
        self.let_go = asyncio.Event()
        self.begun = 0

    async def book(self, moment: Moment, *, from_beginning: bool = False) -> Any:
        self.begun += 1
        await self.let_go.wait()
        raise LookupError("made")


async def test_a_turn_is_waited_for_a_while_and_too_many_are_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = Slow()
    asked = [
        asyncio.create_task(slow.portfolio(1, Moment())) for _ in range(rewind._AT_ONCE + rewind._WAITING)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as refused:
        await asyncio.wait_for(slow.portfolio(1, Moment()), 0.5)
    assert refused.value.reason == "TOO_MANY_REWINDS"
    assert slow.begun == rewind._AT_ONCE
    slow.let_go.set()
    with pytest.raises(LookupError):
        await asked[-1]
    await asyncio.gather(*asked, return_exceptions=True)
    assert slow.begun == len(asked)

    slow.let_go.clear()
    monkeypatch.setattr(rewind, "_WAIT_SECONDS", 0.01)
    asked = [asyncio.create_task(slow.portfolio(1, Moment())) for _ in range(rewind._AT_ONCE + 1)]
    with pytest.raises(Overloaded):
        await asked[-1]
    slow.let_go.set()
    await asyncio.gather(*asked, return_exceptions=True)
    assert slow.begun == 2 * rewind._AT_ONCE + rewind._WAITING
