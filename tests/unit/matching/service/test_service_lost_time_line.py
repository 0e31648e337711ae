"""Snapshots that were made from another log than the one there is: a backup of it was restored, say."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matching import auditor
from matching.auditor import Audit, audit
from matching.domain import COMMAND, Core, CoreSettings
from matching.frames import Frame, decode_frame
from matching.recovery import frame_at, replay, restore, set_strangers_aside
from matching.replica import Replica
from matching.snapshots import _HEAD, _MAGIC, _VERSION, FrameId, SnapshotFolder
from smartex.matching.v1.log_pb2 import COMMAND_KIND_DEPOSIT_CASH
from smartex_bus import OffsetTrimmed, StoredRecord
from smartex_chassis import StartupError

SIZES = {"window": 64, "max_orders": 64, "max_accounts": 64}
SETTINGS = CoreSettings(**SIZES)
LOST, KEPT = 7, 8
"""The producers of the frames after the backup, on the lost time line and on the one there is now."""


class Log:
    """A bus that holds frames from `earliest` on."""

    def __init__(self, values: list[bytes], earliest: int = 0) -> None:
        self._values = values
        self._earliest = earliest

    async def __aenter__(self) -> Log:
        return self

    async def __aexit__(self, *ended: object) -> None:
        pass

    async def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        return self._earliest, len(self._values)

    async def read(
        self, topic: str, partition: int, offset: int, *, max_records: int, max_bytes: int
    ) -> list[StoredRecord]:
        if offset < self._earliest:
            raise OffsetTrimmed(topic, partition, offset, self._earliest)
        found = list(enumerate(self._values))[offset : offset + max_records]
        return [StoredRecord(topic, partition, at, value, b"", {}, 0) for at, value in found]


def time_line(producer_id: int, length: int) -> list[bytes]:
    """Frames of which the first three are of the time before the backup."""
    values = []
    for offset in range(length):
        command = np.zeros(1, COMMAND)
        command["kind"], command["account_id"] = COMMAND_KIND_DEPOSIT_CASH, 1 + offset
        command["request_id"], command["amount_micros"] = 1 + offset, producer_id if offset >= 3 else 1
        command["create_time_ns"] = 10**18
        values.append(Frame(producer_id if offset >= 3 else 1, offset, 10**18, command).encode())
    return values


async def saved(folder: SnapshotFolder, values: list[bytes]) -> Replica:
    """The state at the end of a log, also as a snapshot."""
    log: Any = Log(values)
    replica = Replica(Core(SETTINGS))
    await replay(log, 0, replica)
    frame = await frame_at(log, 0, replica.next_offset - 1)
    assert frame is not None
    folder.save(replica, frame)
    return replica


def offsets(folder: SnapshotFolder) -> list[int]:
    return [info.offset for info in folder.newest_first()]


@pytest.fixture
def folder(tmp_path: Path) -> SnapshotFolder:
    return SnapshotFolder(tmp_path, 0, 5)


@pytest.mark.parametrize("length", [3, 6, 7, 20])
async def test_snapshots_of_a_lost_time_line_are_not_believed(folder: SnapshotFolder, length: int) -> None:
    """Neither if the log ends before them, nor if it has grown past them with other frames."""
    before = await saved(folder, time_line(KEPT, 3))
    await saved(folder, time_line(LOST, 7))
    log: Any = Log(time_line(KEPT, length))
    await set_strangers_aside(log, 0, folder)
    assert offsets(folder) == [2]
    assert len(list(folder.folder.glob("*.aside"))) == 1
    assert restore(folder, SETTINGS, 10**9).state_hash() == before.state_hash()


async def test_snapshots_of_this_log_are_believed(folder: SnapshotFolder) -> None:
    for length in (2, 3, 5):
        await saved(folder, time_line(KEPT, length))
    log: Any = Log(time_line(KEPT, 5))
    await set_strangers_aside(log, 0, folder)
    assert offsets(folder) == [4, 2, 1]


async def test_one_whose_frame_retention_has_removed_is_believed(folder: SnapshotFolder) -> None:
    await saved(folder, time_line(KEPT, 5))
    log: Any = Log(time_line(KEPT, 9), earliest=5)
    await set_strangers_aside(log, 0, folder)
    assert offsets(folder) == [4]


async def test_one_of_older_software_is_read_as_long_as_the_log_reaches_it(folder: SnapshotFolder) -> None:
    state = await saved(folder, time_line(KEPT, 5))
    (info,) = folder.newest_first()
    raw = info.path.read_bytes()
    length = _HEAD.unpack(raw[: _HEAD.size])[2]
    header = json.loads(raw[_HEAD.size : _HEAD.size + length])
    assert header.pop("frame") == [KEPT, 4]
    old = json.dumps(header).encode()
    whole = _HEAD.pack(_MAGIC, _VERSION, len(old)) + old + raw[_HEAD.size + length : -32]
    info.path.write_bytes(whole + hashlib.sha256(whole).digest())
    long, short = Log(time_line(KEPT, 9)), Log(time_line(KEPT, 4))
    await set_strangers_aside(long, 0, folder)  # type: ignore[arg-type]
    assert restore(folder, SETTINGS, 10**9).state_hash() == state.state_hash()
    await set_strangers_aside(short, 0, folder)  # type: ignore[arg-type]
    assert offsets(folder) == []


async def test_the_auditor_does_not_start_from_one_either(
    folder: SnapshotFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would say of a pod that is right that it disagrees, and the pod would halt."""
    await saved(folder, time_line(LOST, 5))
    values = time_line(KEPT, 9)
    right = Replica(Core(SETTINGS))
    for offset, value in enumerate(values):
        right.apply(offset, decode_frame(value))

    async def open_bus(url: str) -> Log:
        return Log(values)

    monkeypatch.setattr(auditor, "open_bus", open_bus)
    task = Audit("", 0, str(folder.folder), 5, SIZES, len(values) - 1, right.state_hash())
    assert await audit(task) == 0
    (info,) = folder.newest_first()
    assert (info.offset, info.frame) == (8, FrameId(KEPT, 8))


async def test_a_state_that_goes_further_than_the_log_is_refused() -> None:
    log: Any = Log(time_line(KEPT, 5))
    further = Replica(Core(SETTINGS), next_offset=6)
    with pytest.raises(
        StartupError, match=r"^[^\n]* up to offset 5, but the log has only those before 5[^\n]*$"
    ):
        await replay(log, 0, further)
    reached = Replica(Core(SETTINGS), next_offset=5)
    assert await replay(log, 0, reached) == 0
