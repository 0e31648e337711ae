"""Counts and times of the engine, by channel."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from smartex_chassis import counter, gauge, histogram

from notifications.domain.sending import ChannelKind, Failed, Outcome, Sent

tracer = trace.get_tracer("notifications")
waiting = gauge("notifications_waiting_records", "Deliveries that wait, by channel", ("channel",))
resting = gauge("notifications_breaker_open_info", "1 while a channel rests after failures", ("channel",))
_sent = counter("notifications_sent_total", "Messages that a provider took, by channel", ("channel",))
_failed = counter(
    "notifications_failed_total", "Attempts that failed, by channel and what followed", ("channel", "kind")
)
_calls = histogram("notifications_send_seconds", "Time of a call of the provider, by channel", ("channel",))
_latency = histogram(
    "notifications_latency_seconds", "From the decision to the provider's yes, by channel", ("channel",)
)


def count(channel: ChannelKind, outcome: Outcome, seconds: float, row: Any, now: datetime) -> None:
    """Count an attempt."""
    _calls.labels(channel).observe(seconds)
    if isinstance(outcome, Sent):
        _sent.labels(channel).inc()
        _latency.labels(channel).observe(max(0.0, (now - row["create_time"]).total_seconds()))
    else:
        _failed.labels(channel, "later" if isinstance(outcome, Failed) else type(outcome).__name__).inc()


def chain(trace_id: str, delivery_id: str) -> Context:
    """Return the context of the chain that a delivery belongs to."""
    parent = SpanContext(
        int(trace_id, 16),
        int(delivery_id[:16], 16) | 1,
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
    return trace.set_span_in_context(NonRecordingSpan(parent))
