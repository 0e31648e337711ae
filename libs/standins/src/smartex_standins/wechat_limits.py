"""Quotas, rates, and what was sent before."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

KEPT: Final = 200_000


class Windows:
    """Counts by name within a window that starts with the first count."""

    def __init__(self, seconds: float, limit: int, now: Callable[[], float] = time.time) -> None:
        self.limit = limit
        self._seconds, self._now = seconds, now
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, name: str) -> bool:
        """Count one; False, and nothing is counted, if the window is full."""
        start, count = self._counts.get(name, (self._now(), 0))
        if self._now() - start >= self._seconds:
            start, count = self._now(), 0
        if count >= self.limit:
            return False
        self._counts[name] = (start, count + 1)
        if len(self._counts) > KEPT:
            self._counts.popitem(last=False)
        return True


class Repeats:
    """Remembers for a while what was answered to a request."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._answers: OrderedDict[str, tuple[float, str]] = OrderedDict()

    def find(self, key: str) -> str | None:
        """Return the id given for the key, if it is still remembered."""
        end, given = self._answers.get(key, (0.0, ""))
        return given if self._now() < end else None

    def keep(self, key: str, given: str, seconds: float) -> None:
        """Remember it."""
        self._answers[key] = (self._now() + seconds, given)
        self._answers.move_to_end(key)
        if len(self._answers) > KEPT:
            self._answers.popitem(last=False)
