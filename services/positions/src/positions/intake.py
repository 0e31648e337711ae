"""From records of the event log into the book, in a thread; and what the next transaction writes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import structlog
from smartex.matching.v1.log_pb2 import EventBatch
from smartex_bus import StoredRecord
from smartex_wire import WireError, codec

from positions.domain.book import Book, changes, words
from positions.domain.book.changes import Rows
from positions.domain.book.checking import problem
from positions.domain.book.valuing import Freshness
from positions.steps import of_advice

EVENTS_TOPIC = "matching.events.v1"
EVENTS = codec(EventBatch)
_log = structlog.get_logger("positions.intake")

POINT = np.dtype(
    [
        ("account_id", "i8"),
        ("sequence", "i8"),
        ("day_end", "?"),
        ("time_ns", "i8"),
        ("day", "i8"),
        *((name, "f8") for name in ("equity", "cash", "holdings", "unrealised", "realised", "fees")),
        *((name, "f8") for name in ("profit_today", "net_deposits", "growth", "drawdown")),
        ("unmarked", "i8"),
        ("stale", "i8"),
    ]
)
"""An account at a moment, by the marks of the log."""


class Unfoldable(Exception):  # noqa: N818 - a verdict on a record
    """A record that can never be folded; the message says why."""


@dataclass(frozen=True)
class Read:
    """The events of a record that are new, when they happened, and the trace of what caused them."""

    events: Any
    first_sequence: int
    time_ns: int
    trace_id: str = ""

    @property
    def last_sequence(self) -> int:
        """Sequence of the last."""
        return self.first_sequence + len(self.events) - 1


@dataclass(frozen=True)
class Batch:
    """What one transaction writes. `pieces` are the events that others have to see, with their times; `closes` the last
    prices in ticks, by instrument, of each trading day that ended."""

    rows: Rows
    next_offset: int
    points: Sequence[Any]
    pieces: Sequence[tuple[Any, int]]
    touched: Any
    moved: Any
    trace_id: str
    events: int
    closes: Mapping[int, Any]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write and nothing to look at."""
        return not (self.events or len(self.touched) or len(self.moved))


@dataclass(frozen=True)
class Snapshot:
    """The whole book as of its last event, and where the log goes on after it."""

    rows: Rows
    next_offset: int

    @property
    def sequence(self) -> int:
        """Sequence of the last event."""
        return int(self.rows.header["sequence"])


@dataclass(frozen=True)
class Stop:
    """How far records were folded, and why not further: `read` needs definitions, or it can never be folded (`why`)."""

    folded: int
    read: Read | None = None
    why: str = ""


@dataclass
class _Pending:
    next_offset: int
    points: list[Any] = field(default_factory=list)
    pieces: list[tuple[Any, int]] = field(default_factory=list)
    trace_id: str = ""
    events: int = 0
    closes: dict[int, Any] = field(default_factory=dict)


def read_record(record: StoredRecord, shard: int, sequence: int) -> Read:
    """What of a record comes after a sequence. WireError, Unfoldable."""
    header, events = EVENTS.decode(record.value)
    first, version = int(header["first_sequence"]), int(header["version"])
    if version != 1:
        raise Unfoldable(f"version {version} of the layout: this program knows 1")
    if first < 1 or int(header["shard"]) != shard:
        raise Unfoldable(f"first_sequence {first}, shard {int(header['shard'])} in the log of shard {shard}")
    new = events[max(0, sequence + 1 - first) :]
    if why := problem(new):
        raise Unfoldable(why)
    return Read(new, first + len(events) - len(new), int(header["time_ns"]), _trace_id(record))


def _trace_id(record: StoredRecord) -> str:
    """The trace of a record's `traceparent` header (W3C Trace Context); empty if it has none."""
    parts = bytes(record.headers.get("traceparent", b"")).decode("ascii", "replace").split("-")
    return parts[1] if len(parts) == 4 and len(parts[1]) == 32 else ""


