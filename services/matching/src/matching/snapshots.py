"""Snapshots: the state at an offset in one file, whole or not at all.

A file is: magic, version, length of the header (all fixed), header (JSON: offset, frame, sequence, hash, shard),
catalogue (length, bytes), core, and the SHA-256 of everything before it. It is written beside, synced, and renamed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import structlog

from matching.catalogue import Catalogue
from matching.domain import Core, CoreSettings
from matching.replica import Replica

_log = structlog.get_logger("matching.snapshots")
_MAGIC: Final = b"SMXSNAP\n"
_VERSION: Final = 1
_HEAD = struct.Struct("<8sII")
_LENGTH = struct.Struct("<Q")
_DIGEST_BYTES = 32
_CHUNK = 1 << 20
_ABANDONED_SECONDS = 3600.0
"""Nobody writes a snapshot for so long: who began it was killed."""


class SnapshotInvalid(Exception):  # noqa: N818 - a verdict on a file
    """A file that is no whole snapshot of this software."""


class FrameId(NamedTuple):
    """Which frame it is: no other one, on any time line of the log, has the same two numbers."""

    producer_id: int
    frame_id: int


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """What a snapshot's header says. `offset` is the last frame in it.

    `frame` is None in the snapshots of older software, which did not say it.
    """

    path: Path
    shard: int
    offset: int
    sequence: int
    state_hash: str
    frame: FrameId | None


class _Hashing(io.RawIOBase):
    """A file that hashes what passes through it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        self.digest.update(view)
        return self._file.write(view)


class SnapshotFolder:
    """The snapshots of one pod and shard."""

    def __init__(self, folder: Path, shard: int, keep: int) -> None:
        self.folder = folder
        self._shard = shard
        self._keep = keep

    def save(self, replica: Replica, frame: FrameId) -> Path:
        """Write the state as it is after `frame`, remove snapshots beyond the newest, and return the file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        offset = replica.next_offset - 1
        target = self.folder / f"shard-{self._shard}-{offset:020d}.snapshot"
        beside = target.with_suffix(f".{os.getpid()}.tmp")
        try:
            with open(beside, "wb") as file:
                self._write(file, replica, offset, frame)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)
        _sync_folder(self.folder)
        self._prune(target)
        self._remove_abandoned()
        return target

    def _write(self, file: BinaryIO, replica: Replica, offset: int, frame: FrameId) -> None:
        hashing = _Hashing(file)
        header = json.dumps(
            {
                "shard": self._shard,
                "offset": offset,
                "frame": frame,
                "sequence": replica.core.sequence,
                "state_hash": replica.state_hash(),
            }
        ).encode()
        catalogue = replica.catalogue.dump()
        hashing.write(_HEAD.pack(_MAGIC, _VERSION, len(header)) + header)
        hashing.write(_LENGTH.pack(len(catalogue)) + catalogue)
        replica.core.save(hashing)  # type: ignore[arg-type]
        file.write(hashing.digest.digest())

    def newest_first(self) -> list[SnapshotInfo]:
        """Snapshots whose header can be read, newest first."""
        found = []
        for path in sorted(self.folder.glob(f"shard-{self._shard}-*.snapshot"), reverse=True):
            try:
                with open(path, "rb") as file:
                    found.append(_read_header(path, file))
            except (OSError, SnapshotInvalid) as error:
                _log.warning("a snapshot is passed over", file=path.name, why=str(error))
        return found

    def load(
        self, info: SnapshotInfo, settings: CoreSettings, *, check_conservation: bool = False
    ) -> Replica:
        """The state in a snapshot; SnapshotInvalid if the file is not what was written."""
        _check_digest(info.path)
        with open(info.path, "rb") as file:
            header = _read_header(info.path, file)
            length = _LENGTH.unpack(file.read(_LENGTH.size))[0]
            catalogue = Catalogue.load(file.read(length))
            try:
                core = Core.load(file, settings)
            except ValueError as error:
                raise SnapshotInvalid(f"the core's part cannot be read: {error}") from error
        core.check_conservation = check_conservation
        replica = Replica(core, catalogue, header.offset + 1)
        if replica.state_hash() != header.state_hash:
            raise SnapshotInvalid("the state has another hash than when it was saved")
        return replica

    def set_aside(self, info: SnapshotInfo, why: str) -> None:
        """Rename a snapshot, so that it is neither loaded nor pruned any more."""
        aside = info.path.with_suffix(".aside")
        with contextlib.suppress(FileNotFoundError):  # an auditor or a pod has done it, or pruned it
            os.replace(info.path, aside)
        _log.warning("a snapshot is set aside", file=info.path.name, renamed=aside.name, why=why)

    def _prune(self, written: Path) -> None:
        """Keep the newest. What was just written is one of them, whatever lies in the folder."""
        others = set(self.folder.glob(f"shard-{self._shard}-*.snapshot")) - {written}
        for path in sorted(others, reverse=True)[max(0, self._keep - 1) :]:
            path.unlink(missing_ok=True)

    def _remove_abandoned(self) -> None:
        before = time.time() - _ABANDONED_SECONDS
        for path in self.folder.glob(f"shard-{self._shard}-*.tmp"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    path.unlink()


def _read_header(path: Path, file: BinaryIO) -> SnapshotInfo:
    raw = file.read(_HEAD.size)
    if len(raw) != _HEAD.size:
        raise SnapshotInvalid("it is cut short")
    magic, version, length = _HEAD.unpack(raw)
    if magic != _MAGIC or version != _VERSION:
        raise SnapshotInvalid(f"it is no snapshot of version {_VERSION}")
    try:
        header = json.loads(file.read(length))
        frame = header.get("frame")
        return SnapshotInfo(
            path,
            int(header["shard"]),
            int(header["offset"]),
            int(header["sequence"]),
            str(header["state_hash"]),
            None if frame is None else FrameId(*map(int, frame)),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SnapshotInvalid("its header cannot be read") from error


def _check_digest(path: Path) -> None:
    left = path.stat().st_size - _DIGEST_BYTES
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while left > 0:
            chunk = file.read(min(_CHUNK, left))
            if not chunk:
                break
            digest.update(chunk)
            left -= len(chunk)
        if left or file.read() != digest.digest():
            raise SnapshotInvalid("its checksum is wrong")


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
