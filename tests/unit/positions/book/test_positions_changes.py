"""A book that is written and read back goes on as if nothing had been; and what must not be folded is not."""

from __future__ import annotations

import zlib
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from positions.domain.book import changes, words
from positions.domain.book.changes import Rows
from positions.domain.book.checking import problem
from positions.domain.book.compiled import INTERPRETED, LARGEST, LARGEST_SUM, part_of, product, total
from positions.domain.book.hashing import find, new_map, put, take
from positions.domain.book.packing import Unreadable, layout, pack, unpack
from positions.domain.book.valuing import Freshness
from positions_books import EVENT, event
from positions_flows import ACCOUNTS, INSTRUMENTS, equal, flow, world

WHOLE = st.integers(0, 2**62)


def called(function: Any) -> Any:
    """What only kernels call, for Python."""
    return function if INTERPRETED else numba.njit(function)


@called
def part(amount: int, share: int, size: int) -> int:
    return part_of(amount, share, size)


@called
def times(one: int, two: int, three: int) -> int:
    return product(one, two, three)


@called
def plus(one: int, two: int) -> int:
    return total(one, two)


@called
def look(cells: Any, key: int) -> int:
    return find(cells, key)


@called
def add(cells: Any, key: int, place: int) -> None:
    put(cells, key, place)


@called
def remove(cells: Any, key: int) -> None:
    take(cells, key)


class Kept:
    """A plain table of what was written."""

    def __init__(self) -> None:
        self.accounts: dict[int, Any] = {}
        self.holdings: dict[int, Any] = {}
        self.orders: dict[int, Any] = {}
        self.instruments: dict[int, Any] = {}

    def write(self, rows: Rows) -> None:
        self.header = rows.header
        for gone in rows.gone.tolist():
            self.orders.pop(gone, None)
        self.accounts |= dict(
            zip(rows.account_places.tolist(), zip(rows.accounts, rows.cash, strict=True), strict=True)
        )
        ends = np.cumsum(rows.holdings["lot_count"])
        lots = [rows.lots[end - one["lot_count"] : end] for one, end in zip(rows.holdings, ends, strict=True)]
        self.holdings |= dict(
            zip(rows.holding_places.tolist(), zip(rows.holdings, lots, strict=True), strict=True)
        )
        self.orders |= {int(row["order_id"]): row for row in rows.orders}
        self.instruments |= dict(zip(rows.instrument_numbers.tolist(), rows.instruments, strict=True))

    def rows(self, like: Rows) -> Rows:
        accounts = [self.accounts[place] for place in sorted(self.accounts)]
        holdings = [self.holdings[place] for place in sorted(self.holdings)]
        return like._replace(
            header=self.header,
            account_places=np.arange(len(accounts)),
            accounts=np.array([row for row, _ in accounts], like.accounts.dtype),
            cash=np.array([cash for _, cash in accounts]),
            holding_places=np.arange(len(holdings)),
            holdings=np.array([row for row, _ in holdings], like.holdings.dtype),
            lots=np.concatenate([lots for _, lots in holdings]),
            orders=np.array(list(self.orders.values()), like.orders.dtype),
            instrument_numbers=np.array(list(self.instruments)),
            instruments=np.array(list(self.instruments.values()), like.instruments.dtype),
        )


@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(1, 200), min_size=1, max_size=4))
@settings(max_examples=12, deadline=None)
def test_a_book_read_back_at_any_moment_goes_on_the_same(seed: int, cuts: list[int]) -> None:
    events = flow(seed, 250)
    whole, broken, kept = world(), world(), Kept()
    whole.fold(events, 1, 10)
    edges = [0, *sorted(set(cuts)), len(events)]
    for begin, end in pairwise(edges):
        broken.fold(events[begin:end], begin + 1, 10)
        kept.write(broken.take_changes())
        again = world()
        again.restore(kept.rows(changes.all_rows(broken.tables)), again.listing.rules.values())
        equal(changes.all_rows(again.tables), changes.all_rows(broken.tables))
        broken = again
    equal(changes.all_rows(broken.tables), changes.all_rows(whole.tables))


def test_nothing_is_told_twice() -> None:
    book = world()
    book.fold(flow(1, 100), 1, 10)
    assert len(book.take_changes().accounts) == ACCOUNTS
    again = book.take_changes()
    assert [len(part) for part in again[1:]] == [0] * 11


