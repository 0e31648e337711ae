"""A night through the whole engine on a simulated clock: with and without a change of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from engine_works import Scripted, Works
from notifications.domain.notice import State
from notifications.domain.preferences import Preferences, QuietHours
from notifications.domain.sending import ChannelKind, Failed, Message
from smartex.notifications.v1 import notice_pb2 as pb

STEP = timedelta(minutes=30)
NIGHTS = [
    # Zone, 20:00 on the evening before, 07:00 and 08:30 the next morning, all in UTC.
    # The clock goes from 02:00 to 03:00: UTC+1 before, UTC+2 after. 07:00 is 05:00.
    pytest.param(
        "Europe/Berlin", "2026-03-28T19:00", "2026-03-29T05:00", "2026-03-29T06:30", id="berlin-spring"
    ),
    # From 03:00 back to 02:00: UTC+2 before, UTC+1 after. 07:00 is 06:00.
    pytest.param(
        "Europe/Berlin", "2026-10-24T18:00", "2026-10-25T06:00", "2026-10-25T07:30", id="berlin-autumn"
    ),
    # UTC-5 before, UTC-4 after: 07:00 is 11:00.
    pytest.param(
        "America/New_York", "2026-03-08T01:00", "2026-03-08T11:00", "2026-03-08T12:30", id="york-spring"
    ),
    # UTC-4 before, UTC-5 after: 07:00 is 12:00.
    pytest.param(
        "America/New_York", "2026-11-01T00:00", "2026-11-01T12:00", "2026-11-01T13:30", id="york-autumn"
    ),
    # UTC+8 always.
    pytest.param("Asia/Shanghai", "2026-03-28T12:00", "2026-03-28T23:00", "2026-03-29T00:30", id="shanghai"),
]


@pytest.mark.parametrize(("zone", "evening", "waking", "digest"), NIGHTS)
async def test_a_night(works: Any, zone: str, evening: str, waking: str, digest: str) -> None:
    sent_at: dict[str, list[datetime]] = {}

    async def note(message: Message) -> None:
        name = message.data["notice_id"] if message.kind != "notifications.digest" else "digest"
        sent_at.setdefault(name, []).append(made.clock.now)

    channel = Scripted(ChannelKind.FCM, on_send=note)
    made: Works = await works(channel)
    made.clock.now = _utc(evening)
    await made.reach(1, ChannelKind.FCM)
    await made.prefer(
        1, Preferences("en", zone, QuietHours(time(22, 0), time(7, 0)), digest_times=(time(8, 30),))
    )

    await _until(made, _utc(evening) + timedelta(hours=1))
    await made.tell(made.notice("evening", urgency=pb.URGENCY_NORMAL))  # 21:00, not quiet yet
    await _until(made, _utc(evening) + timedelta(hours=3))
    short = made.notice("short", urgency=pb.URGENCY_HIGH)  # 23:00, of use until 02:00
    short.expire_time.FromDatetime(made.clock.now + timedelta(hours=3))
    await made.tell(
        made.notice("normal", urgency=pb.URGENCY_NORMAL),
        made.notice("high", urgency=pb.URGENCY_HIGH),
        made.notice("low-1", urgency=pb.URGENCY_LOW),
        made.notice("older", supersede_key="alert"),
        short,
    )
    await _until(made, _utc(evening) + timedelta(hours=5))  # 01:00
    await made.tell(
        made.notice("wakes", urgency=pb.URGENCY_CRITICAL),
        made.notice("newer", supersede_key="alert"),
        made.notice("low-2", urgency=pb.URGENCY_LOW),
    )
    await _until(made, _utc(digest) + STEP)

    assert sent_at == {
        "evening": [_utc(evening) + timedelta(hours=1)],
        "wakes": [_utc(evening) + timedelta(hours=5)],
        "normal": [_utc(waking)],
        "high": [_utc(waking)],
        "newer": [_utc(waking)],
        "digest": [_utc(digest)],
    }
    ends = {row["notice_id"]: (State(row["state"]), row["state_reason"]) for row in await made.deliveries()}
    assert ends["older"] == (State.SUPERSEDED, "SUPERSEDED by newer")
    assert ends["short"] == (State.EXPIRED, "EXPIRED before it may be sent: QUIET_HOURS until 07:00")
    assert ends["low-1"][0] == ends["low-2"][0] == State.SENT
    listing = channel.sent[-1][1]
    assert listing.title == "2 new messages"
    assert listing.body.count("Moutai") == 2


async def _until(made: Works, then: datetime) -> None:
    """Let the time pass in small steps, so that what is sent is sent when it was due."""
    await made.later()
    while made.clock.now < then:
        await made.later(minutes=min(STEP, then - made.clock.now) / timedelta(minutes=1))


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("urgency", "hours", "shown", "state"),
    [
        pytest.param(pb.URGENCY_NORMAL, 0, 2, State.SENT, id="while-the-provider-drops-repeats"),
        pytest.param(pb.URGENCY_NORMAL, 9, 1, State.DEAD, id="after-the-night"),
        pytest.param(pb.URGENCY_HIGH, 9, 2, State.SENT, id="what-presses"),
    ],
)
async def test_what_may_have_been_sent_is_repeated_only_while_its_provider_drops_repeats(
    works: Any, urgency: int, hours: int, shown: int, state: State
) -> None:
    wechat = Scripted(ChannelKind.WECHAT, [Failed("TIMEOUT", maybe_sent=True)], idempotent=True)
    made: Works = await works(wechat)
    made.clock.now = _utc("2026-03-02T13:59:59")  # a second before the quiet hours in Shanghai
    async with made.database.transaction() as connection:
        scene = await made.addresses.make_scene(1)
        await made.addresses.link(connection, "openid-1", scene.text)
    quiet = QuietHours(time(22, 0), time(7, 0)) if hours else None
    await made.prefer(1, Preferences("en", "Asia/Shanghai", quiet))
    await made.tell(made.notice("alert", urgency=urgency))
    await made.later()
    await made.later(seconds=2)
    await made.later(hours=hours)
    [row] = await made.deliveries()
    assert (State(row["state"]), len(wechat.sent)) == (state, shown)
    assert hours == 0 or state is State.SENT or row["state_reason"].startswith("MAYBE_SENT")


async def test_a_digest_that_may_have_been_sent_is_not_sent_in_pieces(works: Any) -> None:
    wechat = Scripted(ChannelKind.WECHAT, [Failed("TIMEOUT", maybe_sent=True)], idempotent=True)
    made: Works = await works(wechat)
    async with made.database.transaction() as connection:
        scene = await made.addresses.make_scene(1)
        await made.addresses.link(connection, "openid-1", scene.text)
    quiet = QuietHours(time(8, 31), time(20, 0))
    await made.prefer(1, Preferences("en", "Asia/Shanghai", quiet, digest_times=(time(8, 30),)))
    made.clock.now = _utc("2026-03-01T23:00")
    long = [made.notice(f"low-{number}", urgency=pb.URGENCY_LOW) for number in (1, 2, 3)]
    for notice in long:
        notice.expire_time.FromDatetime(made.clock.now + timedelta(days=3))
    await made.tell(*long)
    made.clock.now = _utc("2026-03-02T00:30:59.9")
    await made.later()
    assert len(wechat.sent) == 1
    await made.later(seconds=1)
    await made.later(hours=12)
    await made.later(hours=24)
    assert len(wechat.sent) == 1
    assert {row["state"] for row in await made.deliveries()} == {State.DEAD}
