"""Settings of the market data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MarketDataSettings:
    """How much is kept and how patient the feed is."""

    kept_order_changes: int = 1 << 20
    """Changes of single orders kept for `resume_sequence`, rounded up to a power of two (64 bytes each)."""
    kept_trades: int = 1 << 18
    """Trades kept for `resume_sequence` and for the newest rows of lists, likewise (72 bytes each)."""
    queue_messages: int = 4096
    """Messages that an L3 or trades subscriber may be behind before it is cut."""
    queue_bytes: int = 8 << 20
    """Bytes that an L3 or trades subscriber may be behind before it is cut."""
    heartbeat_seconds: float = 5.0
    """Silence after which a subscriber hears a heartbeat."""
    max_subscribers: int = 10_000
    """Subscriptions that one pod serves at once; one more is RESOURCE_EXHAUSTED."""
    turns: int = 16
    """Subscribers that may write before the event loop looks at other work, such as orders."""
    snapshot_orders: int = 50_000
    """Orders in one message of an L3 snapshot; the rest follows as updates."""
