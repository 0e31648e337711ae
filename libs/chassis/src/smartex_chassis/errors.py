"""The one tree of errors, and how each reaches a caller as `google.rpc.Status`.

    SmartexError
    ├── InvalidInput          INVALID_ARGUMENT     the request is wrong in itself; names the field
    ├── OutOfRange            OUT_OF_RANGE         a position past what is kept (a sequence, a page)
    ├── Unauthenticated       UNAUTHENTICATED      no token, or one that is not believed
    ├── PermissionDenied      PERMISSION_DENIED    a good token that does not allow this
    ├── NotFound              NOT_FOUND            no such thing, or not the caller's
    ├── FailedPrecondition    FAILED_PRECONDITION  right request, wrong state; retrying alone will not help
    │   └── StartupError      (never sent)         this program cannot start; one line says what to do
    │       ├── SettingsInvalid
    │       ├── PortInUse
    │       └── BindFailed
    ├── Unimplemented         UNIMPLEMENTED        the contract has it, this server does not yet
    ├── Overloaded            RESOURCE_EXHAUSTED   slow down; says when to try again
    ├── Unavailable           UNAVAILABLE          not now; safe to retry
    ├── DeadlineExceeded      DEADLINE_EXCEEDED    the time ran out; the outcome may be unknown
    └── Internal              INTERNAL             a bug; the log has it under the incident id

Raise them anywhere; the server maps them once, for unary and streaming RPCs alike. The `reason` is for
programs and is stable, the message is for people and is not.
"""

# The names are the categories' own; an Error suffix on each would say nothing more.
# ruff: noqa: N818

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import ClassVar

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import (  # type: ignore[import-untyped, unused-ignore]
    BadRequest,
    ErrorInfo,
    RetryInfo,
)
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped, unused-ignore]

DOMAIN = "smartex"
"""The domain of every `ErrorInfo`."""

# The status travels in HTTP/2 headers, of which peers take 8 KiB: everything in it is cut to fit.
_MESSAGE_LIMIT = 512
_FIELDS_LIMIT = 16
_METADATA_LIMIT = 16
_VALUE_LIMIT = 128
_REASON = re.compile(r"[A-Z][A-Z0-9_]{0,62}")

_log = structlog.get_logger("smartex.errors")


class Category(Enum):
    """What kind of failure it is; each maps to one gRPC status code."""

    INVALID_INPUT = grpc.StatusCode.INVALID_ARGUMENT
    OUT_OF_RANGE = grpc.StatusCode.OUT_OF_RANGE
    UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
    PERMISSION_DENIED = grpc.StatusCode.PERMISSION_DENIED
    NOT_FOUND = grpc.StatusCode.NOT_FOUND
    FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
    UNIMPLEMENTED = grpc.StatusCode.UNIMPLEMENTED
    OVERLOADED = grpc.StatusCode.RESOURCE_EXHAUSTED
    UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
    DEADLINE_EXCEEDED = grpc.StatusCode.DEADLINE_EXCEEDED
    INTERNAL = grpc.StatusCode.INTERNAL

    @property
    def code(self) -> grpc.StatusCode:
        """The gRPC status code."""
        return self.value


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field that is wrong: its path in the request (`orders[3].price_ticks`) and what is wrong."""

    field: str
    description: str


class SmartexError(Exception):
    """A failure with a category, a stable UPPER_SNAKE reason and a message that says what to do next.

    `metadata` carries the numbers behind the message. `retry_after` says when a retry has a chance, and
    `field_violations` which fields of the request are wrong.
    """

    category: ClassVar[Category] = Category.INTERNAL

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        metadata: Mapping[str, object] | None = None,
        retry_after: timedelta | None = None,
        field_violations: Sequence[FieldViolation] = (),
    ) -> None:
        super().__init__(message)
        if not _REASON.fullmatch(reason):
            raise ValueError(f"reason {reason!r} is not UPPER_SNAKE of at most 63 characters")
        self.reason = reason
        self.message = message
        self.metadata: dict[str, str] = {key: str(value) for key, value in (metadata or {}).items()}
        self.retry_after = retry_after
        self.field_violations: tuple[FieldViolation, ...] = tuple(field_violations)

    def __str__(self) -> str:
        return self.message


class InvalidInput(SmartexError):
    """The request is wrong in itself and will stay so: name the field that must change."""

    category = Category.INVALID_INPUT

    def __init__(
        self,
        message: str,
        *,
        reason: str = "INVALID_INPUT",
        field: str | None = None,
        field_violations: Sequence[FieldViolation] = (),
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        named = (FieldViolation(field, message),) if field is not None else ()
        super().__init__(
            message, reason=reason, metadata=metadata, field_violations=(*named, *field_violations)
        )


class OutOfRange(SmartexError):
    """A position past what is kept: ask again from where it begins."""

    category = Category.OUT_OF_RANGE


class Unauthenticated(SmartexError):
    """No token, or one that is not believed: get a new one."""

    category = Category.UNAUTHENTICATED


class PermissionDenied(SmartexError):
    """The caller is known and may not do this."""

    category = Category.PERMISSION_DENIED


class NotFound(SmartexError):
    """No such thing, or not the caller's; the two answer alike."""

    category = Category.NOT_FOUND


