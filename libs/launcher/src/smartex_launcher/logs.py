"""The log file: one file that does not grow for ever."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

MAX_BYTES = 20 << 20
KEPT = 3


class RollingFile(io.TextIOBase):
    """A text file that is moved to `name.1`, `name.2`, … when it has become too large.

    Written to by the logging handler alone, which serialises its writes.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, kept: int = KEPT) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._kept = kept
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)

    def write(self, text: str) -> int:
        """Append, after moving a full file away."""
        if self._file.closed or self._file.tell() >= self._max_bytes:
            self._roll()
        self._file.write(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def writable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def _roll(self) -> None:
        self._file.close()
        # Rather a file that has become too large than no log.
        with suppress(OSError):
            roll(self._path, self._kept)
        self._file = self._path.open("ab", buffering=0)


def roll(path: Path, kept: int = KEPT) -> None:
    """Move `path` to `path.1`, that to `path.2`, …; the oldest goes."""
    for number in range(kept - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    path.replace(path.with_name(f"{path.name}.1"))


class Tee(io.TextIOBase):
    """Writes to several streams."""

    def __init__(self, *writes: Callable[[str], object]) -> None:
        self._writes = writes

    def write(self, text: str) -> int:
        """Write to each, then raise the first OSError if one could not be written."""
        failed = []
        for write in self._writes:
            try:
                write(text)
            except OSError as error:
                failed.append(error)
        if failed:
            raise failed[0]
        return len(text)

    def writable(self) -> bool:
        """It is."""
        return True
