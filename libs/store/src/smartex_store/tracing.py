"""One OpenTelemetry span per statement or transaction; next to nothing while no tracer is set up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

_tracer = trace.get_tracer("smartex.store")


@contextlib.contextmanager
def span(operation: str, pool: str, query: str | None = None) -> Iterator[None]:
    """Cover one operation. The query's text is recorded, its parameters never are."""
    with _tracer.start_as_current_span(
        operation, kind=SpanKind.CLIENT, record_exception=False, set_status_on_exception=False
    ) as current:
        if not current.is_recording():
            yield
            return
        current.set_attributes({"db.system.name": "postgresql", "db.client.connection.pool.name": pool})
        if query is not None:
            current.set_attribute("db.query.text", " ".join(query.split())[:2000])
        try:
            yield
        except BaseException as error:
            current.set_attribute("error.type", type(error).__qualname__)
            current.set_status(StatusCode.ERROR)
            raise
