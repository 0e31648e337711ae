"""Access tokens that expire and are rotated."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

from .faults import Faults

LIFE_SECONDS: Final = 7200.0
EARLY_SECONDS: Final = 300.0
"""A token with less than this left is replaced when asked for; the old one stays good to its end."""
FORCE_SECONDS: Final = 30.0
"""Between two forced renewals."""
MAX_FORCED: Final = 20
"""Forced renewals a day."""
KEPT_TOKENS: Final = 100


class Tokens:
    """The tokens of one account."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.life = LIFE_SECONDS
        """Seconds that a new token is good."""
        self._current = ""
        self._ends: dict[str, float] = {}
        self._forced: list[float] = []

    def give(self) -> tuple[str, int]:
        """Return the current token and the seconds it has left; a new one if it is near its end."""
        left = self._ends.get(self._current, 0.0) - self._now()
        if left <= min(EARLY_SECONDS, self.life / 2):
            return self._issue()
        return self._current, int(left)

    def force(self) -> tuple[str, int] | None:
        """Return a new token, and end the others; None if that was asked for too often."""
        now = self._now()
        self._forced = [time for time in self._forced if now - time < 86_400]
        if len(self._forced) >= MAX_FORCED or (self._forced and now - self._forced[-1] < FORCE_SECONDS):
            return None
        self._forced.append(now)
        self._ends.clear()
        return self._issue()

    def state(self, token: str, faults: Faults) -> str:
        """Return `good`, `expired` or `unknown`."""
        if token in self._ends and faults.take("token_expired"):
            self._ends[token] = 0.0
        if token not in self._ends:
            return "unknown"
        return "good" if self._now() < self._ends[token] else "expired"

    def _issue(self) -> tuple[str, int]:
        self._current = secrets.token_urlsafe(96)
        self._ends[self._current] = self._now() + self.life
        while len(self._ends) > KEPT_TOKENS:
            self._ends.pop(next(iter(self._ends)))
        return self._current, max(1, int(self.life))
