"""Sessions whose silence cancels orders: opened for Trade streams, kept alive while these live."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

import numpy as np
from smartex.matching.v1.log_pb2 import (
    COMMAND_KIND_SESSION_BEAT,
    COMMAND_KIND_SESSION_OPEN,
    EVENT_KIND_SESSION_ENDED,
    EVENT_KIND_SESSION_OPENED,
)
from smartex.matching.v1.types_pb2 import Reason
from smartex_chassis import FailedPrecondition, Overloaded, Unavailable, start_task, stop_tasks

from matching.domain import COMMAND
from matching.frames import MAX_COMMANDS, one_command
from matching.sequencer import Sequencer

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]

_ROUND_SECONDS = 0.02
_BEATS_PER_GRACE = 3
_RETRY = timedelta(seconds=1)


@dataclass(eq=False, slots=True)
class Live:
    """A session with a stream on this pod. `on_ended` is called when the market has ended it all the same."""

    session_id: int
    account_id: int
    grace_seconds: float
    on_ended: Callable[[], None]
    due: float = 0.0


class Sessions:
    """Opens sessions and sends their beats, many in one frame."""

    def __init__(self, sequencer: Sequencer, max_per_account: int) -> None:
        self._sequencer = sequencer
        self._max_per_account = max_per_account
        self._live: set[Live] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to send beats."""
        self._task = start_task(self._run(), "matching-session-beats")

    async def stop(self) -> None:
        """Send no more beats; the sessions end after their grace time."""
        await stop_tasks(self._task)

    async def open(
        self, session_id: int, account_id: int, grace_ms: int, on_ended: Callable[[], None]
    ) -> Live:
        """Open a session, or come back to it. FailedPrecondition if the market refuses it, Overloaded if the account
        has too many."""
        self._check_room(session_id, account_id)
        command = one_command(
            kind=COMMAND_KIND_SESSION_OPEN,
            session_id=session_id,
            account_id=account_id,
            grace_ns=grace_ms * 1_000_000,
        )
        applied = await self._sequencer.submit(command)
        outcome = applied.events[0]
        if outcome["kind"] != EVENT_KIND_SESSION_OPENED:
            reason = Reason.Name(int(outcome["reason"])).removeprefix("REASON_")  # type: ignore[arg-type]
            raise FailedPrecondition(
                f"session {session_id} cannot be opened: it is another account's, or there is no room; "
                "choose another number",
                reason=reason,
            )
        grace = grace_ms / 1000
        live = Live(session_id, account_id, grace, on_ended, time.monotonic() + grace / _BEATS_PER_GRACE)
        self._live.add(live)
        return live

    def _check_room(self, session_id: int, account_id: int) -> None:
        """The market has room for so many sessions, and one outlives its stream by up to an hour: let no account take
        them all."""
        sessions = self._sequencer.replica.core.sessions()
        own = sessions["session_id"][sessions["account_id"] == account_id]
        if len(own) >= self._max_per_account and session_id not in own:
            raise Overloaded(
                f"this account has {len(own)} sessions: come back to one of them, or wait until one has ended",
                reason="TOO_MANY_SESSIONS",
                retry_after=_RETRY,
            )

    def leave(self, live: Live) -> None:
        """The stream is gone: from now on the session is silent."""
        self._live.discard(live)

    def on_applied(self, offset: int, first_sequence: int, time_ns: int, events: Rows) -> None:
        """Tell streams whose session has ended."""
        if not self._live or not len(events):
            return
        ended = events[events["kind"] == EVENT_KIND_SESSION_ENDED]
        for event in ended:
            for live in [each for each in self._live if each.session_id == event["order_id"]]:
                self._live.discard(live)
                live.on_ended()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_ROUND_SECONDS)
            now = time.monotonic()
            due = [live for live in self._live if live.due <= now]
            for start in range(0, len(due), MAX_COMMANDS):
                await self._beat(due[start : start + MAX_COMMANDS], now)

    def beats(self) -> Rows:
        """Beats of the sessions that live here, as many as one command more can follow in a submission."""
        return _beats(list(self._live)[: MAX_COMMANDS - 1])

    async def _beat(self, due: list[Live], now: float) -> None:
        # A beat that cannot be sent now is sent in the next round.
        with contextlib.suppress(Overloaded, Unavailable):
            self._sequencer.submit(_beats(due))
            for live in due:
                live.due = now + live.grace_seconds / _BEATS_PER_GRACE


def _beats(sessions: list[Live]) -> Rows:
    beats = np.zeros(len(sessions), COMMAND)
    beats["kind"] = COMMAND_KIND_SESSION_BEAT
    beats["session_id"] = [live.session_id for live in sessions]
    beats["account_id"] = [live.account_id for live in sessions]
    return beats
