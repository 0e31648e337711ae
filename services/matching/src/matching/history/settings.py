"""Settings of the history."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HistorySettings:
    """How the projection works and how long queries wait for it."""

    topic: str = "matching.events.v1"
    """Topic of the event log; the shard is its partition."""
    group: str = "matching.history"
    """Name under which records that cannot be projected are set aside."""
    batch_events: int = 10_000
    """Events that one transaction takes at most, as far as whole records allow."""
    share_when_busy: float = 0.05
    """Share of its time that the projection works while it is behind and orders keep coming: queries grow stale for a
    while, but orders do not wait for the history, which shares the database with them. 1 never yields."""
    pace_seconds: float = 0.05
    """Transactions begin at most that often: a transaction costs more than an order, whether it carries one or many."""
    lease_seconds: float = 5.0
    """Silence after which another pod takes the projection over."""
    wait_seconds: float = 2.0
    """How long a query with `min_sequence` waits before HISTORY_BEHIND."""
