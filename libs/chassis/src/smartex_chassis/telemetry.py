"""Traces by OpenTelemetry, metrics by Prometheus; both cost nothing that is not asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
    SpanExporter,
)
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from prometheus_client import Counter, Gauge, Histogram

UNITS = (
    "seconds",
    "bytes",
    "ratio",
    "calls",
    "commands",
    "events",
    "records",
    "orders",
    "frames",
    "subscribers",
    "info",
)
"""The units a metric may be in; its name ends in one (a counter's in `_total`)."""

_LATENCY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

M = TypeVar("M", Counter, Gauge, Histogram)
_made: dict[str, Counter | Gauge | Histogram] = {}
_provider: TracerProvider | None = None
_tracer: trace.Tracer | None = None


def counter(name: str, description: str, labels: Sequence[str] = ()) -> Counter:
    """Return the counter `name` (which ends in `_total`), made once however often it is asked for."""
    if not name.endswith("_total"):
        raise ValueError(f"a counter's name ends in _total, {name} does not")
    return _once(Counter, name, lambda: Counter(name, description, labels))


def gauge(name: str, description: str, labels: Sequence[str] = ()) -> Gauge:
    """Return the gauge `name`, which ends in its unit."""
    _check_unit(name)
    return _once(Gauge, name, lambda: Gauge(name, description, labels))


def histogram(
    name: str, description: str, labels: Sequence[str] = (), *, buckets: Sequence[float] = _LATENCY_BUCKETS
) -> Histogram:
    """Return the histogram `name`, which ends in its unit; the default buckets suit seconds."""
    _check_unit(name)
    return _once(Histogram, name, lambda: Histogram(name, description, labels, buckets=buckets))


def _check_unit(name: str) -> None:
    if name.rsplit("_", 1)[-1] not in UNITS:
        raise ValueError(f"the name of a metric ends in its unit ({', '.join(UNITS)}), {name} does not")


def _once(kind: type[M], name: str, make: Callable[[], M]) -> M:
    metric = _made.get(name)
    if metric is None:
        metric = _made[name] = make()
    if not isinstance(metric, kind):
        raise ValueError(f"the metric {name} exists and is no {kind.__name__}")
    return metric


def start_tracing(
    service: str,
    *,
    endpoint: str | None = None,
    console: bool = False,
    ratio: float = 1.0,
    exporter: SpanExporter | None = None,
) -> None:
    """Send spans to `endpoint` (OTLP over gRPC), the console or `exporter`; with none do nothing.

    `ratio` is the share of the traces begun here that is recorded; a caller's decision is followed.
    """
    global _provider, _tracer
    if endpoint is None and not console and exporter is None:
        return
    provider = TracerProvider(
        resource=Resource.create({"service.name": service}), sampler=ParentBased(TraceIdRatioBased(ratio))
    )
    if endpoint is not None:
        # Imported here: it is slow to load, and most runs do without.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        insecure = not endpoint.startswith("https://")
        provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, insecure=insecure))
        )
    if console:
        provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
    if exporter is not None:
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    _provider, _tracer = provider, provider.get_tracer("smartex.rpc")


def stop_tracing() -> None:
    """Send what is still held and stop; may be called when nothing was started."""
    global _provider, _tracer
    provider, _provider, _tracer = _provider, None, None
    if provider is not None:
        provider.shutdown()


def tracing() -> bool:
    """Return whether spans are recorded at all."""
    return _tracer is not None


def trace_metadata() -> tuple[tuple[str, str], ...]:
    """Return the metadata that carries the current trace on to another service; empty when there is none."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return tuple(carrier.items())


@contextmanager
def server_span(method: str, parent: Mapping[str, str]) -> Iterator[None]:
    """Serve the RPC `method` in a span under the caller's `traceparent`.

    With tracing off the caller's trace is still carried on, so that logs and what is sent on name it.
    """
    context = propagate.extract(parent)
    if _tracer is None:
        token = otel_context.attach(context)
        try:
            yield
        finally:
            otel_context.detach(token)
        return
    service, _, name = method.lstrip("/").rpartition("/")
    attributes = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": name}
    with _tracer.start_as_current_span(
        method.lstrip("/"), context=context, kind=trace.SpanKind.SERVER, attributes=attributes
    ):
        yield
