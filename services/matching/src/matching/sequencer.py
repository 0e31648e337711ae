"""From commands to their place in the log and to what they brought about: the heart of a pod.

    submit → join into a frame → append to the log → apply in offset order → tell listeners and submitters

Commands that arrive while an append is under way share the next frame; none waits when the log is idle. Own
frames are applied as soon as their append returns (a full frame that waits is sent before that), if their offset is
the next one; frames of other pods come from the tail of the log, and fill what lies before ours. So every pod applies
every frame once, in order.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from typing import Any, Protocol, TypeAlias

import numpy as np
import structlog
from smartex.matching.v1.log_pb2 import InstrumentDefinition
from smartex_bus import TURNS_TO_SERVER, Appender, Bus, BusError, Record
from smartex_bus import Overloaded as BusOverloaded
from smartex_chassis import Overloaded, SmartexError, Unavailable, gauge, start_task, stop_tasks

from matching.domain import Core
from matching.flights import Flight, Untold
from matching.frames import COMMANDS_TOPIC, MAX_COMMANDS, NO_COMMANDS, Frame, FrameError, decode_frame
from matching.replica import Applied, Replica
from matching.spans import headers_of
from matching.submissions import Submission, Told, answer, joined

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]

_log = structlog.get_logger("matching.sequencer")
_queue_commands = gauge("matching_queue_commands", "Commands that wait for the log")
_halted = gauge(
    "matching_halted_info", "1 once this pod takes no more because its state is not to be trusted"
)

_RETRY = timedelta(milliseconds=50)
_TAIL_RECORDS = 64


class Listener(Protocol):
    """Told of every applied frame, in order, on the event loop."""

    def on_applied(self, offset: int, first_sequence: int, time_ns: int, events: Rows) -> None:
        """`events` may be kept and must not be changed."""


class Sequencer:
    """Appends this pod's commands and applies everybody's."""

    def __init__(
        self,
        bus: Bus,
        replica: Replica,
        *,
        shard: int = 0,
        clock: Callable[[], int] = time.time_ns,
        max_queue_commands: int = 200_000,
    ) -> None:
        self.replica = replica
        self.listeners: list[Listener] = []
        self.frame_hooks: list[Callable[[int, Frame], None]] = []
        """Called after the listeners, with every applied frame itself."""
        self.halt_reason = ""
        self.may_take: Callable[[], bool] = lambda: True
        """False while something behind the core is so far behind that no more commands should come."""
        self._bus = bus
        self._shard = shard
        self._clock = clock
        self._max_queue = max_queue_commands
        self._producer_id = secrets.randbits(64)
        self._frame_id = 0
        self._waiting: deque[Submission] = deque()
        self._waiting_commands = 0
        self._flight: Flight | None = None
        self._ahead: dict[int, Flight] = {}
        self._untold: Untold | None = None
        self._appender: Appender | None = None
        self._tail: asyncio.Task[None] | None = None
        self._failed: BaseException | None = None
        self._fail_event = asyncio.Event()
        self._stopping = False

    # -- life

    async def start(self) -> None:
        """Take submissions and follow the log from the replica's next offset."""
        self._appender = self._bus.appender(COMMANDS_TOPIC, self._shard)
        self._tail = start_task(self._follow(), "matching-tail")
        _queue_commands.set_function(lambda: self._waiting_commands)
        _halted.set_function(lambda: bool(self.halt_reason))

    async def settle(self, within: float = 10.0) -> None:
        """Take no more, and wait until what is on its way is applied."""
        self._stopping = True
        deadline = time.monotonic() + within
        while (self._flight or self._waiting or self._ahead or self._untold) and time.monotonic() < deadline:
            if self._failed is not None:
                break
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Let go of the log."""
        await self.settle()
        await stop_tasks(self._tail)
        if self._appender is not None:
            await self._appender.close()
        self._fail_open(_unknown)

    async def run(self) -> None:
        """Wait until this pod has to leave, and raise why."""
        fatal = asyncio.ensure_future(self._bus.fatal.wait())
        failed = asyncio.ensure_future(self._fail_event.wait())
        try:
            await asyncio.wait({fatal, failed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            fatal.cancel()
            failed.cancel()
        raise self._failed or self._bus.fatal_error or RuntimeError("the log failed")

    @property
    def ready(self) -> bool:
        """Whether submissions are taken."""
        return not (self.halt_reason or self._failed or self._stopping) and self._appender is not None

    @property
    def broken(self) -> bool:
        """Whether the state may be wrong or behind, so that it must not be saved."""
        return bool(self.halt_reason) or self._failed is not None

    def halt(self, reason: str) -> None:
        """Take and apply nothing more: the state of this pod is not to be trusted."""
        if not self.halt_reason:
            self.halt_reason = reason
            _log.critical("halted", reason=reason, offset=self.replica.next_offset - 1)
            self._fail_open(_unknown)
            if self._tail is not None and self._tail is not _current_task():
                self._tail.cancel()

    # -- in

    def submit(
        self,
        commands: Rows,
        definitions: Sequence[InstrumentDefinition] = (),
        *,
        early: bool = False,
        timeless: bool = False,
    ) -> asyncio.Future[Applied]:
        """Hand commands (at most 10,000) over; the future gives their events once they are durable and applied.

        `early`: for an answer that is waited for and looks at nothing else: the listeners are told after it.
        `timeless`: unless others come along, they bring the market no time.

        Cancelling the future does not take the commands back. Raises Overloaded when too much waits,
        Unavailable when this pod takes nothing. The future fails with Unavailable, reason OUTCOME_UNKNOWN,
        if it cannot be told whether the commands are in the log.
        """
        future: asyncio.Future[Applied] = asyncio.get_running_loop().create_future()
        self._accept(Submission(commands, definitions, future, early=early, timeless=timeless))
        return future

    def submit_telling(self, commands: Rows, told: Told) -> None:
        """As `submit`, for who reads the events elsewhere: `told` is called once the listeners have them."""
        self._accept(Submission(commands, told=told))

    def _accept(self, submission: Submission) -> None:
        self._check_open(len(submission.commands))
        self._waiting.append(submission)
        self._waiting_commands += len(submission.commands)
        if self._flight is None:
            self._send()

    async def submit_definition(self, definition: InstrumentDefinition) -> Applied:
        """Hand a definition of an instrument over, as a frame of its own."""
        return await self.submit(NO_COMMANDS, (definition,))

    def _check_open(self, count: int) -> None:
        if count > MAX_COMMANDS:
            raise ValueError(f"at most {MAX_COMMANDS} commands at once, got {count}")
        if self.halt_reason:
            raise Unavailable(
                "this pod has halted because its state disagreed; use another one", reason="STATE_DIVERGED"
            )
        if self._failed is not None or self._stopping or self._appender is None:
            raise Unavailable(
                "this pod takes no orders now; try another one, or again",
                reason="NOT_SERVING",
                retry_after=_RETRY,
            )
        if self._waiting_commands + count > self._max_queue or not self.may_take():
            raise Overloaded(
                "too many commands wait for the log; send again a little later",
                reason="QUEUE_FULL",
                retry_after=_RETRY,
            )

    def _send(self) -> None:
        """Join what waits into a frame and hand it to the log."""
        submissions = self._take()
        if not submissions:
            return
        assert self._appender is not None
        self._frame_id += 1
        first = submissions[0]
        time_ns = 0 if first.timeless and len(submissions) == 1 else self._clock()
        commands = joined(submissions)
        frame = Frame(self._producer_id, self._frame_id, time_ns, commands, first.definitions)
        self._flight = flight = Flight(frame, submissions, time.perf_counter())
        try:
            record = Record(flight.record, headers=headers_of(flight.span))
            self._appender.append_telling(partial(self._acked, flight), record)
        except (BusOverloaded, BusError) as error:
            self._fail(error)

    def _take(self) -> list[Submission]:
        """The submissions of the next frame: a definition goes alone, commands together up to the limit."""
        taken: list[Submission] = []
        count = 0
        while self._waiting:
            submission = self._waiting[0]
            count += len(submission.commands)
            if taken and (count > MAX_COMMANDS or submission.definitions or taken[0].definitions):
                break
            taken.append(self._waiting.popleft())
            self._waiting_commands -= len(submission.commands)
        return taken

    # -- out of the log

    def _acked(self, flight: Flight, offset: int, error: BusError | None) -> None:
        if self._failed is not None or self.halt_reason:
            return
        if error is not None:
            self._fail(error)
            return
        flight.append_seconds = time.perf_counter() - flight.began
        self._guarded(partial(self._proceed, flight, offset))

    def _proceed(self, flight: Flight, offset: int) -> None:
        """A frame is in the log: apply it, then send the next one.

        In this order, and the next one a turn later, because a frame costs as much as a hundred commands: it takes
        along what came meanwhile, and what the event loop has in hand. But if a full frame waits, nothing is gained by
        that: it goes first, so that the log works while this pod applies.
        """
        if self._flight is flight:
            self._flight = None
            self._ahead[offset] = flight
        if self._flight is None and self._waiting_commands >= MAX_COMMANDS:
            self._send()
            self._apply_later(TURNS_TO_SERVER)
            return
        self._apply_ready()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._guarded, self._send_gathered)

    def _apply_later(self, turns: int) -> None:
        """Apply when the frame that was just sent is on its way: applying before would hold it up."""
        if turns:
            asyncio.get_running_loop().call_soon(self._apply_later, turns - 1)
        else:
            self._guarded(self._apply_ready)

    def _send_gathered(self) -> None:
        if self._flight is None:
            self._send()

    async def _follow(self) -> None:
        """Apply what other pods appended, as the log shows it."""
        try:
            tail = self._bus.follow(
                COMMANDS_TOPIC,
                self._shard,
                self.replica.next_offset,
                max_records=_TAIL_RECORDS,
                known=lambda: self.replica.next_offset,
            )
            async with aclosing(tail) as batches:  # type: ignore[type-var]
                async for batch in batches:
                    for record in batch:
                        if record.offset >= self.replica.next_offset:
                            self._guarded(partial(self._seen, record.offset, record.value))
                            if self.halt_reason or self._failed is not None:
                                return
                            await asyncio.sleep(0)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._fail(error)

    def _seen(self, offset: int, value: bytes) -> None:
        if all(each in self._ahead for each in range(self.replica.next_offset, offset + 1)):
            return  # known all the way to it, and applied in a moment
        self._apply_ready()
        if offset < self.replica.next_offset:
            return
        if offset > self.replica.next_offset:
            raise FrameError(
                f"the log goes from offset {self.replica.next_offset - 1} to {offset}: there is a gap"
            )
        flight = self._flight
        # A frame names its producer and its number, so equal bytes are the same frame; no need to decode it.
        if flight is not None and flight.record == value:
            self._proceed(flight, offset)  # it is in the log although its append has not returned yet
            return
        self._apply(offset, decode_frame(value), None)
        self._apply_ready()

    def _apply_ready(self) -> None:
        while (flight := self._ahead.get(offset := self.replica.next_offset)) is not None:
            self._apply(offset, flight.frame, flight)
            # Only now: if it cannot be applied, its callers are told that its outcome is unknown.
            self._ahead.pop(offset, None)

    def _apply(self, offset: int, frame: Frame, flight: Flight | None) -> None:
        self.tell()
        began = time.perf_counter()
        applied = self.replica.apply(offset, frame)
        self._untold = Untold(frame, applied, flight, time.perf_counter() - began)
        if flight is None:
            self.tell()
        elif all(submission.early for submission in flight.submissions):
            answer(flight.submissions, applied)
            # Who waited for the answer is next on the event loop, then this.
            asyncio.get_running_loop().call_soon(self._guarded, self.tell)
        else:
            self.tell()
            answer(flight.submissions, applied)

    def tell(self) -> None:
        """Tell the listeners of the frame that was applied last, unless they know.

        Who reads the core together with what a listener keeps calls this before.
        """
        untold, self._untold = self._untold, None
        if untold is None:
            return
        applied = untold.applied
        for listener in self.listeners:
            listener.on_applied(applied.offset, applied.first_sequence, applied.time_ns, applied.events)
        for hook in self.frame_hooks:
            hook(applied.offset, untold.frame)
        untold.count()

    def told_core(self) -> Core:
        """The core, of which the listeners know everything."""
        self.tell()
        return self.replica.core

    # -- failures

    def _guarded(self, step: Callable[[], None]) -> None:
        """Run a step that must not fail half-way: a pod that could not apply a frame has to leave."""
        try:
            step()
        except Exception as error:
            _log.exception("a frame could not be applied", offset=self.replica.next_offset)
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self._failed is None:
            self._failed = error
            self._fail_open(_unknown)
            self._fail_event.set()

    def _fail_open(self, make: Callable[[], SmartexError]) -> None:
        flights = [*self._ahead.values(), *([self._flight] if self._flight else [])]
        submissions = [each for flight in flights for each in flight.submissions] + list(self._waiting)
        self._ahead.clear()
        self._waiting.clear()
        self._waiting_commands = 0
        self._flight = None
        for submission in submissions:
            submission.fail(make())


def _unknown() -> SmartexError:
    return Unavailable(
        "it is not known whether this took effect: send it again with the same id, which is safe",
        reason="OUTCOME_UNKNOWN",
        retry_after=timedelta(seconds=1),
    )


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
