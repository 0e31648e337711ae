"""A core in a file: a header that says what follows, then the used part of each table, each with its hash."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict
from typing import Any, BinaryIO

import numpy as np

from .accounts import first_cell, next_cell
from .blocks import (
    BY_INSTRUMENT,
    TABLES,
    counts_of,
    currencies,
    hash_rows,
    instrument_blocks,
    lasting_head,
    listed_instruments,
    rows_by_instrument,
    used_rows,
)
from .compiled import I64, entry
from .errors import SnapshotError
from .idempotency import rebuild_entries
from .state import CoreSettings, Memory, account_at, account_cell_at
from .state import head as head_of

MAGIC = b"SMXCORE\n"
VERSION = 1
_LONGEST_HEADER = 1 << 20
_LENGTH = struct.Struct("<Q")
_DAMAGED = "the saved core is damaged ({}): take an older one, or replay the log"


def save(memory: Memory, settings: CoreSettings, file: BinaryIO) -> None:
    """Write a core to a file."""
    blocks = list(_blocks(memory))
    header = {
        "version": VERSION,
        "settings": asdict(settings),
        "blocks": [[name, rows.nbytes, f"{hash_rows(rows):016x}"] for name, rows in blocks],
    }
    text = json.dumps(header).encode()
    file.write(MAGIC + _LENGTH.pack(len(text)) + _LENGTH.pack(_hash_of(text)) + text)
    for _, rows in blocks:
        if rows.nbytes:
            file.write(rows.reshape(-1).view(np.uint8).data)


def load(file: BinaryIO, settings: CoreSettings) -> Memory:
    """Read a core back. SnapshotError if the file is damaged, of another version, or of other settings."""
    header = _read_header(file)
    if header["settings"] != asdict(settings):
        raise SnapshotError(
            f"the core was saved with {header['settings']}, not with {asdict(settings)}: set them back"
        )
    memory = Memory(settings)
    listed = iter(header["blocks"])
    words = lasting_head(memory)
    _read_block(file, listed, "head", words)
    counts = counts_of(words)
    _check_counts(counts)
    _read_block(file, listed, "currencies", currencies(memory))
    _read_block(file, listed, "listed", listed_instruments(memory, counts))
    _read_instruments(file, listed, memory, counts)
    for table in TABLES:
        _read_block(file, listed, table.name, used_rows(memory, table, counts))
    rebuild(memory.base)
    return memory


def _blocks(memory: Memory) -> list[tuple[str, Any]]:
    counts = counts_of(lasting_head(memory))
    blocks: list[tuple[str, Any]] = [
        ("head", lasting_head(memory)),
        ("currencies", currencies(memory)),
        ("listed", listed_instruments(memory, counts)),
    ]
    blocks += instrument_blocks(memory, counts)
    blocks += [(table.name, used_rows(memory, table, counts)) for table in TABLES]
    return blocks


def _hash_of(text: bytes) -> int:
    return hash_rows(np.frombuffer(text, np.uint8))


def _read_header(file: BinaryIO) -> dict[str, Any]:
    start = file.read(len(MAGIC) + 2 * _LENGTH.size)
    if start[: len(MAGIC)] != MAGIC:
        raise SnapshotError("this is not a saved core")
    if len(start) < len(MAGIC) + 2 * _LENGTH.size:
        raise SnapshotError(_DAMAGED.format("it is cut short"))
    (length,) = _LENGTH.unpack_from(start, len(MAGIC))
    (expected,) = _LENGTH.unpack_from(start, len(MAGIC) + _LENGTH.size)
    text = file.read(length) if length <= _LONGEST_HEADER else b""
    if len(text) != length or _hash_of(text) != expected:
        raise SnapshotError(_DAMAGED.format("in its header"))
    header: dict[str, Any] = json.loads(text)
    if header["version"] != VERSION:
        raise SnapshotError(
            f"the core was saved in version {header['version']}, this is {VERSION}: replay the log"
        )
    return header


def _read_block(file: BinaryIO, listed: Any, name: str, into: np.ndarray[Any, Any]) -> None:
    """Fill rows in place with the next block of a file."""
    stored_name, size, expected = next(listed, ("nothing", 0, ""))
    if stored_name != name or size != into.nbytes:
        raise SnapshotError(
            _DAMAGED.format(f"{stored_name} of {size} bytes where {name} of {into.nbytes} should be")
        )
    room = into.reshape(-1).view(np.uint8)
    done = 0
    while done < size:
        read = file.readinto(room[done:].data)  # type: ignore[attr-defined]
        if not read:
            raise SnapshotError(_DAMAGED.format(f"it is cut short in {name}"))
        done += read
    if f"{hash_rows(into):016x}" != expected:
        raise SnapshotError(_DAMAGED.format(f"in {name}"))


def _read_instruments(file: BinaryIO, listed: Any, memory: Memory, counts: dict[str, int]) -> None:
    ids = listed_instruments(memory, counts)
    for table in BY_INSTRUMENT:
        rows = np.zeros((len(ids), table.rows_each), table.dtype)
        _read_block(file, listed, table.name, rows)
        rows_by_instrument(memory, table)[ids] = rows


def _check_counts(counts: dict[str, int]) -> None:
    """Counts must fit the tables, whatever a hash says."""
    bounds = {
        "slots_used": "max_orders",
        "levels_used": "max_orders",
        "expiries": "max_orders",
        "accounts": "max_accounts",
        "holdings": "max_holdings",
        "instruments": "max_instruments",
        "sessions": "max_sessions",
    }
    for name, most in bounds.items():
        if not 0 <= counts[name] <= counts[most]:
            raise SnapshotError(_DAMAGED.format(f"{counts[name]} {name}"))


@entry
def rebuild(b: int) -> None:
    """Make what is not saved, since it follows from the rest: the tables that find accounts and ids."""
    for index in range(head_of(b).accounts):
        cell = first_cell(I64(account_at(b, index).account_id))
        while account_cell_at(b, cell).account_id != 0:
            cell = next_cell(cell)
        entry_row = account_cell_at(b, cell)
        entry_row.account_id = account_at(b, index).account_id
        entry_row.index = index
    rebuild_entries(b)
