"""The face of the live book."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import numpy as np

from positions.domain.book import changes, words
from positions.domain.book import fold as folding
from positions.domain.book.changes import Rows
from positions.domain.book.checking import problem
from positions.domain.book.hashing import look_up
from positions.domain.book.listing import Listing, Rules
from positions.domain.book.tables import new_tables, with_room
from positions.domain.book.valuing import Freshness, holders, valuate
from positions.domain.book.views import view
from positions.domain.figures import PortfolioView


class Book:
    """All accounts as of the last event that was folded in.

    Events are folded in a thread while others read: each of these methods holds `lock`, and so do readers of `tables`.
    """

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.tables = new_tables()
        self.lock = threading.RLock()
        self.version = 0
        """Grows with everything that may change a figure."""
        listing.set_rates(self.tables)

    @property
    def sequence(self) -> int:
        """Sequence of the last event in it."""
        return int(self.tables.header[0]["sequence"])

    @property
    def time_ns(self) -> int:
        """Time of the market of that event."""
        return int(self.tables.header[0]["time_ns"])

    @property
    def day(self) -> int:
        """The trading day, counted from 1."""
        return int(self.tables.header[0]["day"])

    @property
    def accounts(self) -> int:
        """How many there are."""
        return int(self.tables.header[0]["accounts"])

    def learn(self, rules: Iterable[Rules]) -> None:
        """Take definitions of instruments in."""
        with self.lock:
            for each in rules:
                self.listing.learn(self.tables, each)

    def unknown(self, events: Any) -> set[int]:
        """Instruments that events trade or move and of which no definition is known: learn them before folding."""
        kinds = events["kind"]
        priced = (kinds == words.ACCEPTED) | (kinds == words.TRADE) | (kinds == words.AMENDED)
        priced |= (kinds >= words.SHARES_DEPOSITED) & (kinds <= words.SHARES_WITHDRAWN)
        numbers = np.unique(events["instrument_id"][priced])
        return {int(each) for each in numbers if each and not self.tables.instruments[each]["tick_value"]}

    def fold(self, events: Any, first_sequence: int, time_ns: int) -> None:
        """Take events in: consecutive ones of the log, of one time, that `checking.problem` found good."""
        with self.lock:
            self.tables = with_room(self.tables, len(events))
            self.version += 1
            folding.fold(self.tables, events, first_sequence, time_ns)

    def fold_batches(self, events: Any, ends: Any, first_sequences: Any, times_ns: Any) -> None:
        """Take several batches in at once, as `fold` does one: where each ends among the events, the sequence of its
        first event, and its time."""
        with self.lock:
            self.tables = with_room(self.tables, len(events))
            self.version += 1
            folding.fold_batches(self.tables, events, ends, first_sequences, times_ns)

    def place(self, account_id: int) -> int:
        """Where an account is; -1 if the market has not named it."""
        with self.lock:
            return int(look_up(self.tables.account_places, account_id)) if account_id > 0 else -1

    def view(self, account_id: int, freshness: Freshness, *, lots: bool = True) -> PortfolioView | None:
        """One account in full; None if there is no such account."""
        with self.lock:
            place = self.place(account_id)
            return None if place < 0 else view(self.tables, self.listing, place, freshness, lots=lots)

    def figures(self, places: Any, freshness: Freshness) -> Any:
        """A row of `FIGURES` for each of the accounts at these places."""
        with self.lock:
            return valuate(self.tables, places, freshness, len(self.listing.industries))

    def last_prices(self) -> Any:
        """The price in ticks of every instrument's last trade, by its number; 0 where there was none."""
        with self.lock:
            return self.tables.instruments["last"].copy()

    def holders(self, instrument_id: int) -> Any:
        """Places of accounts that hold some of an instrument."""
        with self.lock:
            return holders(self.tables, instrument_id)

    def set_mid(self, instrument_id: int, mid_ticks: float, time_ns: int) -> None:
        """Note the middle of a book; 0 if it has only one side."""
        with self.lock:
            row: Any = self.tables.instruments[instrument_id]
            moved = row["mid"] != mid_ticks
            row["mid"], row["mid_time_ns"] = mid_ticks, time_ns
            row["moved"] |= moved
            self.version += int(moved)

    def confirm_mids(self, time_ns: int) -> None:
        """Note that the middles are still those of now."""
        with self.lock:
            table = self.tables.instruments
            table["mid_time_ns"][table["mid"] > 0] = time_ns

    def take_touched(self) -> tuple[Any, Any]:
        """Places of accounts that changed and numbers of instruments whose mark moved since it was last asked."""
        with self.lock:
            accounts = self.tables.accounts[: self.accounts]
            touched = np.flatnonzero(accounts["touched"])
            moved = np.flatnonzero(self.tables.instruments["moved"])
            accounts["touched"][touched] = 0
            self.tables.instruments["moved"][moved] = 0
            return touched, moved

    def take_active(self, *, everybody: bool) -> Any:
        """Places of accounts that changed since this was last asked; or of everybody."""
        with self.lock:
            accounts = self.tables.accounts[: self.accounts]
            active = np.arange(self.accounts) if everybody else np.flatnonzero(accounts["active"])
            accounts["active"][active] = 0
            return active

    def take_changes(self) -> Rows:
        """Rows that changed since the last time."""
        with self.lock:
            return changes.take_changes(self.tables)

    def restore(self, rows: Rows, rules: Iterable[Rules]) -> None:
        """Become what rows say, whatever was here before."""
        tables = changes.empty(rows)
        for each in rules:
            self.listing.learn(tables, each)
        self.listing.set_rates(tables)
        changes.restore(tables, rows)
        tables.instruments["changed"] = 0
        with self.lock:
            for name in ("mid", "mid_time_ns"):
                tables.instruments[name] = self.tables.instruments[name]
            self.tables = tables
            self.version += 1


def warm_up(event: np.dtype[Any]) -> None:
    """Compile every kernel for rows of this dtype, or load it from the cache."""
    book = Book(Listing(["CNY"], {}, "CNY"))
    book.learn([Rules(1, "WARM", "CNY", 10_000, True, 300, "None", 1000)])
    events = np.zeros(8, event)
    events["kind"] = [
        words.CASH_DEPOSITED,
        words.SHARES_DEPOSITED,
        words.ACCEPTED,
        words.TRADE,
        words.AMENDED,
        words.REDUCED,
        words.CANCELLED,
        words.DAY_ROLLED,
    ]
    events["account_id"], events["counter_account_id"], events["instrument_id"] = 1, 2, 1
    events["order_id"], events["counter_order_id"], events["side"] = 7, 8, words.BUY
    events["quantity_lots"], events["price_ticks"], events["leaves_lots"], events["required"] = 1, 1, 1, 1
    problem(events)
    book.fold(events, 1, 1)
    folding.fold_batches(book.tables, events[:0], *np.zeros((3, 0), np.int64))
    book.tables = with_room(book.tables, len(book.tables.accounts))
    freshness = Freshness(1, 1, 1)
    book.figures([0], freshness)
    book.view(1, freshness)
    book.holders(1)
    book.restore(changes.all_rows(book.tables), book.listing.rules.values())
