"""Which notices take the place of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from notifications.domain.notice import Notice

Key: TypeAlias = tuple[int, str]
"""Account and supersede key."""


@dataclass(frozen=True)
class Newest:
    """The newest notice of a key."""

    notice_id: str
    cause_time: datetime
    withdrawn: bool


def key_of(notice: Notice) -> Key | None:
    """Return what a notice replaces others by; None if it replaces nothing."""
    return (notice.account_id, notice.supersede_key) if notice.supersede_key else None


def newest(notices: Sequence[Notice], stored: Mapping[Key, Newest]) -> dict[Key, Newest]:
    """Return the newest of each key among what is stored and what comes; of two at once the later given."""
    found = dict(stored)
    for notice in notices:
        key = key_of(notice)
        if key is not None and (key not in found or found[key].cause_time <= notice.cause_time):
            found[key] = Newest(notice.notice_id, notice.cause_time, notice.withdrawn)
    return {key: found[key] for notice in notices if (key := key_of(notice)) is not None}


def replaced_by(notice: Notice, newest_of: Mapping[Key, Newest]) -> str:
    """Return why a notice is not sent, or the empty text if it is the newest of its key."""
    key = key_of(notice)
    if key is None or newest_of[key].notice_id == notice.notice_id:
        return ""
    return reason(newest_of[key])


def reason(newer: Newest) -> str:
    """Return the words for what was replaced or withdrawn."""
    return f"{'WITHDRAWN' if newer.withdrawn else 'SUPERSEDED'} by {newer.notice_id}"
