"""Which ids were used before, and what came of them: a ring of outcomes, and a table that finds them.

The table is made of buckets of one cache line: a counter and fifteen entries of 32 bits, each a tag of eight bits and a
place of 24. So a look-up of an id that was never used costs one cache line, which `frame.py` asks for ahead of time; on
a tag that is equal by chance (one in 127) the outcome itself is compared. An entry that finds its bucket full goes to
the next one and is counted in those that it passed, so a search knows when to go on.

An entry leads to an outcome in the ring, or, when that has left the window while its order is still open, to the
order.
"""

from __future__ import annotations

from typing import Any

from .compiled import I64, U64, clear, hot, inner, lowest_bit, prefetch, tag_matches
from .events import said, say
from .state import (
    BUCKETS_OFFSET,
    account_at,
    bucket_word_at,
    head,
    level_at,
    order_at,
    outcome_age_at,
    outcome_at,
    terms_at,
)
from .words import (
    FIRST_AMEND,
    FIRST_REJECTED,
    NONE,
    OK,
    REPEATED,
    REQUEST_FROM_FUTURE,
    REQUEST_TOO_OLD,
    SLOT_MASK,
)

ORDERS, REQUESTS = 0, 1
"""The two id spaces."""
OPEN_ORDER = 128
"""Bit of an entry's tag: it leads to an order instead of an outcome."""
WORDS = 16
OUTLIVED_MARK = 2
PLACED, PLACE_REFUSED, CHANGED, CHANGE_REFUSED, MOVED, MOVE_REFUSED = 1, 2, 3, 4, 5, 6
"""Kinds of outcomes: of PLACE, of AMEND and REPLACE, of deposits and withdrawals."""


@hot
def id_hash(b: int, space: int, account_id: int, number: int) -> int:
    """Spread an id over 64 bits, so that eight ids that follow each other have a bucket in common.

    A secret of this process goes in: clients choose their ids, and whoever could compute where they come to lie could
    fill one stretch of the table, which everybody's look-ups would have to walk. Where an entry lies is no part of the
    state, so pods may differ in it.

    Most accounts count their ids up. Each bucket is then brought from memory once for eight of them, when they come and
    when they leave the window, instead of eight times. Their last three bits make the tags differ.
    """
    mixed = (U64(number) >> U64(3)) * U64(0x9E3779B97F4A7C15)
    mixed ^= (U64(account_id) * U64(2) + U64(space)) * U64(0xD6E8FEB86659FD93)
    mixed += U64(head(b).id_secret)
    mixed ^= mixed >> U64(32)
    mixed *= U64(0xD6E8FEB86659FD93)
    mixed ^= mixed >> U64(29)
    return mixed ^ (U64(number) << U64(61))


@hot
def bucket_of(b: int, hashed: int) -> int:
    """Bucket where the search for an id begins."""
    return I64(hashed & ((U64(1) << U64(head(b).bucket_bits)) - U64(1)))


@hot
def next_bucket(b: int, bucket: int) -> int:
    """The bucket after."""
    return (bucket + 1) & ((1 << head(b).bucket_bits) - 1)  # type: ignore[no-any-return]


@hot
def tag_of(hashed: int) -> int:
    """Seven bits of an id, never 0: that is an empty entry."""
    tag = I64(hashed >> U64(57))
    return tag if tag != 0 else I64(1)


@hot
def bucket_tags(b: int, bucket: int, tag: int) -> int:
    """Places of a tag in a bucket, as bits."""
    return tag_matches(b + BUCKETS_OFFSET + bucket * 64, tag)


@hot
def find_outcome(b: int, hashed: int, space: int, account_id: int, number: int) -> int:
    """Place in the ring of an id's outcome, or NONE."""
    bucket = bucket_of(b, hashed)
    tag = tag_of(hashed)
    while True:
        matches = bucket_tags(b, bucket, tag)
        while matches != U64(0):
            place = I64(bucket_word_at(b, bucket * WORDS + lowest_bit(matches)).value) & SLOT_MASK
            outcome = outcome_at(b, place)
            if outcome.number == number and _is_of(outcome, space, account_id):
                return place
            matches &= matches - U64(1)
        if bucket_word_at(b, bucket * WORDS).value == 0:
            return NONE
        bucket = next_bucket(b, bucket)


@hot
def _is_of(outcome: Any, space: int, account_id: int) -> bool:
    """Whether an outcome is of an id space and account. Deposits and withdrawals count as account 0's."""
    if (outcome.kind > PLACE_REFUSED) != (space == REQUESTS):
        return False
    if outcome.kind >= MOVED:
        return account_id == 0
    return outcome.account_id == account_id  # type: ignore[no-any-return]


