"""From events to what changed in the books and what traded: one compiled pass over each frame.

The pass keeps no book. An event says by itself which resting order changed: a trade names the maker and what
is left of it, and an arriving order rests, if it does, once its command is done. So the rows of a frame
follow from its events alone, and are the same on every pod.

Rows of one instrument and one frame make one message. Messages are sent in the order of their last sequence,
so who saw a message has seen every one with a lower sequence: this is what makes resuming exact.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import numba
import numpy as np
import smartex_wire

from matching.event_rows import EVENT
from matching.sources import Rows

INSTRUMENTS = 1 << 16

ORDER_ROW = np.dtype(
    [
        ("sequence", "i8"),
        ("time_ns", "i8"),
        ("frame", "i8"),
        ("previous", "i8"),
        ("order_id", "i8"),
        ("price_ticks", "i8"),
        ("quantity_lots", "i8"),
        ("instrument_id", "u4"),
        ("side", "u1"),
    ],
    align=True,
)
"""A change of a resting order.

`frame` is the first sequence of its frame, `previous` the sequence of the instrument's message before.
"""

TRADE_ROW = np.dtype(
    [
        ("sequence", "i8"),
        ("time_ns", "i8"),
        ("frame", "i8"),
        ("previous", "i8"),
        ("price_ticks", "i8"),
        ("quantity_lots", "i8"),
        ("maker_order_id", "i8"),
        ("taker_order_id", "i8"),
        ("instrument_id", "u4"),
        ("side", "u1"),
    ],
    align=True,
)
"""A trade; `side` is the taker's."""

_CHAIN = np.dtype([("last", "i8"), ("frame", "i8"), ("before", "i8")])

ACCEPTED, TRADE, CANCELLED, AMENDED, REDUCED = 1, 3, 4, 5, 9
INSTRUMENT_DEFINED, STATE_CHANGED, REFERENCE_PRICE_SET = 16, 17, 18
KEPT_PRIORITY = 1

F = TypeVar("F")


def _compiled(function: F) -> F:
    """Compile a kernel once and keep it on disk; mypy sees the plain function."""
    compile_function: Any = numba.njit(cache=True, nogil=True)
    made: F = compile_function(function)
    return made


@_compiled
def _link(chain: Any, instrument: int, frame: int, sequence: int) -> int:
    """Note a row of an instrument and return the sequence of its message before this frame's."""
    if chain[instrument]["frame"] != frame:
        chain[instrument]["before"] = chain[instrument]["last"]
        chain[instrument]["frame"] = frame
    chain[instrument]["last"] = sequence
    return int(chain[instrument]["before"])


@_compiled
def _put_order(
    ring: Any,
    head: int,
    chain: Any,
    frame: int,
    time_ns: int,
    sequence: int,
    instrument: int,
    order_id: int,
    side: int,
    price: int,
    quantity: int,
) -> int:
    at = head & (len(ring) - 1)
    ring[at]["previous"] = _link(chain, instrument, frame, sequence)
    ring[at]["sequence"] = sequence
    ring[at]["time_ns"] = time_ns
    ring[at]["frame"] = frame
    ring[at]["order_id"] = order_id
    ring[at]["price_ticks"] = price
    ring[at]["quantity_lots"] = quantity
    ring[at]["instrument_id"] = instrument
    ring[at]["side"] = side
    return head + 1


