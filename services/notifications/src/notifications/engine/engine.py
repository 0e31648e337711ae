"""The engine of one pod: its lanes, its recorder and its sweeper."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from smartex_store import Database

from notifications.domain.breaker import CLOSED, OPEN
from notifications.domain.sending import Channel, ChannelKind
from notifications.engine.lane import Lane
from notifications.engine.preparing import Preparer
from notifications.engine.recording import Recorder
from notifications.engine.sweeping import Sweeper
from notifications.store.queue import Queue

_SYSTEM: Final = secrets.SystemRandom()


@dataclass(frozen=True)
class EngineSettings:
    """How much is sent at once, and how long a pod may be silent."""

    pod: str = "local"
    max_sending: int = 64
    lease_seconds: float = 60.0
    stop_seconds: float = 15.0


class Engine:
    """Sends what is due. Any number of pods run one over the same table."""

    def __init__(
        self,
        database: Database,
        channels: Mapping[ChannelKind, Channel],
        preparer: Preparer,
        settings: EngineSettings,
        clock: Callable[[], datetime],
        random: Callable[[], float] = _SYSTEM.random,
    ) -> None:
        self._settings = settings
        self._clock = clock
        queue = Queue(database, settings.pod, timedelta(seconds=settings.lease_seconds))
        self.recorder = Recorder(queue, self.usable, clock)
        self.lanes = {
            kind: Lane(
                channel,
                queue,
                preparer,
                self.recorder,
                clock=clock,
                random=random,
                max_sending=settings.max_sending,
                # The lease must outlive the call, and leave time to record it.
                time_limit=settings.lease_seconds * 0.75,
            )
            for kind, channel in channels.items()
        }
        self.sweeper = Sweeper(
            channels,
            queue,
            self.recorder,
            clock=clock,
            random=random,
            pause=settings.lease_seconds / 3,
        )

    async def start(self) -> None:
        """Take up what was interrupted, and begin to send."""
        await self.sweeper.start()
        await self.recorder.start()
        for lane in self.lanes.values():
            await lane.start()

    async def stop(self) -> None:
        """Claim no more, let what is on its way end, and record it."""
        await self.sweeper.stop()
        stops = (lane.stop(self._settings.stop_seconds) for lane in self.lanes.values())
        await asyncio.gather(*stops)
        await self.recorder.stop()

    def wake(self) -> None:
        """Say that something may be due."""
        for lane in self.lanes.values():
            lane.wake()

    def usable(self) -> frozenset[ChannelKind]:
        """Return the channels that do not rest."""
        now = self._clock()
        return frozenset(kind for kind, lane in self.lanes.items() if lane.breaker.state(now) != OPEN)

    def breaker(self, kind: ChannelKind) -> str:
        """Return how a channel's breaker stands on this pod."""
        lane = self.lanes.get(kind)
        return lane.breaker.state(self._clock()) if lane is not None else CLOSED