@hot
def find_outlived_order(b: int, hashed: int, account_id: int, number: int) -> int:
    """Slot of an open order whose outcome has left the window, or NONE."""
    bucket = bucket_of(b, hashed)
    tag = tag_of(hashed) | OPEN_ORDER
    while True:
        matches = bucket_tags(b, bucket, tag)
        while matches != U64(0):
            slot = I64(bucket_word_at(b, bucket * WORDS + lowest_bit(matches)).value) & SLOT_MASK
            order = order_at(b, slot)
            if order.client_order_id == number and account_at(b, I64(order.account)).account_id == account_id:
                return slot
            matches &= matches - U64(1)
        if bucket_word_at(b, bucket * WORDS).value == 0:
            return NONE
        bucket = next_bucket(b, bucket)


@hot
def find_client_order(b: int, account_id: int, number: int) -> int:
    """Slot of the open order that its owner calls `number`, or NONE."""
    hashed = id_hash(b, ORDERS, account_id, number)
    place = find_outcome(b, hashed, ORDERS, account_id, number)
    if place == NONE:
        return find_outlived_order(b, hashed, account_id, number)
    outcome = outcome_at(b, place)
    slot = outcome.order_id & SLOT_MASK
    if outcome.order_id == 0 or order_at(b, slot).order_id != outcome.order_id:
        return NONE
    return I64(slot)


@hot
def check_time(b: int, create_time: int) -> int:
    """Refuse a request that is older than the window can vouch for, or not yet made."""
    h = head(b)
    if create_time <= 0 or create_time <= h.floor + h.skew_ns:
        return REQUEST_TOO_OLD
    if create_time > h.now + h.skew_ns:
        return REQUEST_FROM_FUTURE
    return OK


@hot
def remember(b: int, hashed: int, kind: int, number: int, other: int, event_index: int) -> None:
    """Keep an outcome, said as an event of this frame, in place of the oldest one. Exactly one of `leaves` and
    `required` counts in any outcome, so they share a field."""
    h = head(b)
    place = I64(h.ring_place)
    if h.outcomes >= h.window:
        _forget(b, place)
    h.outcomes += 1
    h.ring_place = place + 1 if place + 1 < h.window else 0
    event = said(b, event_index)
    outcome = outcome_at(b, place)
    clear(outcome)
    outcome.number = number
    outcome.other = other
    outcome.order_id = event.order_id
    outcome.price = event.price_ticks
    outcome.quantity = event.quantity_lots
    outcome.first = event.leaves_lots + event.required
    outcome.second = event.available
    outcome.account_id = event.account_id
    outcome.side = event.side
    outcome.kind = kind
    outcome.reason = event.reason
    age = outcome_age_at(b, place)
    age.time = h.now
    age.instrument_id = event.instrument_id
    _add_entry(b, hashed, (tag_of(hashed) << 24) | place)


@inner
def hash_of_outcome(b: int, place: int) -> int:
    """The hash that an outcome of the ring is found by."""
    outcome = outcome_at(b, place)
    account_id = I64(outcome.account_id) if outcome.kind < MOVED else I64(0)
    space = I64(ORDERS) if outcome.kind <= PLACE_REFUSED else I64(REQUESTS)
    return id_hash(b, space, account_id, I64(outcome.number))


@hot
def ask_for_outcomes(b: int, near: int, far: int) -> None:
    """Have brought into cache what `remember` will write to in some commands, and, once the window is full, what
    `_forget` will need before: without it, each new outcome waits for memory. The old outcome comes first; its bucket
    and order follow from it.
    """
    h = head(b)
    prefetch(outcome_at(b, _place_after(b, far)))
    prefetch(outcome_age_at(b, _place_after(b, far)))
    if h.outcomes + far < h.window:
        return
    place = _place_after(b, near)
    prefetch(bucket_word_at(b, bucket_of(b, hash_of_outcome(b, place)) * WORDS))
    prefetch(order_at(b, I64(outcome_at(b, place).order_id & SLOT_MASK)))


@hot
def _place_after(b: int, steps: int) -> int:
    """The place in the ring that is filled so many outcomes from now."""
    h = head(b)
    place = I64(h.ring_place + steps)
    return I64(place if place < h.window else place % h.window)


