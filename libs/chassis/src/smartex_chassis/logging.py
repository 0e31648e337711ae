"""Structured logs: JSON, or pretty on a terminal; the standard library's too; no secret passes."""

from __future__ import annotations

import itertools
import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Final, TextIO

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor, WrappedLogger

from smartex_chassis.printing import complain

REDACTED: Final = "[redacted]"

_SECRET_WORDS: Final = frozenset(
    {
        "token",
        "tokens",
        "authorization",
        "password",
        "passwd",
        "pwd",
        "secret",
        "secrets",
        "credential",
        "credentials",
    }
    | {"cookie", "jwt", "bearer", "apikey", "privatekey", "passphrase", "dsn"}
)
_SECRET_PAIRS: Final = frozenset({("api", "key"), ("private", "key"), ("signing", "key"), ("access", "key")})
_MAX_DEPTH = 6

_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?")
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
# Up to the last @ before a blank: a password may hold any sign, and hiding too much is the lesser harm.
_DSN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^\s:/@]*):\S*@")
_NAMED = re.compile(
    r"(?i)\b(password|passwd|pwd|secret|authorization|api_?key|access_token|token)(\"?'?\s*[=:]\s*)"
    r"(\"[^\"]*\"|'[^']*'|(?:bearer\s+)?[^\s,;&)}\]]+)"
)
_BEARER = re.compile(r"(?i)\bbearer\s+\S{8,}")


def configure(*, service: str, level: str = "info", form: str = "auto", stream: TextIO | None = None) -> None:
    """Send all logs, structlog's and the standard library's, to `stream` (standard error), redacted.

    `form` is `json`, `pretty`, or `auto`: pretty when the stream is a terminal.
    """
    out = sys.stderr if stream is None else stream
    pretty = form == "pretty" or (form == "auto" and out.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Named(service),
        add_trace_ids,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty())
        if pretty
        else structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = _Handler(out)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines. What cannot be written is lost, and one line on standard error tells when that begins."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        lost = self._lost
        super().emit(record)
        if self._lost == lost:
            self._lost = 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Called by the library when a record could not be written."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self._lost += 1
        if self._lost == 1 and self.stream is not sys.stderr:
            complain(f"the log cannot be written ({error.strerror}): it goes on without")


class _Named:
    """Adds the name of the service to every event."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("service", self._service)
        return event


def add_trace_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add `trace_id` and `span_id` of the span that is current, if there is one."""
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = trace.format_trace_id(span.trace_id)
        event["span_id"] = trace.format_span_id(span.span_id)
    return event


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop the values of keys that name secrets, and mask what looks like one anywhere in the event."""
    return {key: _redact_value(key, value, 0) for key, value in event.items()}


def redact_text(text: str) -> str:
    """Return the text with tokens, private keys, passwords in addresses and `password=...` masked."""
    text = _PEM.sub(REDACTED, text)
    text = _DSN.sub(rf"\1:{REDACTED}@", text)
    text = _NAMED.sub(rf"\1\2{REDACTED}", text)
    text = _BEARER.sub(f"Bearer {REDACTED}", text)
    return _JWT.sub(REDACTED, text)


def names_secret(key: str) -> bool:
    """Return whether a key's name says that its value is secret (`db_password`, `accessToken`)."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", key)]
    pairs = itertools.pairwise(words)
    return any(word in _SECRET_WORDS for word in words) or any(pair in _SECRET_PAIRS for pair in pairs)


def _redact_value(key: object, value: Any, depth: int) -> Any:
    if isinstance(key, str) and names_secret(key):
        return REDACTED
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= _MAX_DEPTH:
        return redact_text(str(value))
    if isinstance(value, Mapping):
        return {_redact_key(k): _redact_value(k, v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact_value(None, item, depth + 1) for item in value]
    if isinstance(value, bytes):
        return redact_text(value.decode("utf-8", "backslashreplace"))
    return redact_text(str(value))


def _redact_key(key: object) -> str:
    return redact_text(str(key))