def test_money_is_conserved() -> None:
    book = world()
    events = flow(3, 300)
    book.fold(events, 1, 10)
    rows = changes.all_rows(book.tables)
    deposited = int(events["required"][events["kind"] == words.CASH_DEPOSITED].sum())
    fees = int(events["fee_micros"].sum() + events["tax_micros"].sum())
    assert int(rows.cash[:, 0].sum()) == deposited - fees
    assert int(rows.holdings["quantity"].sum()) == ACCOUNTS * INSTRUMENTS * 10_000


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"kind": words.TRADE, "instrument_id": 65_536}, "instrument_id above"),
        ({"kind": words.CASH_DEPOSITED, "account_id": 1, "currency_id": 16}, "currency_id"),
        ({"kind": words.TRADE, "instrument_id": 1, "account_id": 1}, "without counter_account_id"),
        ({"kind": words.TRADE, "quantity_lots": -1}, "quantity_lots outside"),
        ({"kind": words.ACCEPTED, "instrument_id": 1, "account_id": 1}, "without order_id"),
        ({"kind": words.ACCEPTED, "instrument_id": 1, "account_id": 1, "order_id": 1}, "without a side"),
        ({"kind": words.SHARES_DEPOSITED, "instrument_id": 1}, "without account_id"),
    ],
)
def test_events_that_would_lead_a_kernel_astray_are_named(fields: dict[str, int], why: str) -> None:
    good = flow(1, 20)
    assert problem(good[good["order_id"] == 0][:3]) == ""
    assert why in problem(np.concatenate([good[:3], event(**fields)]))


def test_rejections_may_hold_anything() -> None:
    assert problem(event(2, instrument_id=10**6, quantity_lots=-5, side=9)) == "an instrument_id above 65535"
    assert problem(event(24, instrument_id=10**6, quantity_lots=-5)) == ""


@given(amount=WHOLE, size=st.integers(1, 2**62), share=st.floats(0, 1))
@settings(deadline=None)
def test_a_part_is_exact_over_the_whole_range(amount: int, size: int, share: float) -> None:
    some = min(size, int(size * share))
    assert part(amount, some, size) == amount * some // size


@given(WHOLE, WHOLE, WHOLE)
@settings(deadline=None)
def test_products_are_exact_or_cut(one: int, two: int, three: int) -> None:
    exact = one * two * three
    found = times(one, two, three)
    assert found == (exact if exact < LARGEST * 0.999 else min(found, LARGEST))
    assert exact < LARGEST * 1.001 or found == LARGEST


@given(st.integers(-LARGEST_SUM, LARGEST_SUM), st.integers(-LARGEST_SUM, LARGEST_SUM))
@settings(deadline=None)
def test_sums_are_exact_or_cut(one: int, two: int) -> None:
    found = plus(one, two)
    assert found == one + two or (abs(one + two) > LARGEST_SUM * 0.999 and abs(found) <= LARGEST_SUM)


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=200))
@settings(deadline=None)
def test_a_map_is_a_dict(steps: list[tuple[int, bool]]) -> None:
    cells, plain = new_map(40), dict[int, int]()
    for at, (number, adds) in enumerate(steps):
        key = number * 2**40  # keys that crowd
        if adds and key not in plain:
            add(cells, key, at)
            plain[key] = at
        elif not adds and key in plain:
            remove(cells, key)
            del plain[key]
    for number in range(1, 41):
        assert look(cells, number * 2**40) == plain.get(number * 2**40, -1)


def test_the_dtype_of_events_has_what_kernels_read() -> None:
    assert {"kind", "order_id", "counter_leaves_lots", "tax_micros"} <= set(EVENT.names or ())


@given(seed=st.integers(0, 2**32), cut=st.integers(0, 250))
@settings(max_examples=12, deadline=None)
def test_a_book_that_was_packed_goes_on_the_same(seed: int, cut: int) -> None:
    events = flow(seed, 250)
    whole = world()
    whole.fold(events[:cut], 1, 10)
    again = world()
    again.restore(unpack(pack(changes.all_rows(whole.tables))), again.listing.rules.values())
    for book in (whole, again):
        book.fold(events[cut:], cut + 1, 20)
    equal(changes.all_rows(again.tables), changes.all_rows(whole.tables))
    freshness = Freshness(20, -(2**62), 2**62)
    for account in range(1, ACCOUNTS + 1):
        assert again.view(account, freshness) == whole.view(account, freshness)


@given(cut=st.integers(0, 10_000), more=st.booleans())
@settings(max_examples=30, deadline=None)
def test_bytes_that_are_no_book_are_refused(cut: int, more: bool) -> None:
    plain = zlib.decompress(PACKED)
    for bad in (
        PACKED[: cut % len(PACKED)],
        zlib.compress(plain + b"x" if more else plain[: cut % len(plain)]),
        zlib.compress(b"\xff" * 8 + plain[8:]),
    ):
        with pytest.raises(Unreadable):
            unpack(bad)


def test_a_layout_is_bound_to_what_sums_are_in() -> None:
    assert layout({"USD": 7.1}, "CNY") == layout({"USD": 7.1}, "CNY")
    assert len({layout({"USD": 7.1}, "CNY"), layout({"USD": 7.2}, "CNY"), layout({"USD": 7.1}, "USD")}) == 3


def packed() -> bytes:
    book = world()
    book.fold(flow(1, 100), 1, 10)
    return pack(changes.all_rows(book.tables))


PACKED = packed()
