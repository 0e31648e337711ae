"""Repeats, the window of remembered outcomes, and what it can vouch for."""

from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest
from matching.domain.compiled import INTERPRETED
from matching.domain.idempotency import ORDERS, REQUESTS, bucket_of, id_hash, tag_of
from matching.domain.state import BUCKET_WORD

SECOND = 10**9

calls_kernels = pytest.mark.skipif(not INTERPRETED, reason="compiled, they are not to be called from Python")


def test_a_repeat_gets_the_first_outcome(venue: Any) -> None:
    (first,) = venue.place(1, "buy", 5, 90, client_order_id=7, request_id=3)
    venue.do("CANCEL", account_id=1, client_order_id=7)
    before = venue.core.state_hash()
    (again,) = venue.place(1, "sell", 1, 95, client_order_id=7, create_time_ns=1)
    assert again["kind"] == "REPEATED"
    for name in (
        "order_id",
        "client_order_id",
        "side",
        "price_ticks",
        "quantity_lots",
        "leaves_lots",
        "request_id",
    ):
        assert again[name] == first[name]
    assert "flags" not in again
    assert venue.core.state_hash() != before  # its sequence has moved on
    assert venue.core.open_order_count == 0


def test_a_refusal_is_repeated_with_its_numbers(venue: Any) -> None:
    (first,) = venue.place(1, "buy", 1_000, 99, client_order_id=7)
    venue.fund(1, 10**9)
    (again,) = venue.place(1, "buy", 1_000, 99, client_order_id=7)
    assert (again["kind"], again["flags"], again["reason"]) == ("REPEATED", 2, "INSUFFICIENT_FUNDS")
    assert (again["required"], again["available"]) == (first["required"], first["available"])


def test_accounts_and_spaces_do_not_mix(venue: Any) -> None:
    venue.place(1, "buy", 1, 90, client_order_id=7)
    order = venue.place(2, "buy", 1, 90, client_order_id=7)[0]
    assert order["kind"] == "ACCEPTED"
    assert (
        venue.do("AMEND", account_id=2, request_id=7, client_order_id=7, price_ticks=80)[0]["kind"]
        == "AMENDED"
    )
    assert (
        venue.do("DEPOSIT_CASH", account_id=2, request_id=7, amount_micros=4)[0]["kind"] == "CASH_DEPOSITED"
    )
    (again,) = venue.do("REPLACE", account_id=2, request_id=7, order_id=order["order_id"])
    assert (again["kind"], again["flags"], again["price_ticks"]) == ("REPEATED", 4, 80)
    (again,) = venue.do("WITHDRAW_CASH", account_id=1, request_id=7, amount_micros=9)
    assert (again["kind"], again["required"], again["account_id"]) == ("REPEATED", 4, 2)
    assert "flags" not in again


@pytest.mark.parametrize("fields", [{"client_order_id": 0}, {"create_time_ns": 0}, {"create_time_ns": 2**62}])
def test_what_came_too_late_is_not_remembered(venue: Any, fields: dict[str, int]) -> None:
    venue.place(1, "buy", 1, 90, **{"client_order_id": 7, **fields})
    assert venue.place(1, "buy", 1, 90, client_order_id=7)[0]["kind"] == "ACCEPTED"


def test_the_window_forgets_and_then_refuses_what_is_as_old(new_venue: Any, small_settings: Any) -> None:
    venue = new_venue(replace(small_settings, window=4, skew_ns=SECOND))
    venue.define()
    venue.fund(1, 10**6)
    start = venue.now
    for number in range(1, 5):
        venue.now += 2 * SECOND
        venue.place(1, "buy", 1, 90, client_order_id=number, time_in_force=4)
    assert venue.place(1, "buy", 1, 90, client_order_id=1)[0]["kind"] == "REPEATED"
    venue.now += 2 * SECOND
    venue.place(1, "buy", 1, 90, client_order_id=5)
    # The first outcome, of start + 2 s, has left the window: what was made by start + 3 s may be its repeat.
    late = venue.place(1, "buy", 1, 90, client_order_id=1, create_time_ns=start + 3 * SECOND)
    assert late[0]["reason"] == "REQUEST_TOO_OLD"
    fresh = venue.place(1, "buy", 1, 90, client_order_id=1, create_time_ns=start + 3 * SECOND + 1)
    assert fresh[0]["kind"] == "ACCEPTED"


