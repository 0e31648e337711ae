"""Trace context in the headers of records (W3C ``traceparent``), and links from a batch to its origins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter, Setter
from opentelemetry.trace import Link

from smartex_bus.records import StoredRecord


class _Headers(Getter[Mapping[str, bytes]], Setter[MutableMapping[str, bytes]]):
    def get(self, carrier: Mapping[str, bytes], key: str) -> list[str] | None:
        value = carrier.get(key)
        return None if value is None else [value.decode("ascii", "replace")]

    def keys(self, carrier: Mapping[str, bytes]) -> list[str]:
        return list(carrier)

    def set(self, carrier: MutableMapping[str, bytes], key: str, value: str) -> None:
        carrier[key] = value.encode()


_HEADERS = _Headers()


def inject_trace(headers: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
    """A copy of the headers with the current trace context; nothing is added outside of a span."""
    carrier = dict(headers or {})
    propagate.inject(carrier, setter=_HEADERS)
    return carrier


def extract_trace(headers: Mapping[str, bytes]) -> Context:
    """The trace context the headers carry; an empty one if they carry none."""
    return propagate.extract(headers, context=Context(), getter=_HEADERS)


def batch_links(records: Iterable[StoredRecord], *, limit: int = 128) -> list[Link]:
    """Links from one span over a batch to the spans its records were sent in, each once."""
    links: dict[int, Link] = {}
    for record in records:
        if not record.headers:
            continue
        span = trace.get_current_span(extract_trace(record.headers)).get_span_context()
        if span.is_valid and len(links) < limit:
            links.setdefault(span.span_id, Link(span))
    return list(links.values())
