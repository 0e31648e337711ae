"""The core as Python sees it: a deterministic function over frames of commands."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from io import BytesIO
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np

from . import conservation, queries, snapshot
from .blocks import StateHash, counts_of, lasting_head, listed_instruments
from .compiled import INTERPRETED, without_dispatch
from .frame import NOT_IN_ONE_PIECE, Rows, apply_frame
from .state import (
    ACCOUNT,
    CASH,
    COMMAND,
    EVENT,
    HEAD,
    INSTRUMENT,
    INSTRUMENT_IDS,
    RULES,
    SESSION,
    CoreSettings,
    Memory,
    Pages,
)
from .words import BUY, CURRENCIES, DEPOSIT_CASH, HALTED, NONE, OPEN, SELL, SET_TRADING_STATE

Cuts = np.ndarray[Any, np.dtype[np.int64]]
_HEAD_WORDS = {name: place for place, name in enumerate(HEAD.names or ())}
"""Where each counter stands in the head, which consists of nothing but words of 64 bits."""
_EVENTS_FOR_EACH = 4
"""Events that one command may bring about without taking an order or session away."""
_EVENTS_OF_ONE_TAKEN = 2
"""Most events for each that is taken away: DECREMENT_AND_CANCEL says one of each of the two orders."""
_FEWEST_EVENTS = 1 << 22
"""Room for events that a core begins with: addresses only, memory when it is used."""


class Core:
    """One market. Not thread-safe; `apply` lets other threads run."""

    def __init__(self, settings: CoreSettings | None = None, *, check_conservation: bool = False) -> None:
        """An empty venue. `check_conservation`: verify cash and shares after every frame (slow, for tests)."""
        self.settings = settings or CoreSettings()
        self.check_conservation = check_conservation
        self._use(Memory(self.settings))

    def _use(self, memory: Memory) -> None:
        self._memory = memory
        self._base = memory.base
        head = memory.table("head", HEAD, 1)
        self._head = head.view(np.int64).data
        self._hash = StateHash()
        self._apply_frame = _frame_kernel()
        self._said = 0
        self._room_left = self._most_commands = 0
        self._use_events(Pages(EVENT, _FEWEST_EVENTS))

    # Applying

    def apply(self, commands: Rows, time_ns: int, definitions: Rows | None = None) -> Rows:
        """Apply a frame: definitions first, then commands, in order.

        `commands` are contiguous rows of COMMAND, `definitions` of INSTRUMENT. The events are rows of EVENT: a view
        that the next call overwrites. ValueError if the arrays are of another type or do not lie in one piece.
        """
        if commands.dtype is not COMMAND or commands.ndim != 1:
            commands = _rows_of(commands, COMMAND)
        count = len(commands)
        rules = defined = 0
        if definitions is not None:
            definitions = _rows_of(definitions, INSTRUMENT)
            rules, defined = definitions.ctypes.data, len(definitions)
        self._room_left -= count
        if self._room_left < 0 or count > self._most_commands or defined:
            self._make_room(commands, count, defined)
        said = self._apply_frame(self._base, commands, rules, defined, time_ns, self._events_address, 0, 0)
        if said == NOT_IN_ONE_PIECE:
            raise ValueError("needs a contiguous array of commands")
        self._said = said
        if self.check_conservation:
            self.verify_conservation()
        return self._events_rows[:said]

    def apply_unread(self, commands: Rows, frames: Cuts) -> None:
        """Apply frames that lie one behind the other in `commands`, if nobody reads their events: without a turn of
        Python between two of them, for which a thread may wait while another one has the interpreter.

        `frames` has for each where it ends and its time. ValueError as `apply`, or if the ends do not ascend to the
        end of `commands`.
        """
        ends = frames[:, 0]
        if not len(ends) or ends[-1] != len(commands) or (np.diff(ends, prepend=0) < 0).any():
            raise ValueError("the ends of the frames must ascend to the end of the commands")
        if self.check_conservation:
            for (begin, _), (end, time_ns) in pairwise([(0, 0), *frames.tolist()]):
                self.apply(commands[begin:end], time_ns)
            return
        commands, frames = _rows_of(commands, COMMAND), np.ascontiguousarray(frames, np.int64)
        # More than enough: the room of a frame is used again by the next one.
        self._make_room(commands, len(commands), 0)
        self._room_left -= len(commands)
        self._said = self._apply_frame(
            self._base, commands, 0, 0, 0, self._events_address, frames.ctypes.data, len(frames)
        )

    def _make_room(self, commands: Rows, count: int, defined: int) -> None:
        """Have room for all events that a frame may bring about.

        All events of a command but a few take an order or session away, so there can only be so many. Half of the room
        is for those, and as every command adds at most one, `apply` counts it down; the other half is for the rest.
        """
        taken = _EVENTS_OF_ONE_TAKEN * (self.open_order_count + self.session_count + count)
        instruments = self.instrument_count + defined
        of_all = int(np.count_nonzero(commands["kind"] == SET_TRADING_STATE))
        own = count * _EVENTS_FOR_EACH + of_all * instruments + defined
        if 2 * max(taken, own) > self._events.count:
            self._use_events(Pages(EVENT, 4 * max(taken, own)))
        self._room_left = (self._events.count // 2 - taken) // _EVENTS_OF_ONE_TAKEN
        self._most_commands = self._events.count // 2 // (_EVENTS_FOR_EACH + instruments)

    def _use_events(self, pages: Pages) -> None:
        self._events = pages
        self._events_rows, self._events_address = pages.rows, pages.address

    @property
    def first_sequence(self) -> int:
        """Sequence of the first event of the last frame."""
        return self.sequence - self._said + 1

    def filled_by_orders(self) -> list[tuple[int, int]]:
        """(address, size) of the memory that orders fill round by round: it may be made real before they come."""
        return self._memory.filled_by_orders(self.settings)

    # Counters

    def _counter(self, name: str) -> int:
        return int(self._head[_HEAD_WORDS[name]])

    @property
    def sequence(self) -> int:
        """Sequence of the last event, 0 before the first."""
        return self._counter("sequence")

    @property
    def now(self) -> int:
        """Time of the market in nanoseconds since the epoch."""
        return self._counter("now")

    @property
    def trading_day(self) -> int:
        """The day that runs, from 1."""
        return self._counter("trading_day")

    @property
    def open_order_count(self) -> int:
        """Orders that rest."""
        return self._counter("open_orders")

    @property
    def expiring_order_count(self) -> int:
        """Orders that rest until a time (GTD)."""
        return self._counter("expiries")

    @property
    def session_count(self) -> int:
        """Sessions whose silence would cancel orders."""
        return self._counter("sessions")

    @property
    def account_count(self) -> int:
        """Accounts that there are."""
        return self._counter("accounts")

    @property
    def instrument_count(self) -> int:
        """Instruments that are defined."""
        return self._counter("instruments")

    # Saving and comparing

    def state_hash(self) -> str:
        """Sixteen hexadecimal digits, the same on all that applied the same log with the same settings."""
        return self._hash.of(self._memory)

    def save(self, file: BinaryIO) -> None:
        """Write the state to a binary file."""
        snapshot.save(self._memory, self.settings, file)

    @classmethod
    def load(
        cls, file: BinaryIO, settings: CoreSettings | None = None, *, check_conservation: bool = False
    ) -> Core:
        """A core as it was saved. SnapshotError says why a file cannot be used."""
        core = cls.__new__(cls)
        core.settings = settings or CoreSettings()
        core.check_conservation = check_conservation
        core._use(snapshot.load(file, core.settings))
        return core

    def verify_conservation(self) -> None:
        """ConservationError with the numbers if cash or shares do not add up, or holds are not what orders reserve."""
        conservation.verify(self._memory)

    # Accounts

    def account_ids(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Ids of all accounts, in the order in which they came."""
        ids: np.ndarray[Any, np.dtype[np.int64]] = self._memory.table(
            "accounts", ACCOUNT, self.account_count
        )["account_id"]
        return ids.astype(np.int64)

    def account_state(self, account_id: int) -> int:
        """OPEN, or HALTED: the account may place and change no orders; 0 if there is no such account."""
        account = self._find_account(account_id)
        if account == NONE:
            return 0
        halted = self._memory.table("accounts", ACCOUNT, account + 1)[account]["halted"]
        return HALTED if halted else OPEN

    def cash(self, account_id: int) -> list[tuple[int, int, int]]:
        """(currency id, total, held) in micros of each currency that an account has; empty if there is no such
        account."""
        account = self._find_account(account_id)
        if account == NONE:
            return []
        rows = self._memory.table("cash", CASH, (account + 1) * CURRENCIES)[account * CURRENCIES :]
        return [(i, int(row["total"]), int(row["held"])) for i, row in enumerate(rows) if row["total"]]

    def holdings(self, account_id: int) -> Rows:
        """What an account holds, by instrument: rows of HOLDING_ROW; empty if there is no such account."""
        account = self._find_account(account_id)
        if account == NONE:
            return np.zeros(0, queries.HOLDING_ROW)
        count = queries.list_holdings(self._base, account, 0, 0)
        rows = queries.empty_rows(queries.HOLDING_ROW, count)
        queries.list_holdings(self._base, account, rows.ctypes.data, count)
        held: Rows = rows[:count][rows[:count]["total"] != 0]
        return held

    def account_orders(self, account_id: int) -> Rows:
        """Open orders of an account by order id: rows of ORDER_ROW."""
        account = self._find_account(account_id)
        if account == NONE:
            return np.zeros(0, queries.ORDER_ROW)
        count = queries.list_account_orders(self._base, account, 0, 0)
        rows = queries.empty_rows(queries.ORDER_ROW, count)
        queries.list_account_orders(self._base, account, rows.ctypes.data, count)
        return rows[:count]

    def _find_account(self, account_id: int) -> int:
        return int(queries.locate_account(self._base, account_id)) if 0 < account_id < 1 << 32 else NONE

    # Books

    def book(self, instrument_id: int, depth: int) -> tuple[Rows, Rows]:
        """Bids and asks, best first: rows of LEVEL_ROW. KeyError if there is no such instrument."""
        open_orders = int(self._rules(instrument_id)["open_orders"])
        return (
            self._levels(instrument_id, BUY, min(depth, open_orders)),
            self._levels(instrument_id, SELL, min(depth, open_orders)),
        )

    def _levels(self, instrument_id: int, side: int, depth: int) -> Rows:
        rows = queries.empty_rows(queries.LEVEL_ROW, depth)
        return rows[: queries.list_levels(self._base, instrument_id, side, depth, rows.ctypes.data)]

    def orders(self, instrument_id: int) -> Rows:
        """Open orders, bids first, each side in priority: rows of ORDER_ROW. KeyError if there is no such
        instrument."""
        rows = queries.empty_rows(queries.ORDER_ROW, int(self._rules(instrument_id)["open_orders"]))
        return rows[: queries.list_orders(self._base, instrument_id, rows.ctypes.data)]

    def order(self, order_id: int) -> np.void | None:
        """An open order: a row of ORDER_ROW, or None."""
        rows = queries.empty_rows(queries.ORDER_ROW, 1)
        known = queries.describe_order(self._base, order_id, rows.ctypes.data)
        return rows[0] if known else None

    def instrument_ids(self) -> np.ndarray[Any, np.dtype[np.int32]]:
        """Ids of all instruments, ascending."""
        return listed_instruments(self._memory, counts_of(lasting_head(self._memory))).copy()

    def instrument(self, instrument_id: int) -> np.void:
        """An instrument as it stands: a row of INSTRUMENT_STATE. KeyError if there is no such instrument."""
        rules = self._rules(instrument_id)
        row = np.zeros(1, queries.INSTRUMENT_STATE)
        row["instrument_id"] = instrument_id
        renamed = {
            "reference_price_ticks": "reference_price",
            "last_price_ticks": "last_price",
            "lower_limit_ticks": "lower_limit",
            "upper_limit_ticks": "upper_limit",
        }
        for name in (queries.INSTRUMENT_STATE.names or ())[1:]:
            row[name] = rules[renamed.get(name, name)]
        state: np.void = row[0]
        return state

    def _rules(self, instrument_id: int) -> np.void:
        if not 0 < instrument_id < INSTRUMENT_IDS:
            raise KeyError(instrument_id)
        rules: np.void = self._memory.table("rules", RULES, instrument_id + 1)[instrument_id]
        if not rules["marks"]:
            raise KeyError(instrument_id)
        return rules

    def sessions(self) -> Rows:
        """Open sessions by number: rows of SESSION_ROW."""
        open_ones = self._memory.table("sessions", SESSION, self._counter("sessions"))
        rows = np.zeros(len(open_ones), queries.SESSION_ROW)
        for name, source in zip(queries.SESSION_ROW.names or (), SESSION.names or (), strict=True):
            rows[name] = open_ones[source]
        return rows


