"""A trace goes through: in by metadata, around the handler, on to the next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from smartex_chassis import NotFound, telemetry, trace_metadata

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01")


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    telemetry.start_tracing("test", exporter=exporter)
    yield exporter
    telemetry.stop_tracing()


async def _tell(_: bytes) -> bytes:
    return dict(trace_metadata()).get("traceparent", "").encode()


async def test_without_an_exporter_the_callers_trace_is_carried_on(venue: Any, kind: str) -> None:
    venue.echo.behave = _tell
    caller = await venue.caller(await venue.start())
    assert not telemetry.tracing()
    assert set(await caller.call(kind, b"x", more=(PARENT,))) == {PARENT[1].encode()}
    assert set(await caller.call(kind, b"x")) == {b""}


async def test_a_span_is_around_the_handler_under_the_callers(
    venue: Any, kind: str, spans: InMemorySpanExporter
) -> None:
    venue.echo.behave = _tell
    caller = await venue.caller(await venue.start())
    (told,) = set(await caller.call(kind, b"x", more=(PARENT,)))
    (span,) = spans.get_finished_spans()
    assert span.name == f"smartex.test.v1.EchoService/{kind}"
    assert span.kind is trace.SpanKind.SERVER
    assert span.parent is not None
    assert trace.format_span_id(span.parent.span_id) == "00f067aa0ba902b7"
    assert span.context is not None
    assert re.fullmatch(f"00-{TRACE}-{trace.format_span_id(span.context.span_id)}-01", told.decode())


async def test_a_failed_call_has_a_failed_span(venue: Any, spans: InMemorySpanExporter) -> None:
    async def fail(_: bytes) -> bytes:
        raise NotFound("no such order", reason="ORDER_UNKNOWN")

    venue.echo.behave = fail
    caller = await venue.caller(await venue.start())
    assert (await venue.refusal(caller.call("UnaryUnary", b"x"))).reason == "ORDER_UNKNOWN"
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.parent is None


async def test_a_broken_traceparent_harms_nobody(venue: Any) -> None:
    caller = await venue.caller(await venue.start())
    for value in ("", "garbage", "00-0-0-0", "ff" * 500):
        assert await caller.call("UnaryUnary", b"x", more=(("traceparent", value),)) == [b"x"]
