"""The trade stream: batches of commands out, batches of reports in, over any number of connections."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import grpc
import numpy as np
import smartex_wire
from smartex.matching.v1 import log_pb2 as log
from smartex.matching.v1 import order_entry_pb2 as pb
from smartex.matching.v1 import types_pb2 as types

from . import model
from .catalogue import Catalogue
from .commands import COMMAND_DTYPE, REPORTS, REQUESTS, Command, Rows, complete, to_rows
from .connection import SERVICES, Connection, cancelled_here
from .convert import in_range
from .decoding import decode
from .errors import Final, InvalidInput, Retryable, SmartexError, Unavailable
from .ids import IdSource
from .pending import Pending
from .translate import report_of

_TRADE = f"/{SERVICES}.OrderEntryService/Trade"
_EOF: Any = vars(grpc.aio)["EOF"]
_KEPT_MESSAGES = 1024
_WIDEST_WINDOW = 100_000
_CALL_IS_OVER = (grpc.aio.AioRpcError, grpc.aio.UsageError, asyncio.InvalidStateError)


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How a trade stream is set up."""

    cancel_on_disconnect: float | None = None
    """Seconds of silence after which the venue cancels the stream's orders, 0.1 to 3600; None: they stay.

    It is about orders that were taken. What was not answered is sent again when the stream comes back, within
    `RetryPolicy.reconnect_deadline`, however long that took."""
    window: int = 0
    """Most unanswered commands, up to 100,000; 0: the exchange's default. More are held back here."""
    resume_sequence: int = 0
    """Also give the account's reports after this sequence; 0: only new ones."""

    def __post_init__(self) -> None:
        grace = self.cancel_on_disconnect
        if grace is not None and not 0.1 <= grace <= 3600:
            raise InvalidInput(
                "cancel_on_disconnect must be 0.1 to 3600 seconds", field="cancel_on_disconnect"
            )
        if not 0 <= self.window <= _WIDEST_WINDOW:
            raise InvalidInput(f"window must be 0 to {_WIDEST_WINDOW}", field="window")
        in_range(self.resume_sequence, "resume_sequence")


