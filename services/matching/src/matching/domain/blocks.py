"""The used part of each table: what is hashed and what is saved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .hashing import hash_words
from .state import (
    ACCOUNT,
    BAND,
    BANDS,
    BOOK,
    CASH,
    CHILD,
    CURRENCY,
    HEAD,
    HOLDING,
    INSTRUMENT_IDS,
    LEVEL,
    NODE,
    ORDER,
    OUTCOME,
    OUTCOME_AGE,
    RULES,
    SESSION,
    SLOT,
    TERMS,
    Memory,
)
from .words import CURRENCIES

Rows = np.ndarray[Any, np.dtype[np.void]]
HEAD_NAMES = HEAD.names or ()
LASTING = HEAD_NAMES.index("events_address")
"""Counters from here on are of the frame that is being applied: neither hashed nor saved."""


@dataclass(frozen=True)
class Table:
    """A table whose first rows are in use: how many per unit of a counter, and whether its bytes are state of their
    own."""

    name: str
    dtype: np.dtype[np.void]
    counter: str
    rows_each: int = 1
    hashed: bool = True


TABLES = (
    Table("accounts", ACCOUNT, "accounts"),
    Table("cash", CASH, "accounts", CURRENCIES),
    Table("holdings", HOLDING, "holdings"),
    Table("orders", ORDER, "slots_used"),
    Table("terms", TERMS, "slots_used"),
    Table("levels", LEVEL, "levels_used"),
    Table("expiries", SLOT, "expiries", hashed=False),
    Table("sessions", SESSION, "sessions"),
    Table("outcomes", OUTCOME, "kept_outcomes"),
    Table("outcome_ages", OUTCOME_AGE, "kept_outcomes"),
    Table("nodes", NODE, "nodes_used", hashed=False),
    Table("children", CHILD, "nodes_used", 64, hashed=False),
)
BY_INSTRUMENT = (Table("rules", RULES, "", 1), Table("books", BOOK, "", 2), Table("bands", BAND, "", BANDS))
"""Tables by instrument id: rows of instruments that are defined stand far apart."""
RING = ("outcomes", "outcome_ages")


def lasting_head(memory: Memory) -> Rows:
    """The counters that last, as 64-bit words, in place."""
    words: Any = memory.table("head", HEAD, 1).view(np.int64)[:LASTING]
    return words  # type: ignore[no-any-return]


def counts_of(head_words: Any) -> dict[str, int]:
    """Counters by name, and how many outcomes the window holds."""
    counts = {name: int(value) for name, value in zip(HEAD_NAMES, head_words, strict=False)}
    counts["kept_outcomes"] = min(counts["outcomes"], counts["window"])
    return counts


def used_rows(memory: Memory, table: Table, counts: dict[str, int]) -> Rows:
    """The rows of a table that are in use, in place."""
    return memory.table(table.name, table.dtype, counts[table.counter] * table.rows_each)


def rows_by_instrument(memory: Memory, table: Table) -> np.ndarray[Any, Any]:
    """All rows of a table by instrument id, one line for each id, in place."""
    rows = memory.table(table.name, table.dtype, INSTRUMENT_IDS * table.rows_each)
    return rows.reshape(INSTRUMENT_IDS, table.rows_each)


def listed_instruments(memory: Memory, counts: dict[str, int]) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Ids of the defined instruments, ascending, in place."""
    ids: np.ndarray[Any, np.dtype[np.int32]] = memory.table("listed", SLOT, counts["instruments"]).view(
        np.int32
    )
    return ids


def hash_rows(rows: np.ndarray[Any, Any], seed: int = 0) -> int:
    """Hash of contiguous rows, padded with zeros to whole words."""
    if rows.nbytes % 8:
        padded = np.zeros(-(-rows.nbytes // 8) * 8, np.uint8)
        padded[: rows.nbytes] = rows.reshape(-1).view(np.uint8)
        rows = padded
    return int(hash_words(rows.ctypes.data, rows.nbytes // 8, seed))


def instrument_blocks(memory: Memory, counts: dict[str, int]) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Copies of the rows of the defined instruments."""
    listed = listed_instruments(memory, counts)
    for table in BY_INSTRUMENT:
        yield table.name, np.ascontiguousarray(rows_by_instrument(memory, table)[listed])


def currencies(memory: Memory) -> Rows:
    """Deposits, fees and duties by currency, in place."""
    return memory.table("currencies", CURRENCY, CURRENCIES)


class StateHash:
    """Hashes the state of one core, again and again.

    The ring of outcomes is by far the largest table and only ever written at one place, so its hash is kept in pieces
    and only those that were written since the last time are hashed anew.
    """

    PIECE = 1 << 14

    def __init__(self) -> None:
        self._seen = 0
        self._pieces: dict[tuple[str, int], int] = {}

    def of(self, memory: Memory) -> str:
        """Sixteen hexadecimal digits; equal for equal logs."""
        head = lasting_head(memory)
        counts = counts_of(head)
        hashes = [hash_rows(head), hash_rows(currencies(memory))]
        hashes += [hash_rows(rows) for _, rows in instrument_blocks(memory, counts)]
        for table in TABLES:
            if table.hashed and table.name not in RING:
                hashes.append(hash_rows(used_rows(memory, table, counts)))
        hashes += self._ring(memory, counts)
        return f"{hash_rows(np.array(hashes, np.uint64)):016x}"

    def _ring(self, memory: Memory, counts: dict[str, int]) -> list[int]:
        for piece in self._written_pieces(counts):
            for table in TABLES:
                if table.name in RING:
                    rows = used_rows(memory, table, counts)[piece * self.PIECE : (piece + 1) * self.PIECE]
                    self._pieces[table.name, piece] = hash_rows(rows)
        self._seen = counts["outcomes"]
        return [self._pieces[key] for key in sorted(self._pieces)]

    def _written_pieces(self, counts: dict[str, int]) -> list[int]:
        """Pieces of the ring that were written since the last time."""
        written, end = counts["outcomes"] - self._seen, counts["ring_place"]
        if written >= counts["kept_outcomes"]:
            return list(range(-(-counts["kept_outcomes"] // self.PIECE)))
        start = end - written
        stretches = [(max(start, 0), end), (counts["window"] + start, counts["window"] if start < 0 else 0)]
        return sorted(
            {
                piece
                for first, beyond in stretches
                if first < beyond
                for piece in range(first // self.PIECE, (beyond - 1) // self.PIECE + 1)
            }
        )
