"""What the stand-ins were asked, and what they answered: the latest requests, in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

KEPT_REQUESTS: Final = 2000
KEPT_BODY_BYTES: Final = 8192
"""Of each request and each answer; the rest is cut off."""


@dataclass(frozen=True)
class Received:
    """A request and its answer. `status` 0: the connection was cut."""

    standin: str
    method: str
    path: str
    """With the query."""
    headers: Mapping[str, str]
    body: str
    status: int
    answer: str
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def shown(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {**asdict(self), "time": self.time.isoformat()}


class RequestLog:
    """The latest requests of all stand-ins."""

    def __init__(self) -> None:
        self._received: deque[Received] = deque(maxlen=KEPT_REQUESTS)

    def add(self, received: Received) -> None:
        """Keep it; the oldest goes."""
        self._received.append(received)

    def latest(self, standin: str, limit: int) -> list[Received]:
        """The latest requests of a stand-in, newest first."""
        mine = [received for received in reversed(self._received) if received.standin == standin]
        return mine[:limit]
