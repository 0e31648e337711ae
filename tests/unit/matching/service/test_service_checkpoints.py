"""Comparing the hashes that pods say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog
from matching.checkpoints import Checkpoint, Checkpoints
from smartex_bus import StoredRecord
from waiting import until


def said(offset: int, value: bytes) -> StoredRecord:
    return StoredRecord("matching.checkpoints.v1", 0, offset, value, b"", {}, 0)


class Log:
    """What is said, once."""

    def __init__(self, *values: bytes) -> None:
        self._records = [said(offset, value) for offset, value in enumerate(values)]

    async def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        return 0, 0

    async def follow(
        self, topic: str, partition: int, offset: int
    ) -> AsyncGenerator[list[StoredRecord], None]:
        for record in self._records:
            yield [record]
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    "poison", [b"", b"\xff\xfe", b"7", b"null", b"{}", b'{"offset": "x"}', b'{"offset": 5}']
)
async def test_a_record_of_nobody_does_not_end_the_comparing(poison: bytes) -> None:
    """Or a pod whose state is wrong would go on trading."""
    wrong = json.dumps({"pod": "another", "offset": 5, "state_hash": "a" * 64}).encode()
    halted: list[str] = []
    sequencer = SimpleNamespace(halt=halted.append)
    publisher = SimpleNamespace(halt=lambda: halted.append("the publisher"))
    log = Log(poison, wrong)
    checkpoints = Checkpoints(cast(Any, log), cast(Any, sequencer), cast(Any, publisher), 0, "this", 1.0)
    checkpoints._known[5] = Checkpoint(5, own="b" * 64)
    with structlog.testing.capture_logs() as logs:
        comparing = asyncio.create_task(checkpoints._compare())
        await until(lambda: len(halted) == 2 or comparing.done())
    comparing.cancel()
    assert [each["offset"] for each in logs if each["event"] == "checkpoint_of_nobody"] == [0]
    assert len(halted) == 2
    assert halted[0] == "the publisher"
    assert "another" in halted[1]
