"""Comparing the hashes that pods say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog
from matching import checkpoints as checkpointing
from matching.checkpoints import Checkpoint, Checkpoints
from matching.frames import NO_COMMANDS, Frame, one_command
from smartex.matching.v1.log_pb2 import COMMAND_KIND_CHECKPOINT
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


class Pod:
    """A pod whose state has the hash that the test says."""

    def __init__(self) -> None:
        self.halted: list[str] = []
        self.hash = "a" * 64
        core = SimpleNamespace(sequence=0)
        replica = SimpleNamespace(core=core, state_hash=lambda: self.hash)
        sequencer = SimpleNamespace(halt=self.halted.append, replica=replica)
        publisher = SimpleNamespace(halt=lambda: self.halted.append("the publisher"))
        self.core = core
        self.checkpoints = Checkpoints(*cast(Any, (None, sequencer, publisher, 0, "this", 1.0)))

    def reach(self, offset: int, sequence: int, state_hash: str = "a" * 64) -> None:
        """Apply a checkpoint."""
        self.hash, self.core.sequence = state_hash, sequence
        frame = Frame(1, offset, 5, one_command(kind=COMMAND_KIND_CHECKPOINT))
        self.checkpoints._on_frame(offset, frame)

    def hear(self, offset: int, pod: str, state_hash: str) -> None:
        value = json.dumps({"pod": pod, "offset": offset, "state_hash": state_hash}).encode()
        self.checkpoints._hear(said(0, value))


async def test_the_first_hash_that_was_said_is_right_whoever_hears_it_when() -> None:
    right, wrong = "a" * 64, "b" * 64
    pod = Pod()
    pod.hear(5, "first", right)
    pod.hear(5, "second", wrong)  # that one is to halt, not this
    pod.hear(5, "first", wrong)  # nobody takes back what it said
    pod.reach(5, 10, right)
    assert pod.halted == []
    pod.hear(6, "first", right)
    pod.reach(6, 11, wrong)
    assert pod.halted[0] == "the publisher"
    assert "offset 6" in pod.halted[1]


async def test_an_audit_gets_the_newest_state_of_this_pod_that_is_published() -> None:
    pod = Pod()
    pod.checkpoints._on_frame(3, Frame(1, 1, 5, NO_COMMANDS))
    assert pod.checkpoints.newest(1000) is None
    for offset, sequence in ((5, 10), (6, 20), (7, 30)):
        pod.reach(offset, sequence)
    pod.hear(8, "another", "a" * 64)
    assert pod.checkpoints.get(8) is None
    for up_to, offset in ((30, 7), (29, 6), (20, 6), (10, 5), (10**9, 7)):
        found = pod.checkpoints.newest(up_to)
        assert found is not None
        assert found is pod.checkpoints.get(offset)
    assert pod.checkpoints.newest(9) is None


async def test_old_checkpoints_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointing, "_REMEMBERED", 3)
    pod = Pod()
    for offset in range(1, 6):
        pod.reach(offset, offset)
    assert [offset for offset in range(1, 6) if pod.checkpoints.get(offset)] == [3, 4, 5]
