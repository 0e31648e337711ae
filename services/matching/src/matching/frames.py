"""Command frames and event batches: arrays ⇄ the bytes in the logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias

import numpy as np
import smartex_wire
from numba import njit
from smartex.matching.v1.log_pb2 import CommandFrame, InstrumentDefinition

from matching.domain import COMMAND, EVENT
from matching.event_rows import EVENTS

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]

VERSION: Final = 1
MAX_COMMANDS: Final = 10_000
"""Most commands of one frame."""
EVENTS_PER_BATCH: Final = 8192
"""Most events of one record of the event log. All pods split alike, so repeats are the same records."""
MOST_REPEATED: Final = 512
"""More records than a former publisher repeats when it wakes up: it still says one group."""

COMMANDS_TOPIC: Final = "matching.commands.v1"
EVENTS_TOPIC: Final = "matching.events.v1"
CHECKPOINTS_TOPIC: Final = "matching.checkpoints.v1"

# Recovery decodes in one thread and applies in another: neither holds the other up.
COMMAND_CODEC = smartex_wire.codec(CommandFrame, ignore=("definitions",), dedicated=True, unlocked=True)
EVENT_CODEC = EVENTS
_command_header = COMMAND_CODEC.header_packer(
    "version", "producer_id", "frame_id", "time_ns", "definition_count"
)
_event_header = EVENT_CODEC.header_packer("version", "shard", "offset", "first_sequence", "time_ns")
NO_COMMANDS: Rows = np.zeros(0, COMMAND)
_command_of = smartex_wire.row_maker(COMMAND)


class FrameError(Exception):
    """A record of the command log that this software cannot read: it must not go on past it."""


@dataclass(slots=True)  # never changed, but to make one that is frozen takes three times as long
class Frame:
    """One record of the command log. `time_ns`: clock of the pod that appended it."""

    producer_id: int
    frame_id: int
    time_ns: int
    commands: Rows
    definitions: Sequence[InstrumentDefinition] = ()

    def encode(self) -> bytes:
        """The bytes of the record."""
        header = _command_header(
            VERSION, self.producer_id, self.frame_id, self.time_ns, len(self.definitions)
        )
        encoded = COMMAND_CODEC.encode(self.commands, header)
        if not self.definitions:
            return encoded
        # Bytes of messages put one behind the other are the bytes of the merged message.
        return encoded + CommandFrame(definitions=self.definitions).SerializeToString()


def decode_frame(value: bytes, out: Rows | None = None) -> Frame:
    """Read a record of the command log; FrameError if it is not one of this version.

    The commands are put into `out` if it is given, which must have room for MAX_COMMANDS.
    """
    try:
        header, commands = COMMAND_CODEC.decode(value, out)
    except smartex_wire.WireError as error:
        raise FrameError(f"a record of the command log cannot be read: {error}") from error
    if header["version"] != VERSION:
        raise FrameError(f"a frame has version {header['version']}, this software reads {VERSION}: update it")
    definitions: Sequence[InstrumentDefinition] = ()
    if header["definition_count"]:
        definitions = tuple(CommandFrame.FromString(value).definitions)
    return Frame(
        int(header["producer_id"]), int(header["frame_id"]), int(header["time_ns"]), commands, definitions
    )


def encode_events(
    shard: int, offset: int, first_sequence: int, time_ns: int, events: Rows, after: int = 0
) -> Iterator[tuple[int, int, bytes]]:
    """The records of a frame's events: (first sequence, number of events, bytes).

    It begins with the record that holds the first event whose sequence is over `after`.
    """
    begin = max(0, after + 1 - first_sequence) // EVENTS_PER_BATCH * EVENTS_PER_BATCH
    for start in range(begin, len(events), EVENTS_PER_BATCH):
        part = events[start : start + EVENTS_PER_BATCH]
        header = _event_header(VERSION, shard, offset, first_sequence + start, time_ns)
        yield first_sequence + start, len(part), EVENT_CODEC.encode(part, header)


def one_command(**fields: int) -> Rows:
    """An array of one command with these fields; all others are zero. TypeError if a command has no such field."""
    return _command_of(fields)


def _holds(commands: Any, kind: int) -> bool:
    for place in range(len(commands)):  # noqa: SIM110 - Numba compiles no generators
        if commands[place].kind == kind:
            return True
    return False


# Compiled: NumPy takes several times as long, for few commands and for many.
_compiled_holds: Any = njit(cache=True, nogil=True, error_model="numpy")(_holds)


@cache
def _holds_kernel() -> Callable[..., bool]:
    return smartex_wire.direct(_compiled_holds, COMMAND, int)


def holds(commands: Rows, kind: int) -> bool:
    """Whether one of the commands is of this kind."""
    return _holds_kernel()(commands, kind)


def warm_up() -> None:
    """Compile the kernels of the wire, or load them from the cache."""
    smartex_wire.warm_up()
    _holds_kernel()
    decode_frame(Frame(0, 0, 0, NO_COMMANDS).encode())
    for _, _, value in encode_events(0, 0, 1, 0, np.zeros(1, EVENT)):
        EVENT_CODEC.decode(value)