def _rows_of(rows: Rows, dtype: np.dtype[np.void]) -> Rows:
    """Rows that are of an equal type, as rows of this very type: NumPy makes its own, say by joining arrays."""
    if rows.dtype == dtype and rows.ndim == 1 and rows.flags.c_contiguous:
        return rows.view(dtype)
    raise ValueError(f"needs a contiguous array of {dtype}, not {rows.ndim} dimensions of {rows.dtype}")


def _interpret(base: int, commands: Rows, *arguments: int) -> int:
    """Run the kernel under the interpreter, with integers that are 64 bits wide as the compiled ones are."""
    wide: Any = [np.int64(argument) for argument in arguments]
    return apply_frame(np.int64(base), commands, *wide)  # type: ignore[arg-type]


@cache
def _frame_kernel() -> Callable[..., int]:
    return _interpret if INTERPRETED else without_dispatch(apply_frame, COMMAND)


def warm_up() -> None:
    """Compile every kernel, or load it from the cache: about half a minute the first time, a second later."""
    core = Core(CoreSettings(window=64, max_orders=64, max_accounts=4, max_instruments=4))
    rules = np.zeros(1, INSTRUMENT)
    for name in ("instrument_id", "tick_value", "board_lot", "odd_lot_rule", "settlement", "trading_state"):
        rules[name] = 1
    for name in ("reference_price_ticks", "max_price_ticks", "max_order_lots"):
        rules[name] = 100
    deposit = np.zeros(1, COMMAND)
    for name, value in (("kind", DEPOSIT_CASH), ("account_id", 1), ("request_id", 1), ("amount_micros", 1)):
        deposit[name] = value
    deposit["create_time_ns"] = core.settings.skew_ns
    core.apply(deposit, 1, rules)
    core.book(1, 1)
    core.orders(1)
    core.order(1)
    core.holdings(1)
    core.account_orders(1)
    core.cash(1)
    core.state_hash()
    file = BytesIO()
    core.save(file)
    file.seek(0)
    Core.load(file, core.settings)
