"""LOBSTER files, and what orders bring a market to what they say. Pure; no I/O but reading files.

The file shows what happened to resting orders near the touch, so: a new order is a limit order, a cancel is one, an
execution is an immediate-or-cancel order of the other side. Orders older than the file are placed first, one for
each level ("fillers"). What lies beyond the tenth level is unknown: it is forgotten, and the tenth is made what the
file says.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TypeAlias

from .errors import InvalidInput

BUY, SELL = 1, -1
LEVELS = 10


class Kind(IntEnum):
    """Type of a message."""

    NEW = 1
    REDUCE = 2
    DELETE = 3
    EXECUTE = 4
    HIDDEN = 5


@dataclass(frozen=True, slots=True)
class Message:
    """A line of the message file; prices are × 10,000."""

    kind: int
    order_id: int
    size: int
    price: int
    side: int
    """Side of the resting order: 1 buy, -1 sell."""


Levels: TypeAlias = tuple[tuple[int, int], ...]
"""(price, size), best first."""


@dataclass(frozen=True, slots=True)
class BookRow:
    """A line of the book file."""

    asks: Levels
    bids: Levels

    def of(self, side: int) -> Levels:
        """The levels of a side."""
        return self.bids if side == BUY else self.asks


@dataclass(frozen=True, slots=True)
class Place:
    """A new resting order."""

    number: int
    side: int
    price: int
    size: int


@dataclass(frozen=True, slots=True)
class Shrink:
    """An order gets a smaller total, what has traded included; 0: it is cancelled."""

    number: int
    total: int


@dataclass(frozen=True, slots=True)
class Take:
    """An immediate-or-cancel order of `side`; it must hit `expected` with all of `size`."""

    side: int
    price: int
    size: int
    expected: int | None


Action: TypeAlias = Place | Shrink | Take


@dataclass(slots=True)
class _Order:
    number: int
    side: int
    price: int
    open: int
    total: int
    file_id: int | None
    """Its id in the file; None for a filler."""


@dataclass
class Mirror:
    """What should rest, and what to do so that it does."""

    _orders: dict[int, _Order] = field(default_factory=dict)
    _levels: dict[tuple[int, int], list[_Order]] = field(default_factory=dict)
    _by_file_id: dict[int, _Order] = field(default_factory=dict)
    _last: int = 0

    def open(self, row: BookRow, first: Message) -> list[Action]:
        """The orders that are older than the file: its first row less what its first message did."""
        actions: list[Action] = []
        for side in (BUY, SELL):
            for price, size in row.of(side):
                if (side, price) == (first.side, first.price):
                    size += _undone(first)
                if size > 0:
                    actions.append(self._place(side, price, size, None))
        return actions

    def follow(self, message: Message) -> list[Action]:
        """What a message asks for. After a Take, say with `traded` what came of it."""
        if message.kind == Kind.NEW:
            return [self._place(message.side, message.price, message.size, message.order_id)]
        if message.kind in (Kind.REDUCE, Kind.DELETE):
            return self._cancel(message)
        if message.kind == Kind.EXECUTE:
            known = self._by_file_id.get(message.order_id)
            older = (each for each in self._at(message.side, message.price) if each.file_id is None)
            expected = known or next(older, None)
            return [Take(-message.side, message.price, message.size, expected.number if expected else None)]
        return []

    def trim(self, row: BookRow) -> list[Action]:
        """Forget what is worse than the tenth level, and make the tenth what the file says."""
        actions: list[Action] = []
        for side in (BUY, SELL):
            levels = row.of(side)
            if len(levels) < LEVELS:
                continue
            last, size = levels[-1]
            worse = [price for which, price in self._levels if which == side and (last - price) * side > 0]
            for price in worse:
                actions += [self._shrink(order, order.open) for order in list(self._at(side, price))]
            actions += self._fit(side, last, size)
        return actions

    def traded(self, number: int, size: int) -> None:
        """An order traded."""
        order = self._orders.get(number)
        if order is not None:
            order.open -= size
            self._drop_if_done(order)

    def levels(self, side: int, depth: int) -> Levels:
        """What should rest, best first."""
        prices = sorted((price for which, price in self._levels if which == side), reverse=side == BUY)
        return tuple((price, self._size(side, price)) for price in prices[:depth])

    def _fit(self, side: int, price: int, size: int) -> list[Action]:
        missing = size - self._size(side, price)
        if missing > 0:
            return [self._place(side, price, missing, None)]
        return self._take_off(side, price, -missing)

    def _cancel(self, message: Message) -> list[Action]:
        known = self._by_file_id.get(message.order_id)
        if known is None:
            return self._take_off(message.side, message.price, message.size, fillers_only=True)
        size = known.open if message.kind == Kind.DELETE else min(message.size, known.open)
        return [self._shrink(known, size)]

    def _take_off(self, side: int, price: int, size: int, *, fillers_only: bool = False) -> list[Action]:
        """Take lots off a level: of fillers first, then of the last in the queue."""
        queue = self._at(side, price)[::-1]
        wanted = [each for each in queue if each.file_id is None]
        wanted += [] if fillers_only else [each for each in queue if each.file_id is not None]
        actions: list[Action] = []
        for order in wanted:
            part = min(size, order.open)
            if part:
                actions.append(self._shrink(order, part))
                size -= part
        return actions

    def _place(self, side: int, price: int, size: int, file_id: int | None) -> Place:
        self._last += 1
        order = _Order(self._last, side, price, size, size, file_id)
        self._orders[order.number] = order
        self._levels.setdefault((side, price), []).append(order)
        if file_id is not None:
            self._by_file_id[file_id] = order
        return Place(order.number, side, price, size)

    def _shrink(self, order: _Order, size: int) -> Shrink:
        order.open -= size
        order.total -= size
        total = order.total if order.open else 0
        self._drop_if_done(order)
        return Shrink(order.number, total)

    def _drop_if_done(self, order: _Order) -> None:
        if order.open > 0:
            return
        del self._orders[order.number]
        queue = self._levels[order.side, order.price]
        queue.remove(order)
        if not queue:
            del self._levels[order.side, order.price]
        if order.file_id is not None:
            self._by_file_id.pop(order.file_id, None)

    def _at(self, side: int, price: int) -> list[_Order]:
        return self._levels.get((side, price), [])

    def _size(self, side: int, price: int) -> int:
        return sum(each.open for each in self._at(side, price))


def _undone(message: Message) -> int:
    """What to add to the level of a message to have it as it was before."""
    if message.kind == Kind.NEW:
        return -message.size
    return message.size if message.kind in (Kind.REDUCE, Kind.DELETE, Kind.EXECUTE) else 0


def read_messages(path: Path) -> list[Message]:
    """A message file. InvalidInput names the line that is wrong."""
    found = []
    for line, row in _rows(path):
        try:
            kind, order_id, size, price, side = (int(each) for each in row[1:6])
        except ValueError:
            raise _wrong(path, line, "time, type, id, size, price, direction") from None
        if side not in (BUY, SELL) or size <= 0:
            raise _wrong(path, line, "a direction of 1 or -1 and a positive size")
        found.append(Message(kind, order_id, size, price, side))
    return found


def read_books(path: Path) -> list[BookRow]:
    """A book file of ten levels. InvalidInput names the line that is wrong."""
    found = []
    for line, row in _rows(path):
        try:
            numbers = [int(each) for each in row]
        except ValueError:
            raise _wrong(path, line, "whole numbers") from None
        if len(numbers) != 4 * LEVELS:
            raise _wrong(path, line, f"{4 * LEVELS} columns")
        levels = [numbers[start : start + 4] for start in range(0, len(numbers), 4)]
        # A level that is not there has size 0 and an impossible price.
        asks = tuple((price, size) for price, size, _, _ in levels if size)
        bids = tuple((price, size) for _, _, price, size in levels if size)
        found.append(BookRow(asks, bids))
    return found


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with open(path, newline="") as file:
            for line, row in enumerate(csv.reader(file), 1):
                if row:
                    yield line, row
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot read {path}: {error}", field="path") from None


def _wrong(path: Path, line: int, wanted: str) -> InvalidInput:
    return InvalidInput(f"{path}, line {line}: {wanted} expected", field="path")
