"""Checkpoints: points in the log at which all pods compare the hashes of their states.

The first hash published for an offset is right. A pod that found another one halts: better stop than lie.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import OrderedDict
from contextlib import aclosing
from dataclasses import dataclass, field

import structlog
from smartex.matching.v1.log_pb2 import COMMAND_KIND_CHECKPOINT
from smartex_bus import Appender, Bus, BusError, Record, StoredRecord
from smartex_chassis import Overloaded, Unavailable, histogram, start_task, stop_tasks

from matching.frames import CHECKPOINTS_TOPIC, Frame, holds, one_command
from matching.publisher import Publisher
from matching.sequencer import Sequencer

_log = structlog.get_logger("matching.checkpoints")
_hash_seconds = histogram("matching_state_hash_seconds", "Time that the hash of the state takes")
_REMEMBERED = 1024
_RETRY_SECONDS = 0.5


@dataclass(slots=True)
class Checkpoint:
    """What is known of one point: this pod's hash, and who said what first and since."""

    offset: int
    sequence: int = 0
    own: str = ""
    said: dict[str, str] = field(default_factory=dict)


class Checkpoints:
    """Computes, publishes and compares."""

    def __init__(
        self, bus: Bus, sequencer: Sequencer, publisher: Publisher, shard: int, pod: str, seconds: float
    ) -> None:
        self._bus = bus
        self._sequencer = sequencer
        self._publisher = publisher
        self._shard = shard
        self._pod = pod
        self._seconds = seconds
        self._known: OrderedDict[int, Checkpoint] = OrderedDict()
        self._pending: asyncio.Queue[Checkpoint] = asyncio.Queue(_REMEMBERED)
        self._appender: Appender | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._last_sequence = 0

    async def start(self) -> None:
        """Begin."""
        self._last_sequence = self._sequencer.replica.core.sequence
        self._appender = self._bus.appender(CHECKPOINTS_TOPIC, self._shard)
        self._sequencer.frame_hooks.append(self._on_frame)
        self._tasks = [
            start_task(self._ask(), "matching-checkpoints"),
            start_task(self._say(), "matching-checkpoint-hashes"),
            start_task(self._compare(), "matching-checkpoint-compare"),
        ]

    async def stop(self) -> None:
        """End."""
        await stop_tasks(*self._tasks)
        if self._appender is not None:
            await self._appender.close()

    async def make(self) -> Checkpoint:
        """Append a checkpoint now; its hash."""
        # Timeless, so that to ask for the hash does not change it.
        applied = await self._sequencer.submit(one_command(kind=COMMAND_KIND_CHECKPOINT), timeless=True)
        return self._known[applied.offset]

    def get(self, offset: int) -> Checkpoint | None:
        """A checkpoint that this pod remembers and has computed."""
        found = self._known.get(offset)
        return found if found is not None and found.own else None

    def newest(self, up_to: int) -> Checkpoint | None:
        """The newest checkpoint of this pod whose sequence is not over `up_to`."""
        fitting = (each for each in self._known.values() if each.own and each.sequence <= up_to)
        return max(fitting, key=lambda each: each.offset, default=None)

    def _on_frame(self, offset: int, frame: Frame) -> None:
        """Hash the state after a frame that holds a checkpoint."""
        if not holds(frame.commands, COMMAND_KIND_CHECKPOINT):
            return
        began = time.perf_counter()
        checkpoint = self._at(offset)
        checkpoint.own = self._sequencer.replica.state_hash()
        checkpoint.sequence = self._sequencer.replica.core.sequence
        self._last_sequence = checkpoint.sequence
        _hash_seconds.observe(time.perf_counter() - began)
        with contextlib.suppress(asyncio.QueueFull):
            self._pending.put_nowait(checkpoint)
        self._check(checkpoint)

    def _at(self, offset: int) -> Checkpoint:
        found = self._known.get(offset)
        if found is None:
            found = self._known[offset] = Checkpoint(offset)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return found

    async def _ask(self) -> None:
        """While this pod publishes, ask for a checkpoint now and then if anything has happened."""
        while True:
            await asyncio.sleep(self._seconds)
            core = self._sequencer.replica.core
            if self._publisher.leading and self._sequencer.ready and core.sequence != self._last_sequence:
                with contextlib.suppress(Overloaded, Unavailable):
                    await self.make()

    async def _say(self) -> None:
        assert self._appender is not None
        while True:
            checkpoint = await self._pending.get()
            said = {
                "pod": self._pod,
                "offset": checkpoint.offset,
                "sequence": checkpoint.sequence,
                "state_hash": checkpoint.own,
            }
            with contextlib.suppress(BusError):
                await self._appender.append(Record(json.dumps(said).encode()))

    async def _compare(self) -> None:
        while True:
            try:
                _, end = await self._bus.offsets(CHECKPOINTS_TOPIC, self._shard)
                follow = self._bus.follow(CHECKPOINTS_TOPIC, self._shard, end)
                async with aclosing(follow) as batches:  # type: ignore[type-var]
                    async for records in batches:
                        for record in records:
                            self._hear(record)
            except BusError as error:
                _log.warning("checkpoints cannot be compared now", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    def _hear(self, record: StoredRecord) -> None:
        try:
            said = json.loads(record.value)
            offset, pod, state_hash = int(said["offset"]), str(said["pod"]), str(said["state_hash"])
        except (ValueError, KeyError, TypeError):
            # No pod of ours wrote it: it says nothing of any state, and those after it are heard all the same.
            _log.error("checkpoint_of_nobody", offset=record.offset, bytes=len(record.value))
            return
        checkpoint = self._at(offset)
        checkpoint.said.setdefault(pod, state_hash)
        self._check(checkpoint)

    def _check(self, checkpoint: Checkpoint) -> None:
        if not checkpoint.own or not checkpoint.said:
            return
        first_pod, right = next(iter(checkpoint.said.items()))
        if checkpoint.own != right:
            self._publisher.halt()
            self._sequencer.halt(
                f"at offset {checkpoint.offset} this pod's state has the hash {checkpoint.own[:16]}…, "
                f"{first_pod}'s has {right[:16]}…: remove this pod's snapshots and start it again"
            )
