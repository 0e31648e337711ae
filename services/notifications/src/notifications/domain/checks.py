"""The last look before a message is sent: much may have changed while it waited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from notifications.domain.decide import awake
from notifications.domain.notice import State
from notifications.domain.preferences import Preferences
from notifications.domain.rate import Pace, wait_until
from notifications.domain.sending import Urgency


@dataclass(frozen=True)
class Candidate:
    """A delivery that is due."""

    kind: str
    urgency: Urgency
    expire_time: datetime
    replaced_by: str = ""
    direct: bool = False
    """Asked for by the reader just now (a code): sent whatever the hour."""
    address_usable: bool = True
    too_late_to_repeat: bool = False
    """It may have been sent, and would now be shown twice."""


@dataclass(frozen=True)
class Hold:
    """Why a delivery is not sent now, and until when it waits if it does."""

    state: State
    reason: str
    due_time: datetime | None = None


def hold(candidate: Candidate, preferences: Preferences, pace: Pace, now: datetime) -> Hold | None:
    """Return what keeps a delivery from being sent at `now`; None if nothing does."""
    if candidate.replaced_by:
        return Hold(State.SUPERSEDED, candidate.replaced_by)
    if candidate.expire_time <= now:
        return Hold(State.EXPIRED, "EXPIRED before it could be sent")
    if not candidate.address_usable:
        return Hold(State.SUPPRESSED, "ADDRESS_REMOVED")
    if candidate.too_late_to_repeat:
        return Hold(State.DEAD, "MAYBE_SENT, and too late to repeat it")
    if candidate.direct:
        return None
    if candidate.urgency is not Urgency.CRITICAL and preferences.rule(candidate.kind).muted:
        return Hold(State.SUPPRESSED, "MUTED since it was decided")
    return _later(candidate, preferences, pace, now)


def _later(candidate: Candidate, preferences: Preferences, pace: Pace, now: datetime) -> Hold | None:
    timing = awake(candidate.urgency, preferences, now)
    due, why = timing.due_time, timing.reason
    room = wait_until(pace, candidate.urgency, preferences.hourly_limit)
    if room is not None and room > due:
        due, why = room, f"HOURLY_LIMIT of {preferences.hourly_limit}"
    if due <= now:
        return None
    if due >= candidate.expire_time:
        return Hold(State.EXPIRED, f"EXPIRED before it may be sent: {why}")
    return Hold(State.WAITING, why, due)
