"""A gRPC failure as an error of `errors`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped, unused-ignore]

from . import errors

STATUS_KEY = "grpc-status-details-bin"

_BROKEN_HERE = "Internal error from Core"
"""What gRPC itself says of a stream that was written to while its connection broke."""

_KINDS: dict[grpc.StatusCode, type[errors.SmartexError]] = {
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.Overloaded,
    grpc.StatusCode.ABORTED: errors.Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.OutcomeUnknown,
    grpc.StatusCode.CANCELLED: errors.OutcomeUnknown,
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidInput,
    grpc.StatusCode.OUT_OF_RANGE: errors.InvalidInput,
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.UNAUTHENTICATED: errors.Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDenied,
    grpc.StatusCode.FAILED_PRECONDITION: errors.FailedPrecondition,
    grpc.StatusCode.ALREADY_EXISTS: errors.FailedPrecondition,
}


def decode(failure: grpc.aio.AioRpcError) -> errors.SmartexError:
    """The typed error behind a failed call, with reason, field and retry advice where there are any."""
    code, text = failure.code(), failure.details() or failure.code().name
    info, fields, retry_after = _details(failure.trailing_metadata() or ())
    kind = _KINDS.get(code, errors.ServerFault)
    metadata = dict(info.metadata)
    reason = info.reason or code.name
    if code is grpc.StatusCode.INTERNAL and text == _BROKEN_HERE:
        return errors.Unavailable("the connection was lost", reason="CONNECTION_LOST")
    if reason == "SLOW_CONSUMER":
        kind = errors.StreamCut
    if kind is errors.Overloaded and not info.reason:
        # gRPC's own answer to an oversize message carries no reason.
        kind = errors.InvalidInput
    if issubclass(kind, errors.InvalidInput):
        return errors.InvalidInput(text, field=fields[0] if fields else "", reason=reason, metadata=metadata)
    if issubclass(kind, errors.Retryable):
        return kind(text, reason=reason, metadata=metadata, retry_after=retry_after)
    return kind(text, reason=reason, metadata=metadata)


def _details(
    trailing: Iterable[Any],
) -> tuple[error_details_pb2.ErrorInfo, list[str], float | None]:
    info, fields, retry_after = error_details_pb2.ErrorInfo(), [], None
    for key, value in trailing:
        if key != STATUS_KEY or not isinstance(value, bytes):
            continue
        status = status_pb2.Status.FromString(value)
        for detail in status.details:
            bad, retry = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
            if detail.Unpack(info):
                continue
            if detail.Unpack(bad):
                fields += [violation.field for violation in bad.field_violations]
            elif detail.Unpack(retry):
                retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    return info, fields, retry_after
