"""Handlers brought into one form: coroutines, whose input fails politely."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

from google.protobuf.message import DecodeError, Message

from smartex_chassis.errors import InvalidInput, StartupError, Unimplemented
from smartex_chassis.texts import nul_field

Answer = Callable[[Any, Any], Awaitable[Any]]


def polite(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Return a deserializer whose failures are the caller's fault: `MESSAGE_MALFORMED`, `TEXT_MALFORMED`."""

    def read_or_refuse(raw: bytes) -> Any:
        try:
            message = read(raw)
        except (DecodeError, ValueError) as error:
            raise InvalidInput(
                "the bytes are not a message of this RPC; use the published contract",
                reason="MESSAGE_MALFORMED",
            ) from error
        # Without the byte there is no such text, and no need to look through what may be millions of them.
        if b"\0" in raw and isinstance(message, Message) and (field := nul_field(message)):
            raise InvalidInput(
                f"{field} holds the character U+0000: leave it out", reason="TEXT_MALFORMED", field=field
            )
        return message

    return read_or_refuse


def reading(read: Callable[[bytes], Any] | None, answer: Answer) -> Answer:
    """Return `answer` made to take the raw request."""
    if read is None:
        return answer
    politely = polite(read)

    async def read_and_answer(raw: Any, context: Any) -> Any:
        return await answer(politely(raw), context)

    return read_and_answer


def checked(method: str, handler: Any) -> Any:
    """Return the handler if it is async; raises `StartupError` if it would block the loop."""
    if inspect.iscoroutinefunction(handler) or inspect.isasyncgenfunction(handler):
        return handler
    if getattr(handler, "__module__", "").endswith("_pb2_grpc"):
        # A servicer that leaves out a method has the generated one, which is not async and only raises.
        return _not_implemented
    raise StartupError(
        f"the handler of {method} is not async: make it `async def`", reason="HANDLER_NOT_ASYNC"
    )


async def _not_implemented(_request: Any, _context: Any) -> Any:
    raise Unimplemented("this server does not have this RPC yet", reason="NOT_IMPLEMENTED")


def as_writer(handler: Any) -> Answer:
    """Return a handler of a response stream in its one form: a coroutine that writes."""
    if not inspect.isasyncgenfunction(handler):
        return handler  # type: ignore[no-any-return]

    async def write_all(request: Any, context: Any) -> None:
        responses: AsyncGenerator[Any, None] = handler(request, context)
        async with aclosing(responses):
            async for response in responses:
                await context.write(response)

    return write_all
