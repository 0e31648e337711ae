"""The one layer between gRPC and the servicers: admission, auth, deadline, errors, metrics, traces.

It is a single function around each handler, made once per method, because stacked interceptors cost more than
an order. The router also takes the place of gRPC's own table of methods: `grpc.aio` waits on one future per
registered method for every RPC that arrives (about 0.3 µs each), and all services share one process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import grpc.aio

from smartex_chassis import telemetry
from smartex_chassis.auth import PUBLIC, SCOPES, Principal, TokenVerifier, bearer_token
from smartex_chassis.call import Call, set_current
from smartex_chassis.errors import (
    DeadlineExceeded,
    PermissionDenied,
    SmartexError,
    StartupError,
    Unauthenticated,
    to_status,
)
from smartex_chassis.gate import Gate, Meters
from smartex_chassis.handlers import Answer, as_writer, checked, polite, reading

Context = grpc.aio.ServicerContext[Any, Any]

_OK = grpc.StatusCode.OK  # to ask an enumeration for a member takes longer than to check a scope
_STATUS_KEY = "grpc-status-details-bin"
_FIRST_MESSAGE_SECONDS = 0.1
"""How long a refusal waits at most for what its client says first."""
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_TRACE_KEYS = frozenset({"traceparent", "tracestate"})
_NO_PARENT: Mapping[str, str] = {}


class _Registrable(Protocol):
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any: ...


@dataclass(frozen=True)
class _Details:
    method: str
    invocation_metadata: tuple[tuple[str, str | bytes], ...] = ()


class Router(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """Takes registrations as a `grpc.aio.Server` does, and answers gRPC with guarded handlers.

    `scopes` says for each RPC which scope it needs; one that is not in it is denied.
    """

    def __init__(self, scopes: Mapping[str, str], verifier: TokenVerifier | None, gate: Gate) -> None:
        self._scopes = dict(scopes)
        self._verifier = verifier
        self._gate = gate
        self._sources: list[_Registrable] = []
        self._named: set[str] = set()
        self._guarded: dict[str, Any] = {}
        self.streaming: dict[str, bool] = {}

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Sequence[_Registrable]) -> None:
        """Serve the RPCs of these handlers (called by generated code)."""
        self._sources.extend(generic_rpc_handlers)

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Any]) -> None:
        """Note the RPCs of a service (called by generated code); the generic handlers already serve them."""
        self._named.update(f"/{service_name}/{method}" for method in method_handlers)

    def check(self) -> None:
        """Raise `StartupError` unless scopes and registered RPCs match and every handler is async."""
        problems = [
            f"{method} is served without a scope: add it to its module's scopes"
            for method in sorted(self._named - self._scopes.keys())
        ]
        for method, scope in sorted(self._scopes.items()):
            if scope != PUBLIC and scope not in SCOPES:
                problems.append(f"{method} asks for the scope {scope!r}, which does not exist")
            if self._guard(_Details(method)) is None:
                problems.append(f"{method} has a scope but is not served: register it or drop the scope")
        if problems:
            raise StartupError("\n".join(problems), reason="SCOPES_INCOMPLETE")

    def service(self, handler_call_details: Any) -> Any:
        """Return the guarded handler of an RPC, None if nobody serves it."""
        guarded = self._guarded.get(handler_call_details.method)
        return guarded if guarded is not None else self._guard(handler_call_details)

    def _guard(self, details: Any) -> Any:
        found = (source.service(details) for source in self._sources)
        handler = next((handler for handler in found if handler is not None), None)
        if handler is None:
            return None
        method: str = details.method
        guarded = _Guard(method, self._scopes.get(method), self._verifier, self._gate).wrap(handler)
        self._guarded[method] = guarded
        self.streaming[method] = bool(handler.request_streaming or handler.response_streaming)
        return guarded


class _Guard:
    """What stands around one method's handler."""

    def __init__(self, method: str, scope: str | None, verifier: TokenVerifier | None, gate: Gate) -> None:
        self._method = method
        self._scope = scope
        self._verifier = verifier
        self._gate = gate
        self._calls = gate.public_calls if scope == PUBLIC else gate.calls
        self._meters = Meters(method)
        self._streaming = self._reads_stream = False

    def wrap(self, handler: Any) -> Any:
        """Return the handler with this around it; what it reads and writes stays the same."""
        self._streaming = bool(handler.request_streaming or handler.response_streaming)
        self._reads_stream = bool(handler.request_streaming)
        read, write = handler.request_deserializer, handler.response_serializer
        if handler.request_streaming:
            # gRPC reads the stream's messages, inside the handler; an error there passes through `_serve`.
            lazily = None if read is None else polite(read)
            if handler.response_streaming:
                serve = self._around(as_writer(checked(self._method, handler.stream_stream)))
                return grpc.stream_stream_rpc_method_handler(serve, lazily, write)
            serve = self._around(checked(self._method, handler.stream_unary))
            return grpc.stream_unary_rpc_method_handler(serve, lazily, write)
        # The single request is read here, after auth, where an error can be mapped.
        if handler.response_streaming:
            serve = self._around(reading(read, as_writer(checked(self._method, handler.unary_stream))))
            return grpc.unary_stream_rpc_method_handler(serve, None, write)
        serve = self._around(reading(read, checked(self._method, handler.unary_unary)))
        return grpc.unary_unary_rpc_method_handler(serve, None, write)

    def _around(self, inner: Answer) -> Answer:
        serve = self._serve

        async def guarded(request: Any, context: Any) -> Any:
            return await serve(inner, request, context)

        return guarded

    async def _serve(self, inner: Answer, request: Any, context: Context) -> Any:
        started = time.perf_counter()
        call = Call(self._method, _this_task(), self._gate.drain)
        self._calls.add(call)
        self._meters.active += 1
        code = _OK
        failure: BaseException | None = None
        entered = False
        try:
            token, parent = _headers(context)
            await self._enter(call, token, context)
            entered = True
            if parent or telemetry.tracing():
                with telemetry.server_span(self._method, parent):
                    response = await inner(request, context)
            else:
                response = await inner(request, context)
            code = _code_of(context, otherwise=_OK)
            return response
        except asyncio.CancelledError:
            # gRPC itself cancels a call when its client's deadline has passed, perhaps before we look.
            overdue = call.is_overdue(time.monotonic())
            code = grpc.StatusCode.DEADLINE_EXCEEDED if overdue else grpc.StatusCode.CANCELLED
            failure = call.ended_by
            if failure is None:
                raise
        except grpc.aio.BaseError:
            # The handler has answered by itself (`context.abort`), or the client is gone.
            code = _code_of(context, otherwise=grpc.StatusCode.CANCELLED)
            raise
        except Exception as error:
            failure = call.ended_by or error
        finally:
            call.close()
            self._calls.discard(call)
            if self._streaming:
                self._gate.close_stream(call)
            self._meters.active -= 1
            if failure is not None:
                status = to_status(failure)
                code = _CODES[status.code]
            # On the next turn of the loop: the answer does not wait until it is counted.
            call.loop.call_soon(self._meters.finish, code, time.perf_counter() - started)
        if self._reads_stream and not entered:
            await _hear_first_message(context)
        return await context.abort(code, status.message, ((_STATUS_KEY, status.SerializeToString()),))

    async def _enter(self, call: Call, token: str | bytes | None, context: Context) -> None:
        """Let the call in, or raise why not; sets who calls and how long it may take."""
        if self._scope is None:
            raise PermissionDenied(
                "nobody may call this RPC: it declares no scope", reason="RPC_NOT_DECLARED"
            )
        if self._scope == PUBLIC:
            self._gate.admit_public(stream=self._streaming)
        else:
            self._gate.admit()
            principal = call.principal = self._known(token) or await self._authenticated(token)
            principal.require_scope(self._scope)
            if self._streaming:
                self._gate.open_stream(call, principal)
        self._limit_time(call, context.time_remaining())
        set_current(call)

    def _known(self, header: str | bytes | None) -> Principal | None:
        """Whose token this is, if that was found out a short while ago."""
        return None if self._verifier is None else self._verifier.cached(bearer_token(header))

    async def _authenticated(self, header: str | bytes | None) -> Principal:
        token = bearer_token(header)
        if self._verifier is None:
            raise Unauthenticated("this server knows no keys: set SMARTEX_JWKS", reason="AUTH_NOT_CONFIGURED")
        return await self._verifier.verify(token)

    def _limit_time(self, call: Call, asked: float | None) -> None:
        seconds, error = asked, _out_of_time
        if seconds is None and not self._streaming:
            seconds = self._gate.limits.default_deadline
        if self._streaming and call.principal is not None:
            # A stream must not outlive the right to it.
            token_left = call.principal.expires_at - time.time()
            if seconds is None or token_left < seconds:
                seconds, error = token_left, _token_expired
        if seconds is not None:
            call.end_at(time.monotonic() + seconds, error)


