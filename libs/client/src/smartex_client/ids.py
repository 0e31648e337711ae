"""Numbers for orders and requests."""

from __future__ import annotations

import secrets
import threading
import time

RANDOM_BITS = 22
"""Milliseconds above, randomness below: 41 + 22 bits, positive in an int64 until the year 2093."""

EPOCH_MS = 1_700_000_000_000


class IdSource:
    """Makes positive 63-bit numbers that grow with time and hardly repeat between processes of one account.

    The time in milliseconds stands in the high bits. Numbers of one source never repeat: within a millisecond
    they count up from a random place.
    """

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def next(self) -> int:
        """One number."""
        return self.take(1)

    def take(self, count: int) -> int:
        """The first of `count` numbers in a row."""
        now = (time.time_ns() // 1_000_000 - EPOCH_MS) << RANDOM_BITS
        with self._lock:
            first = max(now | secrets.randbits(RANDOM_BITS), self._last + 1)
            self._last = first + count - 1
            return first
