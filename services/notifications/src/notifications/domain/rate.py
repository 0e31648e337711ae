"""How many messages a reader gets on a channel in an hour."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from notifications.domain.sending import Urgency

WINDOW: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Pace:
    """What was sent to a reader on a channel within the last hour: how many, and when the first of them."""

    count: int = 0
    first_time: datetime | None = None

    def with_one_more(self, now: datetime) -> Pace:
        """Return the pace after another message."""
        return replace(self, count=self.count + 1, first_time=self.first_time or now)


def wait_until(pace: Pace, urgency: Urgency, hourly_limit: int) -> datetime | None:
    """Return when there is room again; None if there is room now, as there always is for what is critical."""
    if urgency is Urgency.CRITICAL or pace.count < hourly_limit or pace.first_time is None:
        return None
    return pace.first_time + WINDOW
