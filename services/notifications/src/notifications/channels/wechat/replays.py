"""Which requests were seen before."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from .crypto import CallbackRefused

WINDOW: Final = timedelta(minutes=5)
"""How far a request's time may be from ours."""
MAX_KEPT: Final = 100_000


class ReplayGuard:
    """Refuses a request that is too old, from the future, or was here before.

    It knows what this process has seen. Behind several processes, the events' keys keep a repeat out.
    """

    def __init__(self, *, capacity: int = MAX_KEPT) -> None:
        self._capacity = capacity
        self._seen: dict[str, datetime] = {}

    def admit(self, timestamp: str, nonce: str, now: datetime) -> str:
        """Return what to give to `forget` if the request is not handled after all; CallbackRefused."""
        check_time(timestamp, now)
        self._drop_old(now)
        key = f"{timestamp}:{nonce}"
        if key in self._seen:
            raise CallbackRefused("REPLAYED")
        if len(self._seen) >= self._capacity:
            # To forget one that is still within its time would let it be played again.
            raise CallbackRefused("OVERLOADED", 503)
        self._seen[key] = now
        return key

    def forget(self, key: str) -> None:
        """Let the provider try again what could not be handled."""
        self._seen.pop(key, None)

    def _drop_old(self, now: datetime) -> None:
        # Kept for two windows: a request from the end of the window ahead stays good for that long.
        while self._seen:
            oldest = next(iter(self._seen))
            if now - self._seen[oldest] <= 2 * WINDOW:
                return
            del self._seen[oldest]


def check_time(timestamp: str, now: datetime) -> None:
    """Raise CallbackRefused unless the seconds since 1970 are near."""
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 11):
        raise CallbackRefused("TIMESTAMP_MALFORMED", 400)
    if abs(now.timestamp() - int(timestamp)) > WINDOW.total_seconds():
        raise CallbackRefused("TIMESTAMP_STALE")