def test_an_open_order_is_found_however_old(new_venue: Any, small_settings: Any) -> None:
    venue = new_venue(replace(small_settings, window=2))
    venue.define()
    venue.fund(1, 10**6)
    (first,) = venue.place(1, "buy", 5, 90, client_order_id=1)
    for _ in range(50):
        venue.now += 10 * SECOND
        venue.place(1, "buy", 1, 80, time_in_force=4)
    venue.request("AMEND", 1, client_order_id=1, quantity_lots=4)
    (again,) = venue.place(1, "sell", 9, 99, client_order_id=1)
    assert (again["kind"], again["order_id"], again["leaves_lots"]) == ("REPEATED", first["order_id"], 4)
    assert venue.do("CANCEL", account_id=1, client_order_id=1)[0]["kind"] == "CANCELLED"
    assert venue.do("CANCEL", account_id=1, client_order_id=1)[0]["reason"] == "UNKNOWN_ORDER"
    assert venue.place(1, "buy", 1, 90, client_order_id=1)[0]["kind"] == "ACCEPTED"


@pytest.mark.parametrize("step", [1, 3, 8, 1 << 40])
def test_many_ids_in_few_buckets(new_venue: Any, small_settings: Any, step: int) -> None:
    """The table at its fullest: every id that the window holds is found, none that it lost. Ids that follow each other
    share a bucket, those eight and more apart do not."""
    window = 200
    venue = new_venue(replace(small_settings, window=window))
    venue.define()
    venue.fund(1, 10**6)
    for number in range(1, 3 * window):
        venue.now += 3 * SECOND
        placed = venue.place(1, "buy", 1, 90, client_order_id=step * number, time_in_force=4)
        assert placed[0]["kind"] == "ACCEPTED"
    for number in range(2 * window, 3 * window):
        assert venue.place(1, "buy", 1, 90, client_order_id=step * number)[0]["kind"] == "REPEATED"
    then = venue.now - window * 3 * SECOND
    (late,) = venue.place(1, "buy", 1, 90, client_order_id=step * (2 * window - 1), create_time_ns=then)
    assert late["reason"] == "REQUEST_TOO_OLD"


def place_in_table(venue: Any, space: int, account: int, number: int) -> tuple[int, int]:
    """Bucket and tag of an id."""
    base = venue.core._memory.base
    hashed = id_hash(base, space, account, number)
    return int(bucket_of(base, hashed)), int(tag_of(hashed))


@calls_kernels
def test_accounts_whose_entries_look_alike_get_their_own_outcomes(
    new_venue: Any, small_settings: Any
) -> None:
    venue = new_venue(replace(small_settings, window=4))
    venue.define()
    found: dict[tuple[int, int], int] = {}
    for other in count(1):
        one = found.setdefault(place_in_table(venue, ORDERS, other, 7), other)
        if one != other:
            break
    orders = {}
    for account in (one, other):
        venue.fund(account, 10**6)
        (placed,) = venue.place(account, "buy", 1, 90, client_order_id=7)
        assert placed["kind"] == "ACCEPTED"
        orders[account] = placed["order_id"]
    for _ in range(10):  # while the window holds their outcomes, and when they have outlived it
        for account, order in orders.items():
            (again,) = venue.place(account, "buy", 1, 90, client_order_id=7)
            assert (again["kind"], again["account_id"], again["order_id"]) == ("REPEATED", account, order)
        venue.now += 10 * SECOND
        venue.place(one, "buy", 1, 80, time_in_force=4)
    for account in (other, one):
        (gone,) = venue.do("CANCEL", account_id=account, client_order_id=7)
        assert (gone["kind"], gone["order_id"]) == ("CANCELLED", orders[account])
        assert venue.do("CANCEL", account_id=account, client_order_id=7)[0]["kind"] == "CANCEL_REJECTED"


@calls_kernels
def test_an_order_and_a_request_whose_entries_look_alike_are_two(venue: Any) -> None:
    alike = (
        each
        for each in count(1)
        if place_in_table(venue, ORDERS, 1, each) == place_in_table(venue, REQUESTS, 1, each)
    )
    number = next(alike)
    venue.place(1, "buy", 5, 90, client_order_id=number)
    ids = {"client_order_id": number, "request_id": number}
    assert venue.do("AMEND", account_id=1, quantity_lots=4, **ids)[0]["kind"] == "AMENDED"
    assert venue.place(1, "buy", 5, 90, client_order_id=number)[0]["quantity_lots"] == 5
    assert venue.do("AMEND", account_id=1, quantity_lots=3, **ids)[0]["quantity_lots"] == 4


def test_where_an_id_lies_is_a_secret_and_no_part_of_the_state(new_venue: Any) -> None:
    cores = []
    for _ in range(2):
        venue = new_venue()
        venue.define()
        venue.fund(1, 10**6)
        venue.place(1, "buy", 1, 90, client_order_id=5)
        cores.append(venue.core)
    one, other = (core._memory.table("buckets", BUCKET_WORD, 16 << 4)["value"] for core in cores)
    assert np.count_nonzero(one) == np.count_nonzero(other) == 2
    assert one.tolist() != other.tolist()  # the same bucket and tag for both ids: once in four million
    assert cores[0].state_hash() == cores[1].state_hash()