class Intake:
    """Folds records and gathers what is to be written. What it gathers belongs to the book's changes: both are taken
    together, under the book's lock."""

    def __init__(self, book: Book, shard: int, point_ns: int, stale_ns: int) -> None:
        self._book = book
        self._shard = shard
        self._point_ns = point_ns
        self._stale_ns = stale_ns
        self._pending = _Pending(0)
        self._judged = 0

    def begin(self, next_offset: int, judged: int = 0) -> None:
        """Start at an offset of the log, with nothing gathered. Events up to `judged` are repeated: the book needs
        them, and others have seen what they changed."""
        self._pending = _Pending(next_offset)
        self._judged = judged

    @property
    def repeating(self) -> bool:
        """Whether the book is where others have been before."""
        return self._book.sequence < self._judged

    def judge_all(self) -> None:
        """The log has ended: nothing that comes is a repeat."""
        self._judged = 0

    @property
    def waiting(self) -> int:
        """Events that were folded and not taken."""
        return self._pending.events

    def fold(self, records: Sequence[StoredRecord]) -> Stop:
        """Take records in until one asks for attention. Slow: call it in a thread."""
        for at, record in enumerate(records):
            try:
                read = read_record(record, self._shard, self._book.sequence)
            except (WireError, Unfoldable) as error:
                return Stop(at, why=f"{type(error).__name__}: {error}")
            if (read.events["kind"] == words.INSTRUMENT_DEFINED).any() or self._book.unknown(read.events):
                return Stop(at, read)
            self.fold_one(read, record.offset + 1)
        return Stop(len(records))

    def fold_one(self, read: Read, next_offset: int) -> None:
        """Take one record in, whose instruments are known."""
        if len(read.events) and read.first_sequence > self._book.sequence + 1:
            _log.error("events_missing", after=self._book.sequence, before=read.first_sequence)
        with self._book.lock:
            self._fold(read)
            self._pending.next_offset = next_offset

    def skip(self, next_offset: int) -> None:
        """Go on after a record that was set aside."""
        with self._book.lock:
            self._pending.next_offset = next_offset

    def take(self) -> Batch:
        """Everything since the last time. Slow where much changed: call it in a thread."""
        with self._book.lock:
            pending, self._pending = self._pending, _Pending(self._pending.next_offset)
            rows = self._book.take_changes()
            touched, moved = self._book.take_touched()
            if self.repeating:
                touched, moved = touched[:0], moved[:0]
        return Batch(
            rows,
            pending.next_offset,
            pending.points,
            pending.pieces,
            touched,
            moved,
            pending.trace_id,
            pending.events,
            pending.closes,
        )

    def snapshot(self) -> Snapshot:
        """A copy of everything. Slow where the book is large, and folding waits for it: call it in a thread."""
        with self._book.lock:
            return Snapshot(changes.all_rows(self._book.tables), self._pending.next_offset)

    def _fold(self, read: Read) -> None:
        if not len(read.events):
            return
        if read.time_ns // self._point_ns != self._book.time_ns // self._point_ns:
            self._note_points(day_end=False)
        rolls = np.flatnonzero(read.events["kind"] == words.DAY_ROLLED).tolist()
        edges = sorted({0, *rolls, len(read.events)})
        for begin, end in pairwise(edges):
            if begin in rolls:
                self._note_points(day_end=True)
                self._pending.closes[ended_day(read.events[begin])] = self._book.last_prices()
            self._book.fold(read.events[begin:end], read.first_sequence + begin, read.time_ns)
        self._pending.events += len(read.events)
        self._pending.trace_id = read.trace_id or self._pending.trace_id
        told = _told(read.events[max(0, self._judged + 1 - read.first_sequence) :])
        if len(told):
            self._pending.pieces.append((told, read.time_ns))

    def _note_points(self, *, day_end: bool) -> None:
        """Points of the accounts that changed since their last one; at the end of a day of all."""
        places = self._book.take_active(everybody=day_end)
        if len(places):
            self._pending.points.append(points(self._book, places, self._stale_ns, day_end=day_end))


def ended_day(rolled: Any) -> int:
    """The trading day that a DAY_ROLLED ends."""
    return int(rolled["available"]) - 1


def _told(events: Any) -> Any:
    """The events that others have to see: orders and fills of advice, days that end, and halts and their ends."""
    told = (events["kind"] == words.DAY_ROLLED) | (events["kind"] == words.STATE_CHANGED)
    for name in ("client_order_id", "counter_client_order_id"):
        told |= of_advice(events[name].astype(np.int64))
    return events[told]


def points(book: Book, places: Any, stale_ns: int, *, day_end: bool) -> Any:
    """`POINT` rows of accounts as of now, by the marks of the log alone."""
    figures = book.figures(places, log_freshness(book.time_ns, stale_ns))
    rows = np.zeros(len(figures), POINT)
    for name in set(POINT.names or ()) & set(figures.dtype.names):
        rows[name] = figures[name]
    rows["unrealised"] = figures["holdings"] - figures["cost"]
    rows["day_end"], rows["day"] = day_end, book.day
    return rows


def log_freshness(time_ns: int, stale_ns: int) -> Freshness:
    """Marks as the log has them at a time: no middles of books, which are not in it."""
    return Freshness(time_ns, -(2**62), stale_ns)
