"""What the history counts."""

from __future__ import annotations

from smartex_chassis import counter, gauge

projected = counter("matching_history_events_total", "Events written to the history")
set_aside = counter(
    "matching_history_dead_letters_total",
    "Records of events that were set aside (python -m smartex_bus letters)",
)
position = gauge("matching_history_position_events", "Sequence up to which this pod wrote the history")
