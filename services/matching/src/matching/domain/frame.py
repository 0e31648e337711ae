"""The flow of a frame: everything that the market does begins here."""

from __future__ import annotations

from typing import Any

import numpy as np

from .balances import move_balance
from .changing import amend, cancel, mass_cancel
from .compiled import I64, U64, entry, hot, inner, lowest_bit, prefetch
from .days import clock, roll_day
from .events import refuse_command
from .idempotency import (
    ORDERS,
    REQUESTS,
    WORDS,
    ask_for_outcomes,
    bucket_of,
    bucket_tags,
    id_hash,
    tag_of,
)
from .instruments import define, set_reference_price, set_trading_state
from .operating import cancel_orders, set_account_state
from .placing import place
from .sessions import beat, open_session
from .state import (
    COMMAND,
    INSTRUMENT,
    WORD,
    bucket_word_at,
    command_at,
    definition_at,
    head,
    order_at,
    outcome_at,
    scratch_at,
    word_at,
)
from .words import (
    AMEND,
    CANCEL,
    CANCEL_ORDERS,
    CHECKPOINT,
    CLOCK,
    DEPOSIT_CASH,
    INVALID_COMMAND,
    MASS_CANCEL,
    PLACE,
    REPLACE,
    ROLL_DAY,
    SESSION_BEAT,
    SESSION_OPEN,
    SET_ACCOUNT_STATE,
    SET_REFERENCE_PRICE,
    SET_TRADING_STATE,
    SLOT_MASK,
    WITHDRAW_SHARES,
)

Rows = np.ndarray[Any, np.dtype[np.void]]
_DEFINITION_BYTES = INSTRUMENT.itemsize
_COMMAND_BYTES = COMMAND.itemsize
_COMMAND_WORDS = COMMAND.itemsize // WORD.itemsize
_WORDS_OF_A_LINE = 64 // WORD.itemsize
_NEXT = 2
_NEAR = 6
_AHEAD = 12
"""Commands between asking for a cache line and needing it: long enough for memory to answer, short enough to stay
cached."""
_FAR_AHEAD = 64
"""The same for the commands themselves, which must be there when they are looked at ahead."""
_NOTES = 7
"""Mask of the places for notes about commands that are looked at ahead, at the start of the scratch table."""

NOT_IN_ONE_PIECE = -1


@entry
def apply_frame(
    b: int,
    frame: Rows,
    definitions: int,
    definition_count: int,
    time_ns: int,
    events: int,
    cuts: int,
    cut_count: int,
) -> int:
    """Apply a frame; how many events it brought about, or NOT_IN_ONE_PIECE and nothing has changed.

    Definitions and events are given by their addresses. Or apply many frames that lie one behind the other: `cuts` is
    the address of as many pairs, where each ends and its time. The events are then those of the last one.
    """
    count = len(frame)
    if count > 1 and frame.strides[0] != _COMMAND_BYTES:
        return NOT_IN_ONE_PIECE
    commands = I64(frame.ctypes.data)
    h = head(b)
    h.events_address = events
    if cut_count == 0:
        _apply_all(b, commands, I64(count), definitions, definition_count, time_ns)
    begin = I64(0)
    for cut in range(cut_count):
        end = I64(word_at(cuts, I64(2 * cut)).value)
        time = I64(word_at(cuts, I64(2 * cut + 1)).value)
        _apply_all(b, I64(commands + begin * _COMMAND_BYTES), I64(end - begin), I64(0), I64(0), time)
        begin = end
    return I64(h.events)


@inner
def _apply_all(
    b: int, commands: int, count: int, definitions: int, definition_count: int, time_ns: int
) -> None:
    """Definitions first, then the commands in order."""
    h = head(b)
    h.now = max(h.now, time_ns)
    h.events = 0
    h.command_index = 0
    for index in range(definition_count):
        define(b, definitions + index * _DEFINITION_BYTES, definition_at(definitions, index))
        h.command_index += 1
    for index in range(min(_AHEAD, count)):
        _ask_for_ids(b, commands, I64(index))
    for index in range(count):
        _ask_for_command(commands, I64(index + _FAR_AHEAD))
        if index + _AHEAD < count:
            _ask_for_ids(b, commands, I64(index + _AHEAD))
        if index + _NEAR < count:
            _ask_for_outcome(b, commands, I64(index + _NEAR))
        _ask_for_order(b, I64(index + _NEXT))
        ask_for_outcomes(b, I64(_NEAR), I64(_AHEAD))
        _apply(b, commands, I64(index))
        h.command_index += 1
    h.sequence += h.events


