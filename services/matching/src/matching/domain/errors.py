"""What can go wrong with a core that no command can bring about."""

from __future__ import annotations


class SnapshotError(ValueError):
    """A saved core cannot be used: damaged, cut short, or of another version or size. Take an older one, or replay
    the log."""


class ConservationError(AssertionError):
    """Cash or shares appeared or vanished: a bug. Stop, and keep the log and the last snapshot."""