@_compiled
def _derive(
    events: Any,
    first: int,
    time_ns: int,
    orders: Any,
    order_head: int,
    order_chain: Any,
    trades: Any,
    trade_head: int,
    trade_chain: Any,
    touched: Any,
) -> tuple[int, int, int]:
    """Append a frame's rows to both rings; returns the new heads and how many entries `touched` got."""
    count = 0
    command, taker, side, price, leaves, instrument = -1, 0, 0, 0, 0, 0
    sequence = first - 1
    for i in range(len(events)):
        event = events[i]
        if int(event["command_index"]) != command:
            # The arriving order rests only now that its command is done.
            if taker and leaves > 0:
                order_head = _put_order(
                    orders,
                    order_head,
                    order_chain,
                    first,
                    time_ns,
                    sequence,
                    instrument,
                    taker,
                    side,
                    price,
                    leaves,
                )
            command, taker = int(event["command_index"]), 0
        sequence = first + i
        kind = int(event["kind"])
        this = int(event["instrument_id"])
        order_id = int(event["order_id"])
        if kind == TRADE:
            order_head = _put_order(
                orders,
                order_head,
                order_chain,
                first,
                time_ns,
                sequence,
                this,
                int(event["counter_order_id"]),
                3 - int(event["side"]),
                int(event["price_ticks"]),
                int(event["counter_leaves_lots"]),
            )
            at = trade_head & (len(trades) - 1)
            trades[at]["previous"] = _link(trade_chain, this, first, sequence)
            trades[at]["sequence"] = sequence
            trades[at]["time_ns"] = time_ns
            trades[at]["frame"] = first
            trades[at]["price_ticks"] = event["price_ticks"]
            trades[at]["quantity_lots"] = event["quantity_lots"]
            trades[at]["maker_order_id"] = event["counter_order_id"]
            trades[at]["taker_order_id"] = order_id
            trades[at]["instrument_id"] = this
            trades[at]["side"] = event["side"]
            trade_head += 1
        elif kind in (ACCEPTED, AMENDED):
            left = int(event["leaves_lots"])
            kept = kind == AMENDED and (int(event["flags"]) & KEPT_PRIORITY) != 0
            if not kept:
                taker, leaves, instrument = order_id, left, this
                side, price = int(event["side"]), int(event["price_ticks"])
                left = 0
            if kind == AMENDED:
                order_head = _put_order(
                    orders,
                    order_head,
                    order_chain,
                    first,
                    time_ns,
                    sequence,
                    this,
                    order_id,
                    int(event["side"]),
                    int(event["price_ticks"]),
                    left,
                )
        elif kind in (CANCELLED, REDUCED) and order_id != taker:
            left = 0 if kind == CANCELLED else int(event["leaves_lots"])
            order_head = _put_order(
                orders,
                order_head,
                order_chain,
                first,
                time_ns,
                sequence,
                this,
                order_id,
                int(event["side"]),
                int(event["price_ticks"]),
                left,
            )
        elif not INSTRUMENT_DEFINED <= kind <= REFERENCE_PRICE_SET:
            continue
        if count == 0 or touched[count - 1] != this:
            touched[count] = this
            count += 1
    if taker and leaves > 0:
        order_head = _put_order(
            orders, order_head, order_chain, first, time_ns, sequence, instrument, taker, side, price, leaves
        )
    return order_head, trade_head, count