@hot
def _apply(b: int, commands: int, index: int) -> None:
    command = command_at(commands, index)
    kind = command.kind
    if kind == PLACE:
        place(b, command)
    elif kind == CANCEL:
        cancel(b, command)
    elif kind == AMEND or kind == REPLACE:
        amend(b, command)
    elif kind == MASS_CANCEL:
        mass_cancel(b, command)
    elif kind == CLOCK:
        clock(b)
    elif kind == SESSION_OPEN:
        open_session(b, command)
    elif kind == SESSION_BEAT:
        beat(b, command)
    elif kind == SET_TRADING_STATE:
        set_trading_state(b, command)
    elif kind == SET_REFERENCE_PRICE:
        set_reference_price(b, command)
    elif kind == ROLL_DAY:
        roll_day(b, command)
    elif DEPOSIT_CASH <= kind <= WITHDRAW_SHARES:
        move_balance(b, command)
    elif kind == CANCEL_ORDERS:
        cancel_orders(b, command)
    elif kind == SET_ACCOUNT_STATE:
        set_account_state(b, command)
    elif kind != CHECKPOINT:
        refuse_command(b, command, INVALID_COMMAND, 0, 0)


@hot
def _ask_for_command(commands: int, index: int) -> None:
    """Have a coming command brought into cache, all three lines that it may lie in: the middle one too costs a tenth of
    the time of a frame that comes from memory. Behind the end of the frame there may be nothing, which does no harm."""
    first_word = index * _COMMAND_WORDS
    prefetch(word_at(commands, I64(first_word)))
    prefetch(word_at(commands, I64(first_word + _WORDS_OF_A_LINE)))
    prefetch(word_at(commands, I64(first_word + _COMMAND_WORDS)))


@hot
def _ask_for_ids(b: int, commands: int, index: int) -> None:
    """Have the bucket of a coming command's id brought into cache: without it, each id waits for memory."""
    command = command_at(commands, index)
    account_id = I64(command.account_id)
    if command.kind == AMEND or command.kind == REPLACE:
        hashed = id_hash(b, REQUESTS, account_id, I64(command.request_id))
        prefetch(bucket_word_at(b, bucket_of(b, hashed) * WORDS))
    hashed = id_hash(b, ORDERS, account_id, I64(command.client_order_id))
    prefetch(bucket_word_at(b, bucket_of(b, hashed) * WORDS))


@hot
def _ask_for_outcome(b: int, commands: int, index: int) -> None:
    """The bucket has come by now: have the outcome brought that tells where the order of a cancel or change is. Its
    place is noted, for `_ask_for_order` to have the order itself brought."""
    command = command_at(commands, index)
    if CANCEL <= command.kind <= REPLACE and command.order_id <= 0:
        hashed = id_hash(b, ORDERS, I64(command.account_id), I64(command.client_order_id))
        bucket = bucket_of(b, hashed)
        matches = bucket_tags(b, bucket, tag_of(hashed))
        if matches != U64(0):
            place = I64(bucket_word_at(b, bucket * WORDS + lowest_bit(matches)).value) & SLOT_MASK
            prefetch(outcome_at(b, place))
            scratch_at(b, index & _NOTES).value = place


@hot
def _ask_for_order(b: int, index: int) -> None:
    """The outcome has come by now: have the order of a cancel or change brought. For other commands it is the one noted
    last that comes again, which costs less than to ask what kind they are of."""
    place = scratch_at(b, index & _NOTES).value & SLOT_MASK
    prefetch(order_at(b, I64(outcome_at(b, place).order_id & SLOT_MASK)))
