"""Numbers for orders and requests."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable

from .convert import in_range

RANDOM_BITS = 62
"""A source begins anywhere below: as many numbers above are left to count up to, positive in an int64."""


class IdSource:
    """Makes positive 63-bit numbers that grow, and never meet those of another source in practice.

    The market takes an order whose number the account has used before for a repeat of the first. Two sources meet only
    if their stretches overlap: among the last four million numbers of the market, once in 10¹² sources. Time in the
    high bits would leave too few to tell busy processes of one account apart.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._next = 1 + secrets.randbits(RANDOM_BITS)

    def next(self) -> int:
        """One number."""
        return self.take(1)

    def take(self, count: int) -> int:
        """The first of `count` numbers in a row."""
        with self._lock:
            if self._process != os.getpid():  # a fork: the parent goes on counting from here
                self._begin()
            first = self._next
            self._next += count
            return first


def checked_id(number: int | None, fresh_id: Callable[[], int], field: str) -> int:
    """A number that the caller gave, or a fresh one. InvalidInput names `field` if it is not positive or too large."""
    return fresh_id() if number is None else in_range(number, field, least=1)
