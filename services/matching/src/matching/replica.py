"""This pod's copy of the market: the core, the catalogue, and how far in the log they are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import smartex_wire
from smartex.matching.v1.log_pb2 import EVENT_KIND_INSTRUMENT_DEFINED
from smartex.matching.v1.types_pb2 import Instrument

from matching.catalogue import Catalogue
from matching.domain import Core, Cuts
from matching.frames import Frame

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]


@dataclass(slots=True)  # never changed, but to make one that is frozen takes three times as long
class Applied:
    """What a frame, or one caller's part of it, brought about.

    Event i has the sequence `first_sequence + i`. `time_ns` is the time of the market.
    """

    offset: int
    first_sequence: int
    time_ns: int
    events: Rows

    @property
    def last_sequence(self) -> int:
        """Sequence of the last event; if there is none, of the one before."""
        return self.first_sequence + len(self.events) - 1


class Replica:
    """Applies frames in the order of the log. Everything in it follows from the log alone."""

    def __init__(self, core: Core, catalogue: Catalogue | None = None, next_offset: int = 0) -> None:
        self.core = core
        self.catalogue = catalogue or Catalogue()
        self.next_offset = next_offset

    def become(self, other: Replica) -> None:
        """Take over another replica's state: everybody who has this one sees it."""
        self.core, self.catalogue, self.next_offset = other.core, other.catalogue, other.next_offset

    def apply(self, offset: int, frame: Frame, *, keep: bool = True) -> Applied:
        """Apply the frame at `next_offset`. The events are the caller's; without `keep` until the next call."""
        if offset != self.next_offset:
            raise ValueError(f"the frame at {offset} came when {self.next_offset} was next")
        core = self.core
        if frame.definitions:
            rows, instruments = self.catalogue.resolve(frame.definitions)
            events = core.apply(frame.commands, frame.time_ns, rows)
            self._adopt(instruments, events, core.first_sequence)
        else:
            events = core.apply(frame.commands, frame.time_ns)
        if keep:
            events = smartex_wire.joined([events])
        self.next_offset = offset + 1
        return Applied(offset, core.first_sequence, core.now, events)

    def apply_unread(self, offset: int, commands: Rows, frames: Cuts) -> None:
        """Apply the frames from `next_offset` on, without definitions, if nobody reads their events: see
        `Core.apply_unread`."""
        if offset != self.next_offset:
            raise ValueError(f"the frames at {offset} came when {self.next_offset} was next")
        self.core.apply_unread(commands, frames)
        self.next_offset = offset + len(frames)

    def _adopt(self, instruments: Sequence[Instrument], events: Rows, first_sequence: int) -> None:
        """Keep the strings of what the core took: definitions come first, so an index of a command is theirs."""
        for place in np.flatnonzero(events["kind"] == EVENT_KIND_INSTRUMENT_DEFINED).tolist():
            defined = int(events[place]["command_index"])
            self.catalogue.adopt(instruments[defined], first_sequence + place)
        self.catalogue.forget_unused_currencies()

    def state_hash(self) -> str:
        """A hash of the whole state, in hexadecimal; equal on every pod at the same offset."""
        digest = hashlib.blake2b(digest_size=32)
        digest.update(self.core.state_hash().encode())
        digest.update(self.catalogue.digest())
        return digest.hexdigest()


class LiveInstruments:
    """The catalogue as it stands: with each instrument's trading state and reference price of now."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    def all(self) -> list[Instrument]:
        """Every instrument, ascending by number."""
        return [self._live(instrument) for instrument in self._replica.catalogue.all()]

    def get(self, instrument_id: int) -> Instrument | None:
        """One instrument, or None."""
        instrument = self._replica.catalogue.get(instrument_id)
        return None if instrument is None else self._live(instrument)

    def currency_id(self, code: str) -> int | None:
        """The number of a currency, or None."""
        return self._replica.catalogue.currency_id(code)

    def currency_code(self, currency_id: int) -> str:
        """The code of a currency; IndexError if there is none."""
        return self._replica.catalogue.currency_code(currency_id)

    def _live(self, defined: Instrument) -> Instrument:
        instrument = Instrument()
        instrument.CopyFrom(defined)
        row = self._replica.core.instrument(defined.instrument_id)
        instrument.trading_state = int(row["trading_state"])  # type: ignore[assignment]
        instrument.reference_price_ticks = int(row["reference_price_ticks"])
        instrument.currency_id = self._replica.catalogue.currency_id(defined.currency_code) or 0
        return instrument
