"""Sessions: streams whose silence cancels their orders. They stand sorted by number; there are few, and they change
rarely."""

from __future__ import annotations

from typing import Any

from .accounts import find_account
from .compiled import I64, inner
from .events import refuse_command, say
from .orders import cancel_resting
from .state import account_at, head, order_at, session_at, terms_at
from .words import (
    DISCONNECTED,
    INVALID_ID,
    LIMIT_REACHED,
    NONE,
    SESSION_ENDED,
    SESSION_OPENED,
    SHORTEST_GRACE_NS,
    UNKNOWN_SESSION,
)


@inner
def session_place(b: int, session_id: int) -> int:
    """Row of the first session whose number is not below `session_id`."""
    low = I64(0)
    high = I64(head(b).sessions)
    while low < high:
        middle = (low + high) >> 1
        if session_at(b, middle).session_id < session_id:
            low = middle + 1
        else:
            high = middle
    return low


@inner
def has_session(b: int, session_id: int, account_id: int) -> bool:
    """Whether a session is open and this account's."""
    place = session_place(b, session_id)
    if place == head(b).sessions:
        return False
    session = session_at(b, place)
    return session.session_id == session_id and session.account_id == account_id  # type: ignore[no-any-return]


@inner
def open_session(b: int, command: Any) -> None:
    """SESSION_OPEN."""
    h = head(b)
    session_id = I64(command.session_id)
    if session_id <= 0 or command.grace_ns < SHORTEST_GRACE_NS:
        refuse_command(b, command, INVALID_ID, 0, 0)
        return
    place = session_place(b, session_id)
    known = place < h.sessions and session_at(b, place).session_id == session_id
    if known and session_at(b, place).account_id != command.account_id:
        refuse_command(b, command, UNKNOWN_SESSION, 0, 0)
        return
    if not known:
        if h.sessions >= h.max_sessions:
            refuse_command(b, command, LIMIT_REACHED, 0, 0)
            return
        for later in range(h.sessions, place, -1):
            _copy_session(b, later - 1, later)
        h.sessions += 1
    session = session_at(b, place)
    session.session_id = session_id
    session.account_id = command.account_id
    session.grace_ns = command.grace_ns
    session.last_beat = h.now
    event = say(b, SESSION_OPENED)
    event.account_id = command.account_id
    event.order_id = session_id
    event.request_id = command.request_id


@inner
def beat(b: int, command: Any) -> None:
    """SESSION_BEAT."""
    session_id = I64(command.session_id)
    if not has_session(b, session_id, I64(command.account_id)):
        refuse_command(b, command, UNKNOWN_SESSION, 0, 0)
        return
    session_at(b, session_place(b, session_id)).last_beat = head(b).now


@inner
def end_silent_sessions(b: int) -> None:
    """End the sessions that were silent for longer than their grace, by number, and close the ranks."""
    h = head(b)
    kept = I64(0)
    for place in range(h.sessions):
        session = session_at(b, place)
        if h.now - session.last_beat > session.grace_ns:
            _end_session(b, I64(session.session_id), I64(session.account_id))
        else:
            if kept != place:
                _copy_session(b, place, kept)
            kept += 1
    h.sessions = kept


@inner
def _end_session(b: int, session_id: int, account_id: int) -> None:
    cancelled = I64(0)
    account = find_account(b, account_id)
    slot = I64(NONE) if account == NONE else I64(account_at(b, account).first_order)
    while slot != NONE:
        following = I64(order_at(b, slot).account_next)
        if terms_at(b, slot).session_id == session_id:
            cancel_resting(b, slot, DISCONNECTED, 0)
            cancelled += 1
        slot = following
    event = say(b, SESSION_ENDED)
    event.account_id = account_id
    event.order_id = session_id
    event.quantity_lots = cancelled


@inner
def _copy_session(b: int, source: int, target: int) -> None:
    old = session_at(b, source)
    new = session_at(b, target)
    new.session_id = old.session_id
    new.account_id = old.account_id
    new.grace_ns = old.grace_ns
    new.last_beat = old.last_beat
