"""Snapshots: whole or not used at all."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from matching import snapshots
from matching.auditor import Audit, Auditing
from matching.domain import COMMAND, Core, CoreSettings
from matching.frames import NO_COMMANDS, Frame
from matching.recovery import restore
from matching.replica import Replica
from matching.snapshots import FrameId, SnapshotFolder, SnapshotInvalid
from plain_instrument import plain_instrument
from prometheus_client import REGISTRY
from smartex.matching.v1.log_pb2 import COMMAND_KIND_DEPOSIT_CASH, InstrumentDefinition

SETTINGS = CoreSettings(window=64, max_orders=64, max_accounts=64)


def deposit(replica: Replica, account_id: int) -> None:
    command = np.zeros(1, COMMAND)
    command["kind"], command["account_id"], command["request_id"] = (
        COMMAND_KIND_DEPOSIT_CASH,
        account_id,
        account_id,
    )
    command["amount_micros"], command["create_time_ns"] = 5, 10**18
    replica.apply(replica.next_offset, Frame(1, 1, 10**18, command))


def save(folder: SnapshotFolder, replica: Replica) -> Path:
    return folder.save(replica, FrameId(1, replica.next_offset - 1))


@pytest.fixture
def replica() -> Replica:
    made = Replica(Core(SETTINGS))
    instrument = plain_instrument()
    made.apply(0, Frame(1, 1, 1, NO_COMMANDS, (InstrumentDefinition(instrument=instrument, request_id=1),)))
    return made


def test_comes_back_and_goes_on_alike(tmp_path: Path, replica: Replica) -> None:
    folder = SnapshotFolder(tmp_path, 0, 3)
    deposit(replica, 1)
    save(folder, replica)
    (info,) = folder.newest_first()
    again = folder.load(info, SETTINGS)
    assert (again.next_offset, again.state_hash()) == (2, replica.state_hash())
    for each in (replica, again):
        deposit(each, 2)
    assert again.state_hash() == replica.state_hash()


async def test_how_much_a_start_would_replay_can_be_told(tmp_path: Path, replica: Replica) -> None:
    def told() -> float | None:
        return REGISTRY.get_sample_value("matching_snapshot_position_events")

    auditing = Auditing(Audit("", 0, str(tmp_path), 3, {}, 0, ""), *cast(Any, (None, None, None, 100)))
    for newest in (0, replica.core.sequence):
        await auditing.start()
        await auditing.stop()
        assert told() == newest
        save(SnapshotFolder(tmp_path, 0, 3), replica)


def test_old_ones_are_pruned_and_nothing_half_written_stays(tmp_path: Path, replica: Replica) -> None:
    folder = SnapshotFolder(tmp_path, 0, 2)
    for account_id in range(1, 6):
        deposit(replica, account_id)
        save(folder, replica)
    assert [info.offset for info in folder.newest_first()] == [5, 4]
    assert len(list(tmp_path.iterdir())) == 2


def test_it_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a machine that loses power could keep the name without what belongs to it."""
    done: list[str] = []
    fsync, rename = os.fsync, os.replace

    def sync(descriptor: int) -> None:
        done.append("file" if stat.S_ISREG(os.fstat(descriptor).st_mode) else "folder")
        fsync(descriptor)

    def named(source: Path, target: Path) -> None:
        done.append("name")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", named)
    save(SnapshotFolder(tmp_path, 0, 2), replica)
    assert done == ["file", "name", "folder"]


