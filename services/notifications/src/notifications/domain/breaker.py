"""A circuit breaker: a channel that fails again and again rests, and is then tried with a single message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from notifications.domain.sending import AddressGone, ChannelKind, Failed, Outcome

CLOSED: Final = "closed"
OPEN: Final = "open"
HALF_OPEN: Final = "half_open"
READERS_OWN: Final = frozenset({ChannelKind.WEBHOOK, ChannelKind.APPRISE, ChannelKind.WEBPUSH})
"""Channels on which every address has a server of its own: one that fails says nothing of the others."""


@dataclass(frozen=True)
class BreakerRule:
    """When to open, and how long to rest: doubled each time up to `longest`."""

    failures: int = 5
    rest: timedelta = timedelta(seconds=15)
    longest: timedelta = timedelta(minutes=5)


class Breaker:
    """The breaker of one channel; time is passed in."""

    def __init__(self, rule: BreakerRule | None = None) -> None:
        self._rule = rule or BreakerRule()
        self._failures = 0
        self._openings = 0
        self._open_until: datetime | None = None
        self._probing = False

    def state(self, now: datetime) -> str:
        """Return `closed`, `open` or `half_open`."""
        if self._open_until is None:
            return CLOSED
        return OPEN if now < self._open_until else HALF_OPEN

    def room(self, now: datetime, wanted: int) -> int:
        """Return how many of `wanted` messages may be sent now: all, none, or a single one to try."""
        state = self.state(now)
        if state == HALF_OPEN:
            return 0 if self._probing else min(1, wanted)
        return wanted if state == CLOSED else 0

    def began(self, now: datetime) -> None:
        """Note that a message is on its way."""
        self._probing = self._open_until is not None

    def ended(self, outcome: Outcome, now: datetime) -> None:
        """Note what became of a message. A provider that refuses or says that an address is gone works."""
        if not isinstance(outcome, Failed):
            self._failures = self._openings = 0
            self._open_until, self._probing = None, False
            return
        self._failures += 1
        if self._probing or self._failures >= self._rule.failures:
            self._open(now, outcome.retry_after)

    def _open(self, now: datetime, asked: timedelta | None) -> None:
        if self._open_until is not None and now < self._open_until:
            return  # what was on its way when it opened; the rest has begun
        rest = min(self._rule.rest * 2**self._openings, self._rule.longest)
        self._open_until = now + max(rest, min(asked or rest, self._rule.longest))
        self._openings = min(self._openings + 1, 10)
        self._probing = False


def counts(kind: ChannelKind, outcome: Outcome) -> bool:
    """Return whether an outcome says something of the channel as a whole."""
    return not (kind in READERS_OWN and isinstance(outcome, Failed | AddressGone))
