"""Token buckets: how many commands an account may send."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta

from smartex_chassis import Overloaded

_REMEMBERED = 100_000


class TokenBuckets:
    """A bucket for each account: `burst` tokens at most, `rate` new ones a second.

    An account that was forgotten (the least recently seen of very many) begins again with a full bucket.
    """

    def __init__(self, rate: float, burst: float, now: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = burst
        self._now = now
        self._buckets: OrderedDict[int, tuple[float, float]] = OrderedDict()

    def wait_for(self, account_id: int, count: int) -> float:
        """Take `count` tokens and return 0; or take none and return the seconds until they will be there.

        More than a whole burst is let through once the bucket is full, and paid for afterwards.
        """
        now = self._now()
        tokens, at = self._buckets.get(account_id, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._rate)
        missing = min(count, self._burst) - tokens
        if missing <= 0:
            tokens -= count
        self._buckets[account_id] = (tokens, now)
        self._buckets.move_to_end(account_id)
        if len(self._buckets) > _REMEMBERED:
            self._buckets.popitem(last=False)
        return max(0.0, missing) / self._rate

    def take(self, account_id: int, count: int = 1) -> None:
        """Take tokens; raises Overloaded, which says when to come back, if there are too few."""
        seconds = self.wait_for(account_id, count)
        if seconds > 0:
            raise Overloaded(
                "this account sends too many orders; slow down",
                reason="RATE_LIMITED",
                retry_after=timedelta(seconds=max(seconds, 0.001)),
            )
