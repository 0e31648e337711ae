"""Wakes the streams of this pod when something is said anywhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from smartex_chassis import Overloaded

MOST_STREAMS = 10_000


class TalkHub:
    """Every stream is woken by every message: each then reads what it may see."""

    def __init__(self) -> None:
        self._readers: set[asyncio.Event] = set()

    def wake(self, payload: str) -> None:
        """A signal of the tables came."""
        for reader in self._readers:
            reader.set()

    @contextlib.contextmanager
    def reading(self) -> Iterator[asyncio.Event]:
        """An event that is set when there may be something new; `Overloaded` if there are too many streams."""
        if len(self._readers) >= MOST_STREAMS:
            raise Overloaded(
                "this pod has too many message streams open: try another", reason="TOO_MANY_STREAMS"
            )
        reader = asyncio.Event()
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)