class FailedPrecondition(SmartexError):
    """The request is right and the state is not: something else must happen first."""

    category = Category.FAILED_PRECONDITION


class Unimplemented(SmartexError):
    """The contract has this and this server does not yet: do without, or ask another version."""

    category = Category.UNIMPLEMENTED


class Overloaded(SmartexError):
    """Too much at once: come back after `retry_after`."""

    category = Category.OVERLOADED

    def __init__(
        self,
        message: str,
        *,
        reason: str = "OVERLOADED",
        retry_after: timedelta = timedelta(milliseconds=100),
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message, reason=reason, retry_after=retry_after, metadata=metadata)


class Unavailable(SmartexError):
    """Not now: starting, draining, or something below is away. Safe to retry."""

    category = Category.UNAVAILABLE


class DeadlineExceeded(SmartexError):
    """The time given ran out; what was asked may still have happened."""

    category = Category.DEADLINE_EXCEEDED


class Internal(SmartexError):
    """A bug. The caller learns an incident id, the log has the rest."""

    category = Category.INTERNAL

    def __init__(
        self, message: str, *, reason: str = "INTERNAL", metadata: Mapping[str, object] | None = None
    ):
        super().__init__(message, reason=reason, metadata=metadata)


class StartupError(FailedPrecondition):
    """This program cannot start. The message is for the terminal: one line for each problem."""

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, reason: str = "STARTUP_FAILED") -> None:
        super().__init__(message, reason=reason)


class SettingsInvalid(StartupError):
    """Settings that are missing or wrong, all of them at once."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems), reason="SETTINGS_INVALID")
        self.problems = tuple(problems)


class PortInUse(StartupError):
    """Another program listens on the port."""

    def __init__(self, port: int, variable: str) -> None:
        super().__init__(
            f"port {port} is taken: stop the other program or set {variable}", reason="PORT_IN_USE"
        )
        self.port = port


class BindFailed(StartupError):
    """The address cannot be listened on for another reason than being taken."""

    def __init__(self, address: str, why: str, variable: str) -> None:
        super().__init__(f"cannot listen on {address}: {why}; set {variable}", reason="BIND_FAILED")


def to_status(error: BaseException) -> Status:
    """Return what the caller is told: one `ErrorInfo`, and `BadRequest` or `RetryInfo` where they apply.

    Anything that is not a `SmartexError` is a bug, and so is `Internal`: the traceback and message go to the
    log under a random incident id, and the caller is told only the id.
    """
    known = (
        error
        if isinstance(error, SmartexError) and error.category is not Category.INTERNAL
        else _incident(error)
    )
    status = Status(code=_number(known.category.code), message=_cut(known.message, _MESSAGE_LIMIT))
    metadata = {
        _cut(key, _VALUE_LIMIT): _cut(value, _VALUE_LIMIT)
        for key, value in list(known.metadata.items())[:_METADATA_LIMIT]
    }
    _pack(status, ErrorInfo(reason=known.reason, domain=DOMAIN, metadata=metadata))
    if known.field_violations:
        _pack(status, _bad_request(known.field_violations))
    if known.retry_after is not None:
        _pack(status, RetryInfo(retry_delay=_duration(known.retry_after)))
    return status


def _incident(error: BaseException) -> Internal:
    incident = secrets.token_hex(8)
    reason = error.reason if isinstance(error, Internal) else "INTERNAL"
    _log.error("incident", incident=incident, reason=reason, exc_info=error)
    return Internal(
        f"internal error; quote incident {incident} to the operator",
        reason=reason,
        metadata={"incident": incident},
    )


def _number(code: grpc.StatusCode) -> int:
    number: int = code.value[0]
    return number


def _bad_request(violations: Sequence[FieldViolation]) -> BadRequest:
    return BadRequest(
        field_violations=[
            BadRequest.FieldViolation(
                field=_cut(v.field, _VALUE_LIMIT), description=_cut(v.description, _VALUE_LIMIT)
            )
            for v in violations[:_FIELDS_LIMIT]
        ]
    )


def _duration(delay: timedelta) -> Duration:
    duration = Duration()
    duration.FromTimedelta(max(delay, timedelta(0)))
    return duration


def _pack(status: Status, detail: Message) -> None:
    packed = AnyMessage()
    packed.Pack(detail)
    status.details.append(packed)


def _cut(text: str, limit: int) -> str:
    # Lone surrogates cannot be encoded; an error must never fail to be told.
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