class TradeStream:
    """A stream of one account. Make it with `Market.trade_stream`, use it as a context manager.

    It comes back by itself when the connection breaks: reports go on after the last one seen, without gap or
    double, and what was not answered is sent again under the same ids. Read while you send: reports wait in a
    bounded queue, and when it is full nothing more is read from the exchange.

    All streams of an account get all of its reports, those of the other streams' orders too.
    """

    def __init__(
        self,
        connection: Connection,
        catalogue: Catalogue,
        ids: IdSource,
        language: str,
        options: StreamOptions,
    ) -> None:
        self._connection, self._catalogue, self._ids = connection, catalogue, ids
        self._language = language
        self._options = options
        self._session_id = ids.next() if options.cancel_on_disconnect else 0
        self._pending = Pending()
        self._probes: set[int] = set()
        self._answered = asyncio.Condition()
        self._writing = asyncio.Lock()
        self._call: Any = None
        self._window = options.window
        self._reports: asyncio.Queue[Rows | None] = asyncio.Queue(_KEPT_MESSAGES)
        self._opened = asyncio.Event()
        self._failure: SmartexError | None = Final(
            "the stream is not open: use it as `async with market.trade_stream() as stream`",
            reason="STREAM_NOT_OPEN",
        )
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.last_sequence = options.resume_sequence
        """Sequence of the last report received; resume from it in another process."""
        self.reconnects = 0
        """How often the stream had to come back."""

    async def __aenter__(self) -> TradeStream:
        # Compiling what reads and writes messages takes seconds the first time.
        await asyncio.to_thread(smartex_wire.warm_up)
        if self._task is None:
            self._failure = None
        self._task = asyncio.create_task(self._run(), name="smartex-trade-stream")
        opened = asyncio.create_task(self._opened.wait())
        try:
            await asyncio.wait((opened, self._task), return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            await self.close()
            raise
        finally:
            opened.cancel()
        if self._failure is not None:
            await self.close()
            raise self._failure
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Leave at once. Commands that are not answered may or may not be carried out; see `drain`."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def unanswered(self) -> int:
        """How many commands have no outcome yet."""
        return self._pending.count

    async def send(self, commands: Rows) -> Rows:
        """Send rows of `COMMAND_DTYPE`; the rows as sent, with times and request ids filled in.

        Waits while too many are unanswered. New orders need a `client_order_id`. Raises the stream's failure.
        """
        rows = complete(commands, self._ids)
        for start in range(0, len(rows), 10_000):
            await self._send(rows[start : start + 10_000])
        return rows

    async def place_many(self, commands: Rows | Sequence[Command]) -> list[int]:
        """Send commands (objects, or rows); the number that the outcome of each carries.

        That is `client_order_id` for new orders and `request_id` for all others.
        """
        rows = commands if isinstance(commands, np.ndarray) else await self._rows(commands)
        sent = await self.send(rows)
        place = sent["kind"] == log.COMMAND_KIND_PLACE
        return [int(each) for each in np.where(place, sent["client_order_id"], sent["request_id"])]

    async def drain(self) -> None:
        """Wait until every command sent has its outcome. Somebody must go on reading the reports."""
        async with self._answered:
            await self._answered.wait_for(lambda: self._failure is not None or not self._pending.count)
        self._check()

    async def batches(self) -> AsyncIterator[Rows]:
        """Reports as they come, rows of `REPORT_DTYPE`, one array for each message."""
        while (rows := await self._next()) is not None:
            yield rows

    async def __aiter__(self) -> AsyncIterator[model.Report]:
        async for rows in self.batches():
            await self._catalogue.ensure({int(each) for each in np.unique(rows["instrument_id"])})
            for row in rows.view(np.recarray):
                instrument = self._catalogue.known(int(row.instrument_id))
                yield report_of(instrument, row, self._language)

    async def _rows(self, commands: Sequence[Command]) -> Rows:
        return await to_rows(commands, self._catalogue, self._ids)

    async def _next(self) -> Rows | None:
        if self._failure is not None and self._reports.empty():
            rows = None
        else:
            rows = await self._reports.get()
        if rows is None and not self._closed:
            self._check()
        return rows

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _send(self, rows: Rows) -> None:
        count = len(rows)
        async with self._answered:
            await self._answered.wait_for(
                lambda: (
                    self._failure is not None
                    or not self._pending.count
                    or self._pending.count + count <= self._window
                )
            )
        async with self._writing:
            self._check()
            self._pending.add(rows)
            if self._call is not None:
                # If this connection is over, the next one sends what is unanswered.
                with contextlib.suppress(*_CALL_IS_OVER):
                    await self._call.write(REQUESTS.encode(rows))

    async def _run(self) -> None:
        try:
            await self._reconnecting()
        except SmartexError as error:
            self._failure = error
        finally:
            if self._failure is None:
                self._failure = Unavailable("the stream is closed: open another one", reason="STREAM_CLOSED")
            async with self._answered:
                self._answered.notify_all()
            with contextlib.suppress(asyncio.QueueFull):
                self._reports.put_nowait(None)

    async def _reconnecting(self) -> None:
        loop, retry = asyncio.get_running_loop(), self._connection.retry
        attempt, last_alive = 0, loop.time()
        while True:
            try:
                await self._serve()
                error: SmartexError = Unavailable("the exchange ended the stream", reason="STREAM_ENDED")
            except grpc.aio.AioRpcError as failure:
                error = decode(failure)
            except asyncio.CancelledError:
                # gRPC raises this also when it is the other side that cancelled the call.
                if cancelled_here():
                    raise
                error = Unavailable("the connection was lost", reason="CONNECTION_LOST")
            if self._call is not None:
                attempt, last_alive = 0, loop.time()
                self.reconnects += 1
            self._call = None
            deadline = retry.reconnect_deadline if self._opened.is_set() else retry.deadline
            advice = None
            if isinstance(error, Retryable):
                advice = error.retry_after
            elif self._opened.is_set() and error.reason == "RESUME_TOO_OLD":
                # A pod that has just recovered can give again what is published, and soon the rest.
                deadline = retry.deadline
            else:
                raise error
            pause = retry.pause(attempt, advice, random.random())
            if loop.time() - last_alive + pause > deadline:
                raise self._connection.gave_up(error) if isinstance(error, Retryable) else error
            await self._connection.pause(pause)
            attempt += 1

    async def _serve(self) -> None:
        """One connection: open, see what became of what is unanswered, send the rest again, and read."""
        channel: Any = self._connection.channel
        call = channel.stream_stream(_TRADE)(metadata=self._connection.metadata())
        resend: asyncio.Task[None] | None = None
        try:
            with contextlib.suppress(asyncio.InvalidStateError):
                await call.write(self._opening())
            if not await self._hear_opened(call):
                return
            if self._pending.count and not await self._settle(call):
                return
            resend = asyncio.create_task(self._resend(call), name="smartex-resend")
            while (message := await call.read()) is not _EOF:
                await self._take(REPORTS.decode(message)[1])
        finally:
            if resend is not None:
                resend.cancel()
                await asyncio.gather(resend, return_exceptions=True)
            call.cancel()

    def _opening(self) -> bytes:
        grace = self._options.cancel_on_disconnect or 0
        opening = pb.TradeOpen(
            session_id=self._session_id,
            cancel_on_disconnect_ms=round(grace * 1000),
            resume_sequence=self.last_sequence,
            window=self._options.window,
        )
        return pb.TradeRequest(open=opening).SerializeToString()

    async def _hear_opened(self, call: Any) -> bool:
        message = await call.read()
        if message is _EOF:
            return False
        opened = pb.TradeResponse.FromString(message).opened
        self._window = opened.window or self._window or 1
        if not self.last_sequence:
            self.last_sequence = opened.sequence
        self._opened.set()
        return True

    async def _settle(self, call: Any) -> bool:
        """Read until an own probe is answered: then all outcomes of the connection before have been seen.

        Without it a cancel or mass cancel that was carried out could be carried out twice.
        """
        probe = np.zeros(1, COMMAND_DTYPE)
        probe["kind"] = log.COMMAND_KIND_CANCEL
        probe["client_order_id"] = probe["request_id"] = number = self._ids.next()
        self._probes.add(number)
        await call.write(REQUESTS.encode(probe))
        while number in self._probes:
            message = await call.read()
            if message is _EOF:
                return False
            await self._take(REPORTS.decode(message)[1])
        return True

    def _without_probes(self, rows: Rows) -> Rows:
        """The reports but for the answers to probes, of this connection or of one that broke before."""
        answers = (rows["kind"] == types.REPORT_KIND_CANCEL_REJECTED) & np.isin(
            rows["request_id"], list(self._probes)
        )
        self._probes -= {int(each) for each in rows["request_id"][answers]}
        others: Rows = rows[~answers]
        return others

    async def _resend(self, call: Any) -> None:
        async with self._writing:
            with contextlib.suppress(*_CALL_IS_OVER):
                for rows in self._pending.batches():
                    await call.write(REQUESTS.encode(rows))
            self._call = call

    async def _take(self, rows: Rows) -> None:
        if len(rows) and rows["sequence"][0] <= self.last_sequence:
            rows = rows[rows["sequence"] > self.last_sequence]
        if not len(rows):
            return
        self.last_sequence = int(rows["sequence"][-1])
        if self._probes:
            rows = self._without_probes(rows)
            if not len(rows):
                return
        if self._pending.acknowledge(rows):
            async with self._answered:
                self._answered.notify_all()
        await self._reports.put(rows)
