"""Quiet hours and times of the day, also on the days when the clock is changed.

Europe/Berlin 2026: on 29 March 02:00 becomes 03:00 (UTC+1 to +2), on 25 October 03:00 becomes 02:00.
America/New_York 2026: on 8 March 02:00 becomes 03:00 (UTC-5 to -4), on 1 November 02:00 becomes 01:00.
Asia/Shanghai has had UTC+8 all the time since 1991.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notifications.domain.preferences import QuietHours
from notifications.domain.quiet import moment, next_time, quiet_until

BERLIN, NEW_YORK, SHANGHAI = (ZoneInfo(n) for n in ("Europe/Berlin", "America/New_York", "Asia/Shanghai"))
NIGHT = QuietHours(time(22), time(7))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "zone", "end"),
    [
        ("2026-03-02T13:59", SHANGHAI, None),  # 21:59
        ("2026-03-02T14:00", SHANGHAI, "2026-03-02T23:00"),  # 22:00 until 07:00 of the next day
        ("2026-03-02T22:59", SHANGHAI, "2026-03-02T23:00"),  # 06:59
        ("2026-03-02T23:00", SHANGHAI, None),  # 07:00
        # The short night: 22:00 is at UTC+1, 07:00 at UTC+2, so it lasts 8 hours.
        ("2026-03-28T21:00", BERLIN, "2026-03-29T05:00"),
        ("2026-03-29T04:59", BERLIN, "2026-03-29T05:00"),
        ("2026-03-29T05:00", BERLIN, None),
        # The long night: 22:00 is at UTC+2, 07:00 at UTC+1: 10 hours.
        ("2026-10-24T20:00", BERLIN, "2026-10-25T06:00"),
        ("2026-10-25T05:59", BERLIN, "2026-10-25T06:00"),
        ("2026-03-08T03:00", NEW_YORK, "2026-03-08T11:00"),  # 22:00 at UTC-5, 07:00 at UTC-4
        ("2026-11-01T02:00", NEW_YORK, "2026-11-01T12:00"),  # 22:00 at UTC-4, 07:00 at UTC-5
    ],
)
def test_a_night_lasts_until_its_end_on_the_readers_clock(now: str, zone: ZoneInfo, end: str | None) -> None:
    assert quiet_until(utc(now), NIGHT, zone) == (utc(end) if end else None)


def test_an_end_that_the_clock_skips_is_the_moment_of_the_change() -> None:
    # 02:30 does not exist; at 01:00 UTC the clock goes from 02:00 to 03:00.
    assert quiet_until(utc("2026-03-29T00:30"), QuietHours(time(23), time(2, 30)), BERLIN) == utc(
        "2026-03-29T01:00"
    )


def test_a_begin_that_the_clock_skips_is_the_moment_of_the_change() -> None:
    quiet = QuietHours(time(2, 30), time(6))
    assert quiet_until(utc("2026-03-29T00:59"), quiet, BERLIN) is None
    assert quiet_until(utc("2026-03-29T01:00"), quiet, BERLIN) == utc("2026-03-29T04:00")


def test_an_hour_that_comes_twice_is_quiet_from_its_first_begin_to_its_last_end() -> None:
    # From the first 02:00 (00:00 UTC) to the second 02:30 (01:30 UTC), with the set-back at 01:00 UTC between.
    quiet = QuietHours(time(2), time(2, 30))
    for now in ("2026-10-25T00:00", "2026-10-25T00:45", "2026-10-25T01:10"):
        assert quiet_until(utc(now), quiet, BERLIN) == utc("2026-10-25T01:30")
    assert quiet_until(utc("2026-10-25T01:30"), quiet, BERLIN) is None


def test_quiet_hours_by_day_do_not_pass_midnight() -> None:
    lunch = QuietHours(time(12), time(13))
    assert quiet_until(utc("2026-07-01T10:30"), lunch, BERLIN) == utc("2026-07-01T11:00")
    assert quiet_until(utc("2026-07-01T22:30"), lunch, BERLIN) is None


@pytest.mark.parametrize(
    ("now", "clocks", "zone", "due"),
    [
        ("2026-03-02T00:00", ["08:30"], SHANGHAI, "2026-03-02T00:30"),
        ("2026-03-02T00:30", ["08:30"], SHANGHAI, "2026-03-03T00:30"),  # after, never at once
        ("2026-03-02T05:00", ["08:30", "15:30"], SHANGHAI, "2026-03-02T07:30"),
        # The day after the change the same time of the day is an hour earlier in UTC.
        ("2026-03-28T08:00", ["08:30"], BERLIN, "2026-03-29T06:30"),
        ("2026-10-24T08:00", ["08:30"], BERLIN, "2026-10-25T07:30"),
        ("2026-03-29T00:00", ["02:30"], BERLIN, "2026-03-29T01:00"),  # skipped: at the change
        ("2026-10-31T07:00", ["01:30"], NEW_YORK, "2026-11-01T05:30"),  # twice: the first
        ("2026-11-01T05:30", ["01:30"], NEW_YORK, "2026-11-02T06:30"),  # and only the first
    ],
)
def test_the_next_time_of_the_day(now: str, clocks: list[str], zone: ZoneInfo, due: str) -> None:
    assert next_time(utc(now), [time.fromisoformat(clock) for clock in clocks], zone) == utc(due)


ZONES = st.sampled_from(
    [BERLIN, NEW_YORK, SHANGHAI, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Pacific/Apia")]
)
CLOCKS = st.times().map(lambda clock: clock.replace(second=0, microsecond=0))
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)


@given(MOMENTS, CLOCKS, CLOCKS, ZONES)
def test_what_waits_for_the_end_is_awake_there(now: datetime, begin: time, end: time, zone: ZoneInfo) -> None:
    if begin == end:
        return
    quiet = QuietHours(begin, end)
    until = quiet_until(now, quiet, zone)
    if until is not None:
        assert now < until <= now + timedelta(hours=26)
        assert quiet_until(until, quiet, zone) is None or _touching(quiet)


def _touching(quiet: QuietHours) -> bool:
    """On the day of a change, hours that almost fill the day may run into the next ones."""
    length = (quiet.end.hour * 60 + quiet.end.minute - quiet.begin.hour * 60 - quiet.begin.minute) % 1440
    return length > 1440 - 125


@given(MOMENTS, st.lists(CLOCKS, min_size=1, max_size=4), ZONES)
def test_the_next_time_comes_within_two_days(now: datetime, clocks: list[time], zone: ZoneInfo) -> None:
    assert timedelta(0) < next_time(now, clocks, zone) - now <= timedelta(hours=50)


@given(st.dates(date(2024, 1, 1), date(2028, 1, 1)), CLOCKS, ZONES)
def test_a_time_that_exists_is_that_time(day: date, clock: time, zone: ZoneInfo) -> None:
    local = moment(day, clock, zone).astimezone(zone)
    if local.time().replace(tzinfo=None) != clock:
        # It was skipped: a minute before it was still before the gap.
        assert (moment(day, clock, zone) - timedelta(seconds=1)).astimezone(
            zone
        ).utcoffset() != local.utcoffset()
