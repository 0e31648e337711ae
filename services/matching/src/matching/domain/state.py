"""What the core remembers: its tables, and where each lies in one reservation of address space.

The offsets are constants for the largest venue that the code allows, so kernels add them without loading anything;
memory is only used for pages that were written. Growth is a page fault, never a copy.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from .compiled import hot, rows
from .words import CURRENCIES, NONE

LARGEST_ORDERS = 1 << 24
LARGEST_WINDOW = 1 << 24
LARGEST_ACCOUNTS = 1 << 20
LARGEST_SESSIONS = 1 << 20
LARGEST_HOLDINGS = 1 << 24
INSTRUMENT_IDS = 1 << 16
BANDS = 16
ENTRIES_PER_BUCKET = 15


def struct(*fields: tuple[str, str] | tuple[str, str, int]) -> np.dtype[np.void]:
    """An aligned record type."""
    return np.dtype(list(fields), align=True)


def message(*fields: tuple[str, str]) -> np.dtype[np.void]:
    """A record type of whole words, the widest fields first: as `smartex_wire` lays out the rows of messages."""
    widest_first = sorted(fields, key=lambda field: -np.dtype(field[1]).itemsize)
    return struct(*widest_first)


COMMAND = message(
    ("kind", "u1"),
    ("account_id", "u4"),
    ("instrument_id", "u4"),
    ("client_order_id", "i8"),
    ("side", "u1"),
    ("order_type", "u1"),
    ("time_in_force", "u1"),
    ("price_ticks", "i8"),
    ("quantity_lots", "i8"),
    ("create_time_ns", "i8"),
    ("order_id", "i8"),
    ("request_id", "i8"),
    ("post_only", "u1"),
    ("self_trade_prevention", "u1"),
    ("trading_state", "u1"),
    ("min_quantity_lots", "i8"),
    ("expire_time_ns", "i8"),
    ("session_id", "i8"),
    ("grace_ns", "i8"),
    ("currency_id", "u4"),
    ("amount_micros", "i8"),
    ("trading_day", "i8"),
)
"""One command: the fields of proto `Command`."""

EVENT = message(
    ("kind", "u1"),
    ("command_index", "u4"),
    ("instrument_id", "u4"),
    ("account_id", "u4"),
    ("order_id", "i8"),
    ("client_order_id", "i8"),
    ("side", "u1"),
    ("price_ticks", "i8"),
    ("quantity_lots", "i8"),
    ("leaves_lots", "i8"),
    ("reason", "u1"),
    ("request_id", "i8"),
    ("required", "i8"),
    ("available", "i8"),
    ("counter_account_id", "u4"),
    ("counter_order_id", "i8"),
    ("counter_client_order_id", "i8"),
    ("counter_leaves_lots", "i8"),
    ("fee_micros", "i8"),
    ("counter_fee_micros", "i8"),
    ("tax_micros", "i8"),
    ("order_type", "u1"),
    ("time_in_force", "u1"),
    ("expire_time_ns", "i8"),
    ("currency_id", "u4"),
    ("trading_state", "u1"),
    ("flags", "u4"),
)
"""One event: the fields of proto `Event`."""

INSTRUMENT = struct(
    ("instrument_id", "u4"),
    ("currency_id", "u4"),
    ("tick_value", "i8"),
    ("board_lot", "i8"),
    ("odd_lot_rule", "u1"),
    ("price_limit_ppm", "i8"),
    ("reference_price_ticks", "i8"),
    ("max_price_ticks", "i8"),
    ("max_order_lots", "i8"),
    ("market_band_ppm", "i8"),
    ("settlement", "u1"),
    ("maker_fee_ppm", "i8"),
    ("taker_fee_ppm", "i8"),
    ("stamp_duty_ppm", "i8"),
    ("trading_state", "u1"),
    ("band_count", "u4"),
    ("band_from", "i8", BANDS),
    ("band_step", "i8", BANDS),
    ("request_id", "i8"),
)
"""The numeric rules of an instrument. `tick_value`: micros of one lot at a price of one tick."""

HEAD = struct(
    ("now", "i8"),
    ("sequence", "i8"),
    ("trading_day", "i8"),
    ("floor", "i8"),
    ("order_counter", "i8"),
    ("slots_used", "i8"),
    ("free_slot", "i8"),
    ("open_orders", "i8"),
    ("levels_used", "i8"),
    ("free_level", "i8"),
    ("nodes_used", "i8"),
    ("free_node", "i8"),
    ("accounts", "i8"),
    ("holdings", "i8"),
    ("instruments", "i8"),
    ("sessions", "i8"),
    ("expiries", "i8"),
    ("outcomes", "i8"),
    ("ring_place", "i8"),
    # Settings.
    ("window", "i8"),
    ("max_orders", "i8"),
    ("max_accounts", "i8"),
    ("max_instruments", "i8"),
    ("max_holdings", "i8"),
    ("max_sessions", "i8"),
    ("skew_ns", "i8"),
    ("bucket_bits", "i8"),
    # Of the frame that is being applied.
    ("events_address", "i8"),
    ("events", "i8"),
    ("command_index", "i8"),
    # Of this process.
    ("id_secret", "i8"),
)
"""Counters of the venue. `outcomes` counts all that were ever remembered; `free_…` begin lists."""

BOOK = struct(
    ("best_key", "i8"),
    ("best_level", "i4"),
    ("root", "i4"),
    ("height", "i4"),
    ("spare", "i4"),
)
"""One side of a book: the best level, and the tree of all levels by price."""

RULES = struct(
    ("tick_value", "i8"),
    ("board_lot", "i8"),
    ("max_order_lots", "i8"),
    ("max_price_ticks", "i8"),
    ("upper_limit", "i8"),
    ("lower_limit", "i8"),
    ("maker_fee_ppm", "i8"),
    ("taker_fee_ppm", "i8"),
    ("stamp_duty_ppm", "i8"),
    ("reserve_ppm", "i8"),
    ("last_price", "i8"),
    ("currency_id", "i4"),
    ("open_orders", "i4"),
    ("trading_state", "u1"),
    ("odd_lot_rule", "u1"),
    ("settlement", "u1"),
    ("marks", "u1"),
    ("band_count", "i4"),
    ("reference_price", "i8"),
    ("price_limit_ppm", "i8"),
    ("market_band_ppm", "i8"),
    ("deposited", "i8"),
)
"""An instrument as it stands. `deposited`: lots brought in, less those taken out."""

BAND = struct(("from_price", "i8"), ("step", "i8"))
CURRENCY = struct(("deposited", "i8"), ("fees", "i8"), ("duties", "i8"))
ACCOUNT = struct(
    ("account_id", "u4"),
    ("halted", "u4"),
    ("first_order", "i4"),
    ("last_order", "i4"),
    ("holdings_root", "i4"),
    ("holdings_height", "i4"),
    ("recent_instrument", "i4"),
    ("recent_holding", "i4"),
)
"""An account. `halted`: 1 if it may place and change no orders."""
ACCOUNT_CELL = struct(("account_id", "u4"), ("index", "i4"))
CASH = struct(("total", "i8"), ("held", "i8"))
HOLDING = struct(
    ("total", "i8"), ("held", "i8"), ("bought_today", "i8"), ("account", "i4"), ("instrument", "i4")
)

ORDER = struct(
    ("order_id", "i8"),
    ("client_order_id", "i8"),
    ("leaves", "i8"),
    ("reserve", "i8"),
    ("next", "i4"),
    ("previous", "i4"),
    ("account_next", "i4"),
    ("account_previous", "i4"),
    ("level", "i4"),
    ("account", "i4"),
    ("instrument", "u2"),
    ("side", "u1"),
    ("time_in_force", "u1"),
    ("post_only", "u1"),
    ("prevention", "u1"),
    ("marks", "u1"),
    ("spare", "u1"),
)
"""What matching and cancelling touch of an order: one cache line. `order_id` is 0 in a free slot, which `next`
chains."""

TERMS = struct(
    ("quantity", "i8"), ("expire_time", "i8"), ("session_id", "i8"), ("expiry_place", "i4"), ("spare", "i4")
)
"""The rest of an order, by the same slot."""

LEVEL = struct(("price", "i8"), ("first", "i4"), ("last", "i4"), ("node", "i4"), ("spare", "i4"))
NODE = struct(("bits", "u8"), ("parent", "i4"), ("place", "i4"))
CHILD = struct(("to", "i4"))
SESSION = struct(("session_id", "i8"), ("account_id", "i8"), ("grace_ns", "i8"), ("last_beat", "i8"))
OUTCOME = struct(
    ("number", "i8"),
    ("other", "i8"),
    ("order_id", "i8"),
    ("price", "i8"),
    ("quantity", "i8"),
    ("first", "i8"),
    ("second", "i8"),
    ("account_id", "u4"),
    ("side", "u1"),
    ("kind", "u1"),
    ("reason", "u1"),
    ("spare", "u1"),
)
"""A remembered outcome: one cache line. `first`: required, of accepted ones leaves; `second`: available."""
OUTCOME_AGE = struct(("time", "i8"), ("instrument_id", "u4"), ("spare", "i4"))
BUCKET_WORD = struct(("value", "u4"))
SLOT = struct(("slot", "i4"))
WORD = struct(("value", "i8"))

_HUGE_PAGE = 1 << 21
_place = 0
_regions: dict[str, tuple[int, int]] = {}


def _region(name: str, dtype: np.dtype[np.void], count: int) -> Any:
    """Reserve the next stretch of addresses for a table; its rows' accessor."""
    global _place
    offset = _place
    size = -(-dtype.itemsize * count // _HUGE_PAGE) * _HUGE_PAGE
    _place += size
    _regions[name] = (offset, size)
    return rows(dtype, offset)


_head_at = _region("head", HEAD, 1)
book_at = _region("books", BOOK, 2 * INSTRUMENT_IDS)
rules_at = _region("rules", RULES, INSTRUMENT_IDS)
band_at = _region("bands", BAND, INSTRUMENT_IDS * BANDS)
listed_at = _region("listed", SLOT, INSTRUMENT_IDS)
currency_at = _region("currencies", CURRENCY, CURRENCIES)
account_at = _region("accounts", ACCOUNT, LARGEST_ACCOUNTS)
account_cell_at = _region("account_cells", ACCOUNT_CELL, 2 * LARGEST_ACCOUNTS)
cash_at = _region("cash", CASH, LARGEST_ACCOUNTS * CURRENCIES)
holding_at = _region("holdings", HOLDING, LARGEST_HOLDINGS)
order_at = _region("orders", ORDER, LARGEST_ORDERS)
terms_at = _region("terms", TERMS, LARGEST_ORDERS)
level_at = _region("levels", LEVEL, LARGEST_ORDERS)
expiry_at = _region("expiries", SLOT, LARGEST_ORDERS)
session_at = _region("sessions", SESSION, LARGEST_SESSIONS)
outcome_at = _region("outcomes", OUTCOME, LARGEST_WINDOW)
outcome_age_at = _region("outcome_ages", OUTCOME_AGE, LARGEST_WINDOW)
bucket_word_at = _region("buckets", BUCKET_WORD, 4 * (LARGEST_WINDOW + LARGEST_ORDERS))
scratch_at = _region("scratch", WORD, LARGEST_ORDERS)
LARGEST_NODES = 7 * LARGEST_ORDERS + 3 * LARGEST_HOLDINGS
node_at = _region("nodes", NODE, LARGEST_NODES)
child_at = _region("children", CHILD, 64 * LARGEST_NODES)
command_at = rows(COMMAND)
event_at = rows(EVENT)
definition_at = rows(INSTRUMENT)
word_at = rows(WORD)

ADDRESS_SPACE = _place
REGIONS = dict(_regions)
BUCKETS_OFFSET = REGIONS["buckets"][0]


@hot
def head(b: int) -> Any:
    """The venue's counters."""
    return _head_at(b, 0)


_NO_RESERVE = 0x4000
_FULL_FROM_THE_START = (
    "accounts",
    "account_cells",
    "cash",
    "holdings",
    "orders",
    "terms",
    "levels",
    "nodes",
    "children",
)
_HUGE_FROM = 8 << 20


@dataclass(frozen=True)
class CoreSettings:
    """The sizes of a venue. They are part of its state: all replicas have the same."""

    window: int = 4_194_304
    """Outcomes that are remembered for repeats, 1 to 2²⁴."""
    max_orders: int = 4_194_304
    """Open orders, 1 to 2²⁴."""
    max_accounts: int = 1_048_576
    """Accounts, 1 to 2²⁰."""
    max_instruments: int = 4_096
    """Instruments, 1 to 65,535."""
    max_holdings: int = 16_777_216
    """Pairs of account and instrument that may ever hold something, more than `max_orders` to be useful, at most
    2²⁴."""
    max_sessions: int = 65_536
    """Sessions at a time, 1 to 2²⁰."""
    skew_ns: int = 2_000_000_000
    """Difference of clocks that is allowed for, in nanoseconds."""

    def __post_init__(self) -> None:
        bounds = {
            "window": LARGEST_WINDOW,
            "max_orders": LARGEST_ORDERS,
            "max_accounts": LARGEST_ACCOUNTS,
            "max_instruments": INSTRUMENT_IDS - 1,
            "max_holdings": LARGEST_HOLDINGS,
            "max_sessions": LARGEST_SESSIONS,
        }
        for name, most in bounds.items():
            if not 1 <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be 1 to {most:,}, it is {getattr(self, name):,}")
        if not 0 <= self.skew_ns <= 10**15:
            raise ValueError(f"skew_ns must be 0 to 10^15, it is {self.skew_ns}")


def bucket_bits(settings: CoreSettings) -> int:
    """Two to the power of this many buckets leave them half empty when window and orders are full."""
    return max(4, ((settings.window + settings.max_orders - 1) // 8).bit_length())


class Memory:
    """The reservation that holds one core's state."""

    def __init__(self, settings: CoreSettings) -> None:
        self._map = _reserve(ADDRESS_SPACE + _HUGE_PAGE)
        address = _address(self._map)
        self.base = -(-address // _HUGE_PAGE) * _HUGE_PAGE
        self._start = self.base - address
        self._use_huge_pages("buckets", 64 << bucket_bits(settings))
        for name in _FULL_FROM_THE_START:
            self._use_huge_pages(name, settings.max_orders * ORDER.itemsize)
        for name in ("outcomes", "outcome_ages"):
            self._use_huge_pages(name, settings.window * OUTCOME_AGE.itemsize)
        counters = self.table("head", HEAD, 1)[0]
        counters["trading_day"] = 1
        counters["floor"] = -(1 << 62)
        for name in ("free_slot", "free_level", "free_node"):
            counters[name] = NONE
        counters["nodes_used"] = 1
        for name in ("window", "max_orders", "max_accounts", "max_instruments", "max_holdings"):
            counters[name] = getattr(settings, name)
        counters["max_sessions"], counters["skew_ns"] = settings.max_sessions, settings.skew_ns
        counters["bucket_bits"] = bucket_bits(settings)
        counters["id_secret"] = int.from_bytes(os.urandom(8)) >> 1

    def table(self, name: str, dtype: np.dtype[np.void], count: int) -> np.ndarray[Any, np.dtype[np.void]]:
        """The first `count` rows of a table, in place."""
        return np.frombuffer(self._map, dtype, count, self._start + REGIONS[name][0])

    def filled_by_orders(self, settings: CoreSettings) -> list[tuple[int, int]]:
        """(address, size) of the tables that every order adds to, until the window of outcomes is full."""
        sizes = {
            "buckets": 64 << bucket_bits(settings),
            "outcomes": settings.window * OUTCOME.itemsize,
            "outcome_ages": settings.window * OUTCOME_AGE.itemsize,
        }
        return [(self.base + REGIONS[name][0], size) for name, size in sizes.items()]

    def _use_huge_pages(self, name: str, size: int) -> None:
        """Fewer misses of the address cache and fewer page faults, for tables without gaps that may grow to `size`."""
        if size >= _HUGE_FROM and hasattr(mmap, "MADV_HUGEPAGE"):
            offset, most = REGIONS[name]
            self._map.madvise(mmap.MADV_HUGEPAGE, self._start + offset, most)


class Pages:
    """Room for rows that a kernel writes: addresses now, memory when it is used."""

    def __init__(self, dtype: np.dtype[np.void], count: int) -> None:
        self._map = _reserve(max(1, dtype.itemsize * count))
        self.count = count
        self.address = _address(self._map)
        self.rows: np.ndarray[Any, np.dtype[np.void]] = np.frombuffer(self._map, dtype, count)


def _reserve(size: int) -> mmap.mmap:
    reserved = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NO_RESERVE)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        # Sparse tables would really occupy two megabytes for each row that is touched.
        reserved.madvise(mmap.MADV_NOHUGEPAGE)
    return reserved


def _address(memory: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