def test_one_that_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk each try would take more of it."""
    folder = SnapshotFolder(tmp_path, 0, 1)
    before = save(folder, replica)
    deposit(replica, 1)

    def full(_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(replica.core, "save", full)
    with pytest.raises(OSError, match="No space"):
        save(folder, replica)
    assert list(tmp_path.iterdir()) == [before]


def test_a_damaged_one_is_passed_over(tmp_path: Path, replica: Replica) -> None:
    folder = SnapshotFolder(tmp_path, 0, 3)
    deposit(replica, 1)
    save(folder, replica)
    good = replica.state_hash()
    deposit(replica, 2)
    newest = save(folder, replica)
    raw = bytearray(newest.read_bytes())
    for place in range(0, len(raw), max(1, len(raw) // 60)):
        damaged = bytearray(raw)
        damaged[place] ^= 0x40
        newest.write_bytes(damaged)
        assert restore(folder, SETTINGS, 10**9).state_hash() == good
    newest.write_bytes(raw[: len(raw) // 2])
    assert restore(folder, SETTINGS, 10**9).state_hash() == good
    newest.write_bytes(raw)
    assert restore(folder, SETTINGS, 10**9).state_hash() == replica.state_hash()


def test_one_of_another_state_or_version_is_not_used(
    tmp_path: Path, replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole files both: of software that applied the log otherwise, and of one with another form."""
    folder = SnapshotFolder(tmp_path, 0, 3)
    with monkeypatch.context() as patch:
        patch.setattr(replica, "state_hash", lambda: "0" * 64)
        save(folder, replica)
    (info,) = folder.newest_first()
    with pytest.raises(SnapshotInvalid, match="another hash"):
        folder.load(info, SETTINGS)
    with monkeypatch.context() as patch:
        patch.setattr(snapshots, "_VERSION", 2)
        save(folder, replica)
    assert folder.newest_first() == []


@pytest.mark.parametrize("saved", [False, True])
def test_who_checks_conservation_does_so_wherever_the_state_comes_from(
    tmp_path: Path, replica: Replica, saved: bool
) -> None:
    folder = SnapshotFolder(tmp_path, 0, 3)
    if saved:
        save(folder, replica)
    for wanted in (False, True):
        found = restore(folder, SETTINGS, 10**9, check_conservation=wanted)
        assert (found.core.check_conservation, found.next_offset) == (wanted, int(saved))


def test_one_that_is_ahead_of_the_event_log_is_not_used(tmp_path: Path, replica: Replica) -> None:
    folder = SnapshotFolder(tmp_path, 0, 3)
    deposit(replica, 1)
    save(folder, replica)
    sequence = replica.core.sequence
    assert restore(folder, SETTINGS, sequence).core.sequence == sequence
    assert restore(folder, SETTINGS, sequence - 1).core.sequence == 0


def test_other_sizes_are_refused(tmp_path: Path, replica: Replica) -> None:
    folder = SnapshotFolder(tmp_path, 0, 3)
    save(folder, replica)
    (info,) = folder.newest_first()
    with pytest.raises(SnapshotInvalid):
        folder.load(info, CoreSettings(window=32, max_orders=64, max_accounts=64))


def test_what_was_just_written_is_never_pruned(tmp_path: Path, replica: Replica) -> None:
    """Whatever else lies in the folder: those of a pod that was further, say, before the log was restored."""
    folder = SnapshotFolder(tmp_path, 0, 2)
    further = Replica(replica.core, replica.catalogue, 1000)
    for _ in range(3):
        further.next_offset += 1
        save(folder, further)
    written = save(folder, replica)
    assert written.exists()
    assert [info.offset for info in folder.newest_first()] == [1002, 0]


def test_what_killed_processes_began_is_removed(tmp_path: Path, replica: Replica) -> None:
    names = ("shard-0-7.11.tmp", "shard-0-8.12.tmp", "shard-1-7.11.tmp")
    abandoned, fresh, others = (tmp_path / name for name in names)
    long_ago = time.time() - 7200
    for path in (abandoned, fresh, others):
        path.write_bytes(b"half")
    for path in (abandoned, others):
        os.utime(path, (long_ago, long_ago))
    save(SnapshotFolder(tmp_path, 0, 2), replica)
    assert not abandoned.exists()
    assert fresh.exists()
    assert others.exists()


def test_what_is_set_aside_is_neither_found_nor_pruned(tmp_path: Path, replica: Replica) -> None:
    folder = SnapshotFolder(tmp_path, 0, 1)
    save(folder, replica)
    (info,) = folder.newest_first()
    folder.set_aside(info, "a test")
    folder.set_aside(info, "another process has done it already")
    assert folder.newest_first() == []
    for account_id in (1, 2):
        deposit(replica, account_id)
        save(folder, replica)
    assert [path.suffix for path in sorted(tmp_path.iterdir())] == [".aside", ".snapshot"]
