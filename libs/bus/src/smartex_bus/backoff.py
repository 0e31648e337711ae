"""Waiting times between attempts to reach a server."""

from __future__ import annotations

import random
from dataclasses import dataclass

_CHANCE = random.Random()
"""Shared: to seed one takes 20 µs, and every append has a backoff that it hardly ever needs."""


@dataclass
class Backoff:
    """Doubles from ``first`` to ``limit`` seconds; every wait is jittered between half and all of it."""

    first: float = 0.02
    limit: float = 1.0
    chance: random.Random = _CHANCE
    _attempt: int = 0

    def next(self) -> float:
        """Seconds to wait before the next attempt."""
        full = min(self.limit, self.first * 2.0 ** min(self._attempt, 32))
        self._attempt += 1
        return full * self.chance.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Start again from ``first``, after a success."""
        self._attempt = 0