class Ring:
    """The newest rows of one kind, oldest first, in a buffer that is written round and round."""

    def __init__(self, dtype: np.dtype[np.void], capacity: int) -> None:
        size = 1 << max(4, (capacity - 1).bit_length())
        self.rows: Rows = np.empty(size, dtype)
        self.chain: Rows = np.zeros(INSTRUMENTS, _CHAIN)
        self.head = 0
        self.start_sequence = 0

    def reset(self, sequence: int) -> None:
        """Begin anew after `sequence`."""
        self.head = 0
        self.start_sequence = sequence
        self.chain["last"] = sequence
        self.chain["before"] = sequence
        self.chain["frame"] = 0

    @property
    def tail(self) -> int:
        """Position of the oldest row kept."""
        return max(0, self.head - len(self.rows))

    def last_sequence(self, instrument_id: int) -> int:
        """Sequence of the instrument's last message."""
        return int(self.chain[instrument_id]["last"])

    def slice(self, begin: int, end: int) -> Rows:
        """A copy of the rows from position `begin` to `end`."""
        size = len(self.rows)
        low, high = begin % size, begin % size + (end - begin)
        if high <= size:
            return self.rows[low:high].copy()
        return np.concatenate((self.rows[low:], self.rows[: high - size]))

    def holds_all_after(self, sequence: int) -> bool:
        """Whether no message with a higher sequence has been overwritten."""
        if self.head <= len(self.rows):
            return sequence >= self.start_sequence
        # The frame of the oldest row may have lost its beginning: only what follows it is whole.
        whole = self._whole()
        return whole < self.head and sequence >= int(self.rows[whole % len(self.rows)]["frame"]) - 1

    def after(self, sequence: int) -> Rows:
        """Rows of the frames that have a row with a higher sequence, as far as they are kept whole."""
        begin = self._first_after(sequence)
        if begin < self.head:
            frame = int(self.rows[begin % len(self.rows)]["frame"])
            while begin > self.tail and int(self.rows[(begin - 1) % len(self.rows)]["frame"]) == frame:
                begin -= 1
        return self.slice(begin, self.head)

    def _whole(self) -> int:
        """Position of the first row whose frame is surely kept whole; `head` if there is none."""
        at, size = self.tail, len(self.rows)
        frame = int(self.rows[at % size]["frame"])
        while at < self.head and int(self.rows[at % size]["frame"]) == frame:
            at += 1
        return at

    def _first_after(self, sequence: int) -> int:
        low, high = self.tail, self.head
        while low < high:
            middle = (low + high) // 2
            if int(self.rows[middle % len(self.rows)]["sequence"]) <= sequence:
                low = middle + 1
            else:
                high = middle
        return low


@cache
def _direct_derive() -> Callable[..., tuple[int, int, int]]:
    return smartex_wire.direct(
        _derive, EVENT, int, int, ORDER_ROW, int, _CHAIN, TRADE_ROW, int, _CHAIN, np.int64
    )


class Deltas:
    """Both rings, filled frame by frame."""

    def __init__(self, kept_orders: int, kept_trades: int) -> None:
        self.orders = Ring(ORDER_ROW, kept_orders)
        self.trades = Ring(TRADE_ROW, kept_trades)
        self._touched = np.empty(1024, np.int64)

    def reset(self, sequence: int) -> None:
        """Begin anew after `sequence`, as when a core was loaded from a snapshot."""
        self.orders.reset(sequence)
        self.trades.reset(sequence)

    def apply(self, first_sequence: int, time_ns: int, events: Rows) -> list[int]:
        """Take a frame in; returns the instruments it touched."""
        if len(events) > len(self._touched):
            self._touched = np.empty(2 * len(events), np.int64)
        self.orders.head, self.trades.head, count = _direct_derive()(
            events,
            first_sequence,
            time_ns,
            self.orders.rows,
            self.orders.head,
            self.orders.chain,
            self.trades.rows,
            self.trades.head,
            self.trades.chain,
            self._touched,
        )
        if count <= 1:
            return [int(self._touched[0])] if count else []
        return list(dict.fromkeys(self._touched[:count].tolist()))


def messages(rows: Rows) -> list[Rows]:
    """The rows as messages: one for each instrument and frame, in the order of their last sequence."""
    if len(rows) == 0:
        return []
    frame, instrument = rows["frame"], rows["instrument_id"]
    if instrument[0] != instrument[-1] or np.any(instrument != instrument[0]):
        order = np.lexsort((instrument, frame))
        rows = rows[order]
        frame, instrument = rows["frame"], rows["instrument_id"]
    cuts = np.flatnonzero((frame[1:] != frame[:-1]) | (instrument[1:] != instrument[:-1])) + 1
    parts = np.split(rows, cuts)
    parts.sort(key=_last_sequence)
    return parts


def _last_sequence(rows: Rows) -> int:
    return int(rows[-1]["sequence"])
