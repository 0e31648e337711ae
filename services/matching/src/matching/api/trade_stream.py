"""The Trade stream: batches of commands in, batches of reports out.

Two coroutines serve a stream. The reader turns messages into commands and stops reading while too much is
unanswered. The writer sends what the hub queues. All streams of an account get all of its reports.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import grpc
from smartex.matching.v1 import order_entry_pb2 as pb
from smartex_chassis import InvalidInput, Overloaded, SmartexError, Unavailable, drain_started

from matching.api.request_commands import to_commands
from matching.api.validation import check_open, own_account, refuse
from matching.hub import Outlet, ReportHub
from matching.limits import TokenBuckets
from matching.reaching import Reaching
from matching.reports import messages_of
from matching.resume import Past
from matching.sequencer import Sequencer
from matching.sessions import Live, Sessions

LARGEST_WINDOW: Final = 100_000
_PAUSE_SECONDS = 0.005
_END: Final[Any] = grpc.aio.EOF  # type: ignore[attr-defined]


@dataclass(frozen=True)
class TradeStreams:
    """Serves Trade streams."""

    sequencer: Sequencer
    hub: ReportHub
    sessions: Sessions
    buckets: TokenBuckets
    past: Past
    reaching: Reaching
    default_window: int

    async def trade(self, requests: Any, context: Any) -> None:
        """See the contract. `requests` is not used: messages are read one by one, when there is room."""
        account_id = own_account()
        first = await context.read()
        if first is _END:
            return
        opening = _opening(first)
        await self.reaching.reach(opening.resume_sequence)
        self.sequencer.tell()  # what the hub is told from here on is after the sequence that the stream begins at
        outlet = self.hub.enter(account_id)
        live: Live | None = None
        try:
            sequence = self.sequencer.replica.core.sequence
            if opening.cancel_on_disconnect_ms:
                live = await self.sessions.open(
                    opening.session_id,
                    account_id,
                    opening.cancel_on_disconnect_ms,
                    lambda: outlet.fail(_session_ended()),
                )
            window = opening.window or self.default_window
            await context.write(self._opened(sequence, window))
            stream = _Stream(self, outlet, account_id, live.session_id if live else 0, window, context)
            if opening.resume_sequence:
                await stream.replay(self.past.events(opening.resume_sequence, sequence))
            await stream.serve(first)
        finally:
            self.hub.leave(outlet)
            if live is not None:
                self.sessions.leave(live)

    def _opened(self, sequence: int, window: int) -> bytes:
        now = self.sequencer.replica.core.now
        opened = pb.TradeOpened(sequence=sequence, window=window, market_time_ns=now)
        return pb.TradeResponse(opened=opened).SerializeToString()


class _Stream:
    """One stream, opened."""

    def __init__(
        self,
        streams: TradeStreams,
        outlet: Outlet,
        account_id: int,
        session_id: int,
        window: int,
        context: Any,
    ) -> None:
        self._streams = streams
        self._outlet = outlet
        self._account_id = account_id
        self._session_id = session_id
        self._window = window
        self._context = context
        self._unanswered = 0
        self._progress = asyncio.Event()
        self._drain = drain_started()

    async def replay(self, past: AsyncIterator[tuple[int, int, Any]]) -> None:
        """Write what the client missed. Nothing is read meanwhile, for outcomes have to wait behind it; what happens
        waits too, and a client that does not read is cut as ever."""
        writer = asyncio.create_task(self._write_past(past), name="trade-replay")
        draining = asyncio.create_task(self._drain.wait(), name="trade-drain")
        self._outlet.on_fail = writer.cancel
        try:
            if self._outlet.failure is None:
                await asyncio.wait({writer, draining}, return_when=asyncio.FIRST_COMPLETED)
            if self._outlet.failure is None and not writer.done():
                raise _draining()
        finally:
            for task in (writer, draining):
                task.cancel()
            await asyncio.gather(writer, draining, return_exceptions=True)
        await self._join(writer)

    async def _write_past(self, past: AsyncIterator[tuple[int, int, Any]]) -> None:
        async for first_sequence, time_ns, events in past:
            for message in messages_of(self._account_id, first_sequence, time_ns, events):
                await self._context.write(message)

    async def serve(self, first: bytes) -> None:
        """Read, write and end: the first error of either side is the stream's."""
        reader = asyncio.create_task(self._read(first), name="trade-read")
        writer = asyncio.create_task(self._write(), name="trade-write")
        draining = asyncio.create_task(self._drain.wait(), name="trade-drain")
        # A client that does not read holds a write up for ever; its stream is cut all the same.
        self._outlet.on_fail = writer.cancel
        try:
            await asyncio.wait({reader, writer, draining}, return_when=asyncio.FIRST_COMPLETED)
            if writer.done():
                await self._join(writer)
            if draining.done() and not reader.done():
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)
                await self._finish(writer)
                raise _draining()
            await reader
            await self._finish(writer)
        finally:
            for task in (reader, writer, draining):
                task.cancel()
            await asyncio.gather(reader, writer, draining, return_exceptions=True)

    async def _finish(self, writer: asyncio.Task[None]) -> None:
        """The client sends no more: wait for the outcomes of what it sent, and write them."""
        await self._until(lambda: self._unanswered == 0)
        self._outlet.close()
        await self._join(writer)

    async def _join(self, writer: asyncio.Task[None]) -> None:
        await asyncio.wait({writer})
        if self._outlet.failure is not None:
            raise self._outlet.failure
        writer.result()

    async def _write(self) -> None:
        while (message := await self._outlet.next()) is not None:
            await self._context.write(message)

    async def _read(self, message: Any) -> None:
        while message is not _END:
            commands = to_commands(message, self._account_id, self._session_id)
            count = len(commands)
            if count:
                if not self._has_room(count):
                    await self._until(lambda: self._has_room(count))  # noqa: B023 - used before the next round
                while (seconds := self._streams.buckets.wait_for(self._account_id, count)) > 0:
                    await asyncio.sleep(seconds)
                while not self._submitted(commands, count):
                    # A stream is slowed down rather than told off: it is read from when there is room.
                    await asyncio.sleep(_PAUSE_SECONDS)
            message = await self._context.read()

    def _has_room(self, count: int) -> bool:
        return not self._unanswered or self._unanswered + count <= self._window

    def _submitted(self, commands: Any, count: int) -> bool:
        try:
            self._streams.sequencer.submit_telling(commands, partial(self._answered, count))
        except Overloaded:
            return False
        self._unanswered += count
        return True

    def _answered(self, count: int, error: SmartexError | None) -> None:
        self._unanswered -= count
        self._progress.set()
        if error is not None:
            self._outlet.fail(error)

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._progress.clear()
            await self._progress.wait()


def _opening(first: bytes) -> pb.TradeOpen:
    try:
        request = pb.TradeRequest.FromString(first)
    except Exception as error:
        raise InvalidInput(
            "the bytes are not a TradeRequest; use the published contract", reason="MESSAGE_MALFORMED"
        ) from error
    if not request.HasField("open"):
        raise refuse("open", "the first message of a stream must carry it")
    check_open(request.open, LARGEST_WINDOW)
    return request.open


def _draining() -> SmartexError:
    return Unavailable("the server is shutting down; open the stream again", reason="DRAINING")


def _session_ended() -> SmartexError:
    return Unavailable(
        "the session was silent for too long and its orders were cancelled; open the stream again",
        reason="SESSION_ENDED",
    )