@inner
def _forget(b: int, place: int) -> None:
    """An outcome leaves the window. If its order is still open, the entry leads to the order from now on."""
    h = head(b)
    time = outcome_age_at(b, place).time
    if time > h.floor:
        h.floor = time
    outcome = outcome_at(b, place)
    hashed = hash_of_outcome(b, place)
    entry = (tag_of(hashed) << 24) | place
    slot = I64(outcome.order_id & SLOT_MASK)
    if outcome.kind == PLACED and order_at(b, slot).order_id == outcome.order_id:
        order = order_at(b, slot)
        order.marks = order.marks | OUTLIVED_MARK
        _find_entry(b, hashed, entry).value = ((tag_of(hashed) | OPEN_ORDER) << 24) | slot
    else:
        _remove_entry(b, hashed, entry)


@inner
def forget_open_order(b: int, account_id: int, number: int, slot: int) -> None:
    """An order that outlived its outcome is done: its id may be used again."""
    hashed = id_hash(b, ORDERS, account_id, number)
    _remove_entry(b, hashed, ((tag_of(hashed) | OPEN_ORDER) << 24) | slot)


@hot
def _add_entry(b: int, hashed: int, entry: int) -> None:
    bucket = bucket_of(b, hashed)
    while True:
        free = bucket_tags(b, bucket, 0) & ~U64(1)
        if free != U64(0):
            bucket_word_at(b, bucket * WORDS + lowest_bit(free)).value = entry
            return
        bucket_word_at(b, bucket * WORDS).value += 1
        bucket = next_bucket(b, bucket)


@inner
def _find_entry(b: int, hashed: int, entry: int) -> Any:
    """An entry that is there."""
    bucket = bucket_of(b, hashed)
    while True:
        matches = bucket_tags(b, bucket, entry >> 24)
        while matches != U64(0):
            word = bucket_word_at(b, bucket * WORDS + lowest_bit(matches))
            if word.value == entry:
                return word
            matches &= matches - U64(1)
        bucket = next_bucket(b, bucket)


@inner
def _remove_entry(b: int, hashed: int, entry: int) -> None:
    bucket = bucket_of(b, hashed)
    while True:
        matches = bucket_tags(b, bucket, entry >> 24)
        while matches != U64(0):
            word = bucket_word_at(b, bucket * WORDS + lowest_bit(matches))
            if word.value == entry:
                word.value = 0
                return
            matches &= matches - U64(1)
        bucket_word_at(b, bucket * WORDS).value -= 1
        bucket = next_bucket(b, bucket)


@inner
def repeat_outcome(b: int, place: int) -> None:
    """Answer an id that was used before with its first outcome."""
    outcome = outcome_at(b, place)
    event = say(b, REPEATED)
    is_order = outcome.kind <= PLACE_REFUSED
    event.account_id = outcome.account_id
    event.instrument_id = outcome_age_at(b, place).instrument_id
    event.order_id = outcome.order_id
    event.client_order_id = outcome.number if is_order else outcome.other
    event.request_id = outcome.other if is_order else outcome.number
    event.side = outcome.side
    event.price_ticks = outcome.price
    event.quantity_lots = outcome.quantity
    event.reason = outcome.reason
    event.available = outcome.second
    if outcome.kind == PLACED or outcome.kind == CHANGED:
        event.leaves_lots = outcome.first
    else:
        event.required = outcome.first
    flags = I64(0)
    if outcome.kind == PLACE_REFUSED or outcome.kind == CHANGE_REFUSED or outcome.kind == MOVE_REFUSED:
        flags += FIRST_REJECTED
    if outcome.kind == CHANGED or outcome.kind == CHANGE_REFUSED:
        flags += FIRST_AMEND
    event.flags = flags


@inner
def repeat_open_order(b: int, slot: int) -> None:
    """Answer the id of an open order whose outcome has left the window with the order as it stands."""
    order = order_at(b, slot)
    event = say(b, REPEATED)
    event.account_id = account_at(b, I64(order.account)).account_id
    event.instrument_id = order.instrument
    event.order_id = order.order_id
    event.client_order_id = order.client_order_id
    event.side = order.side
    event.price_ticks = level_at(b, I64(order.level)).price
    event.quantity_lots = terms_at(b, slot).quantity
    event.leaves_lots = order.leaves


@inner
def rebuild_entries(b: int) -> None:
    """Make the table anew from ring and orders; it must be empty."""
    h = head(b)
    for place in range(min(h.outcomes, h.window)):
        hashed = hash_of_outcome(b, place)
        _add_entry(b, hashed, (tag_of(hashed) << 24) | place)
    for slot in range(h.slots_used):
        order = order_at(b, slot)
        if order.order_id != 0 and order.marks & OUTLIVED_MARK:
            owner = I64(account_at(b, I64(order.account)).account_id)
            hashed = id_hash(b, ORDERS, owner, I64(order.client_order_id))
            _add_entry(b, hashed, ((tag_of(hashed) | OPEN_ORDER) << 24) | slot)