async def _hear_first_message(context: Context) -> None:
    """Wait a moment for what the client of a stream says first, which is not looked at.

    A stream that is refused while its client writes to it tells a client of Python's gRPC "Internal error from Core"
    instead of why (https://github.com/grpc/grpc/issues/36066).
    """
    hearing = asyncio.ensure_future(context.read())
    try:
        await asyncio.wait({hearing}, timeout=_FIRST_MESSAGE_SECONDS)
    finally:
        hearing.cancel()
        await asyncio.gather(hearing, return_exceptions=True)


def _out_of_time() -> SmartexError:
    return DeadlineExceeded(
        "the time ran out; the call may still take effect: ask for its outcome or retry with the same id",
        reason="DEADLINE_EXCEEDED",
    )


def _token_expired() -> SmartexError:
    return Unauthenticated(
        "the token expired; get a new one and open the stream again", reason="TOKEN_EXPIRED"
    )


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


def _headers(context: Context) -> tuple[str | bytes | None, Mapping[str, str]]:
    """Return the authorization header and the trace headers, in one walk over the metadata."""
    token: str | bytes | None = None
    parent: Mapping[str, str] = _NO_PARENT
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            if token is not None:
                raise Unauthenticated("send one authorization header, not several", reason="TOKEN_MALFORMED")
            token = value
        elif key in _TRACE_KEYS and isinstance(value, str):
            parent = {**parent, key: value}
    return token, parent


def _code_of(context: Context, *, otherwise: grpc.StatusCode) -> grpc.StatusCode:
    code: Any = context.code()
    if not code:  # the number 0 unless the handler has set another
        return otherwise
    return code if isinstance(code, grpc.StatusCode) else _CODES.get(code, grpc.StatusCode.UNKNOWN)
