"""What the matching service can be told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator
from smartex_bus import known_url
from smartex_chassis import BackingSettings, SettingsInvalid

from matching.domain import CoreSettings


class MatchingSettings(BackingSettings):
    """Where this pod finds its log, and how much it takes on."""

    section: ClassVar[str] = "matching"

    shard: int = Field(default=0, ge=0, le=65_535, description="group of instruments that this pod serves")
    database_url: SecretStr | None = Field(
        default=None, description="postgresql:// URL of the history, and of the log unless bus_url is set"
    )
    matching_data: Path = Field(
        default=Path("data/matching"), description="folder of this pod's snapshots; each pod has its own"
    )
    idempotency_window: int = Field(
        default=4_194_304,
        ge=1,
        le=1 << 24,
        description="outcomes remembered for repeats; the same on all pods",
    )
    max_orders: int = Field(
        default=4_194_304, ge=1, le=1 << 24, description="open orders at most; the same on all pods"
    )
    max_accounts: int = Field(
        default=1_048_576, ge=1, le=1 << 20, description="accounts at most; the same on all pods"
    )
    max_instruments: int = Field(
        default=4096, ge=1, le=65_535, description="instruments at most; the same on all pods"
    )
    max_sessions: int = Field(
        default=65_536, ge=1, le=1 << 20, description="sessions at most; the same on all pods"
    )
    check_conservation: bool = Field(
        default=False, description="verify after every frame that cash and shares are conserved (slow)"
    )
    max_queue_commands: int = Field(
        default=200_000, ge=1, description="commands that may wait for the log before RESOURCE_EXHAUSTED"
    )
    max_unpublished_events: int = Field(
        default=4_000_000,
        ge=1000,
        description="events that may wait for the event log before RESOURCE_EXHAUSTED",
    )
    order_rate: float = Field(default=1_000_000, gt=0, description="commands per second and account")
    order_burst: float = Field(default=1_000_000, ge=1, description="commands of an account at once")
    stream_window: int = Field(
        default=20_000,
        ge=1,
        le=100_000,
        description="unanswered commands of a Trade stream that asks for none",
    )
    stream_queue_bytes: int = Field(
        default=16 << 20, ge=1 << 10, description="unread bytes of reports before a Trade stream is cut"
    )
    max_streams_per_account: int = Field(
        default=16, ge=1, description="Trade streams of one account at a time"
    )
    max_sessions_per_account: int = Field(
        default=256, ge=1, description="sessions of one account at a time, those of streams that are gone too"
    )
    prefault: bool = Field(
        default=True,
        description="take the memory of the idempotency window (100 bytes an outcome) at the start, not order by order",
    )
    kept_events: int = Field(
        default=200_000, ge=1, description="recent events in memory for streams that resume (152 bytes each)"
    )
    clock_interval_ms: int = Field(
        default=250, ge=10, le=10_000, description="time between clock commands while something may fall due"
    )
    checkpoint_seconds: float = Field(
        default=30, gt=0, description="time between checkpoints, at which all pods compare their states"
    )
    lease_seconds: float = Field(
        default=3, ge=0.5, le=60, description="silence after which another pod publishes the event log"
    )
    history_beside: bool = Field(
        default=True,
        description="write the history in a process of its own (some 150 MB), so that orders do not wait for it",
    )
    snapshot_events: int = Field(
        default=5_000_000,
        ge=100,
        description="events between two snapshots at least (made beside the running pod)",
    )
    snapshots_kept: int = Field(default=3, ge=1, le=100, description="snapshots kept")

    _known_bus = field_validator("bus_url")(known_url)

    def check_folder(self) -> None:
        """SettingsInvalid if no snapshot could be written: a pod would be told after millions of events, and each start
        would replay the whole log."""
        try:
            self.matching_data.mkdir(parents=True, exist_ok=True)
            why = "" if os.access(self.matching_data, os.W_OK | os.X_OK) else "not writable"
        except OSError as error:
            why = error.strerror or str(error)
        if why:
            raise SettingsInvalid([f"SMARTEX_MATCHING_DATA={self.matching_data}: cannot be written: {why}"])

    def core(self) -> CoreSettings:
        """The sizes of the core."""
        return CoreSettings(
            window=self.idempotency_window,
            max_orders=self.max_orders,
            max_accounts=self.max_accounts,
            max_instruments=self.max_instruments,
            max_sessions=self.max_sessions,
        )
