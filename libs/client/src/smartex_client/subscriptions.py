"""Subscriptions that come back by themselves, without gap and without double."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import grpc
from smartex.matching.v1 import market_data_pb2 as md

from .connection import SERVICES, Connection, cancelled_here
from .decoding import decode
from .errors import Retryable, SmartexError, Unavailable

Update: TypeAlias = md.BookSnapshot | md.Quote | md.LevelUpdate | md.OrderUpdate | md.TradeBatch | md.Candle

_SUBSCRIBE = f"/{SERVICES}.MarketDataService/Subscribe"


class _Gap(Exception):  # noqa: N818 - it asks for a fresh start, nothing failed
    """A message does not continue the one before."""


class Progress:
    """How far a subscription has come: what to drop, what is missing, where to resume.

    Messages of one frame of the market may name sequences in any order over instruments, so it resumes from the
    end of the frame before the last one, and drops what it has seen of the last one.
    """

    def __init__(self, resume_sequence: int = 0) -> None:
        self._seen: dict[int, int] = {}
        self._complete = resume_sequence
        self._highest = resume_sequence
        self._resumed = resume_sequence
        self._time_ns = 0

    @property
    def resume_sequence(self) -> int:
        """All messages up to here have been seen."""
        return self._complete

    def takes(self, update: Update) -> bool:
        """Whether the message is news, which then names the one before it. Raises _Gap if that is missing."""
        number, sequence = update.instrument_id, update.sequence
        last = self._seen.get(number)
        if last is not None and isinstance(update, md.LevelUpdate | md.OrderUpdate | md.TradeBatch):
            # The parts of a long snapshot share its sequence.
            rest = sequence == last == update.previous_sequence
            if sequence <= last and not rest:
                return False
            if update.previous_sequence != last:
                # A pod that restarted may not know the message before, if that was before the point of resumption.
                if max(update.previous_sequence, last) > self._resumed:
                    raise _Gap
                update.previous_sequence = last
        self._seen[number] = sequence
        self._advance(update, sequence)
        return True

    def resumed(self, sequence: int) -> None:
        """The subscription is opened again from here (0: from snapshots)."""
        self._resumed = sequence

    def forget(self) -> None:
        """Start anew with snapshots."""
        self._seen.clear()
        self._complete = self._highest = self._time_ns = 0

    def _advance(self, update: Update, sequence: int) -> None:
        time_ns = _time_of(update)
        if time_ns > self._time_ns:
            self._time_ns, self._complete = time_ns, self._highest
        self._highest = max(self._highest, sequence)


def _time_of(update: Update) -> int:
    if isinstance(update, md.TradeBatch):
        return update.trades[-1].trade_time_ns if update.trades else 0
    return 0 if isinstance(update, md.Candle) else update.market_time_ns


async def subscribe(
    connection: Connection,
    request: md.SubscribeRequest,
    *,
    on_restored: Callable[[], None] | None = None,
) -> AsyncIterator[Update]:
    """The updates of a subscription. Reconnects until `reconnect_deadline` has passed without any message.

    `on_restored` is called when the venue comes back with less than it had told, before the snapshots of how it is now.
    """
    loop, retry = asyncio.get_running_loop(), connection.retry
    keeps = request.channel in (md.CHANNEL_L3, md.CHANNEL_TRADES)
    progress = Progress(request.resume_sequence)
    attempt, last_alive, heard = 0, loop.time(), False
    while True:
        request.resume_sequence = progress.resume_sequence if keeps else 0
        progress.resumed(request.resume_sequence)
        error: SmartexError = Unavailable("the exchange ended the subscription", reason="STREAM_ENDED")
        channel: Any = connection.channel
        call = channel.unary_stream(
            _SUBSCRIBE,
            request_serializer=md.SubscribeRequest.SerializeToString,
            response_deserializer=md.SubscribeResponse.FromString,
        )(request, metadata=connection.metadata())
        try:
            async for message in call:
                attempt, last_alive, heard = 0, loop.time(), True
                kind = message.WhichOneof("payload")
                if kind in (None, "heartbeat"):
                    continue
                update: Update = getattr(message, kind)
                if progress.takes(update):
                    yield update
        except _Gap:
            progress.forget()
            continue
        except grpc.aio.AioRpcError as failure:
            error = decode(failure)
        except asyncio.CancelledError:
            # gRPC raises this also when it is the other side that cancelled the call.
            if cancelled_here():
                raise
            error = Unavailable("the connection was lost", reason="CONNECTION_LOST")
        finally:
            call.cancel()
        if heard and error.reason == "RESUME_AHEAD":
            progress.forget()
            if on_restored is not None:
                on_restored()
            continue
        if not isinstance(error, Retryable):
            raise error
        pause = retry.pause(attempt, error.retry_after, random.random())
        deadline = retry.reconnect_deadline if heard else retry.deadline
        if loop.time() - last_alive + pause > deadline:
            raise connection.gave_up(error)
        await connection.pause(pause)
        attempt += 1
