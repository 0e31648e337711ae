"""Quiet hours and times of the day in the reader's zone, also on the days when the clock is changed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from notifications.domain.preferences import QuietHours


def moment(day: date, clock: time, zone: ZoneInfo, *, last: bool = False) -> datetime:
    """Return when it is that time of that day in the zone, in UTC.

    A time that the clock skips: the moment of the change. One that comes twice: the first, or the `last`.
    """
    local = datetime.combine(day, clock, tzinfo=zone)
    first, second = (local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    if first > second:
        # Only in a gap does the earlier offset give the later moment (PEP 495).
        return _change(second, first, zone)
    return second if last else first


def quiet_until(now: datetime, quiet: QuietHours, zone: ZoneInfo) -> datetime | None:
    """Return when the quiet hours end that hold at `now`; None if none do.

    They last from the first time that it is `begin` until the last time that it is `end`: a night on which
    the clock is set back is one quiet time, not two with a noise between.
    """
    today = now.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        begin, end = _night(day, quiet, zone)
        if begin <= now < end:
            return end
    return None


def next_time(now: datetime, clocks: Iterable[time], zone: ZoneInfo) -> datetime:
    """Return the first moment after `now` at which it is one of these times of the day."""
    today = now.astimezone(zone).date()
    times = list(clocks)
    moments = [moment(today + timedelta(days=ahead), clock, zone) for ahead in range(3) for clock in times]
    return min(one for one in moments if one > now)


def _night(day: date, quiet: QuietHours, zone: ZoneInfo) -> tuple[datetime, datetime]:
    end_day = day if quiet.begin < quiet.end else day + timedelta(days=1)
    return moment(day, quiet.begin, zone), moment(end_day, quiet.end, zone, last=True)


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The moment between two at which the zone's offset changes, to the second."""
    offset = before.astimezone(zone).utcoffset()
    low, high = before, after
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high
