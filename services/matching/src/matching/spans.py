"""One span for each frame of this pod, linked to the calls whose commands it carries."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry import trace
from opentelemetry.trace import Link, Span
from smartex_bus import inject_trace
from smartex_chassis.telemetry import tracing

_MAX_LINKS = 128
_tracer = trace.get_tracer("matching")


def link_of_caller() -> Link | None:
    """A link to the span of the call being served; None when nothing is recorded."""
    if not tracing():
        return None
    context = trace.get_current_span().get_span_context()
    return Link(context) if context.is_valid else None


def frame_span(links: Iterable[Link | None], commands: int) -> Span | None:
    """The span of a frame from its append until it is applied; None when nothing is recorded."""
    if not tracing():
        return None
    known = [link for link in links if link is not None][:_MAX_LINKS]
    return _tracer.start_span("matching.frame", links=known, attributes={"matching.commands": commands})


def headers_of(span: Span | None) -> dict[str, bytes]:
    """The headers that carry the span on to readers of the log."""
    if span is None:
        return {}
    with trace.use_span(span):
        return inject_trace()


def end(span: Span | None, offset: int) -> None:
    """The frame is applied."""
    if span is not None:
        span.set_attribute("matching.offset", offset)
        span.end()
