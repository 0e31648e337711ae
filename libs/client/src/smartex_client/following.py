"""Streams that a server sends, followed over broken connections."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from .connection import Connection, cancelled_here, path_of
from .decoding import decode
from .errors import Retryable, SmartexError, Unavailable

Answer = TypeVar("Answer", bound=Message)


async def follow(
    connection: Connection, method: str, request: Callable[[], Message], answer: type[Answer]
) -> AsyncIterator[Answer]:
    """The messages of a stream. After a broken connection it asks again with what `request` then gives.

    Raises the last failure when `deadline` has passed without a first message, or `reconnect_deadline` without another.
    """
    loop, retry = asyncio.get_running_loop(), connection.retry
    attempt, last_alive, heard = 0, loop.time(), False
    while True:
        error: SmartexError = Unavailable("the exchange ended the stream", reason="STREAM_ENDED")
        channel: Any = connection.channel
        call = channel.unary_stream(
            path_of(method),
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )(request(), metadata=connection.metadata())
        try:
            async for message in call:
                attempt, last_alive, heard = 0, loop.time(), True
                yield message
        except grpc.aio.AioRpcError as failure:
            error = decode(failure)
        except asyncio.CancelledError:
            if cancelled_here():
                raise
        finally:
            call.cancel()
        if not isinstance(error, Retryable):
            raise error
        pause = retry.pause(attempt, error.retry_after, random.random())
        deadline = retry.reconnect_deadline if heard else retry.deadline
        if loop.time() - last_alive + pause > deadline:
            raise connection.gave_up(error)
        await connection.pause(pause)
        attempt += 1
