"""What is found in the past of a log: noted with its own time, told once if it still stands, and else not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
from positions.alerting.watch import _latency
from positions.intake import Intake, Read
from positions_books import DAY_ROLLED, cash, event, shares, trade

HOUR = 3600 * 10**9
DAY = 24 * HOUR


async def alerts(desk: Any) -> list[Any]:
    found: list[Any] = await desk.database.fetch(
        "SELECT * FROM positions.alerts WHERE account_id = 7 ORDER BY number"
    )
    return found


def observed() -> float:
    (metric,) = _latency.collect()
    return next(one.value for one in metric.samples if one.name.endswith("_count"))


async def test_what_began_and_ended_in_the_past_is_noted_and_not_told(desk: Any) -> None:
    before = observed()
    await desk.feed(cash(7, 40_000), shares(7, 1, 5000), cash(8, 500_000), past_ns=DAY)
    await desk.feed(trade(8, 7, 1, 1000, 4100), past_ns=DAY - HOUR)
    await desk.catch_up()
    (alert,) = await alerts(desk)
    assert (alert["state"], alert["told_severity"]) == (3, 0)
    assert (alert["raise_time_ns"], alert["clear_time_ns"]) == (desk.now_ns - DAY, desk.now_ns - DAY + HOUR)
    assert await desk.notices() == []
    assert observed() == before


async def test_what_began_in_the_past_and_stands_is_told_once(desk: Any) -> None:
    before = observed()
    await desk.feed(cash(7, 55_000), shares(7, 1, 4500), past_ns=3 * DAY)
    assert await desk.notices() == []
    await desk.catch_up()
    await desk.catch_up()
    (alert,) = await alerts(desk)
    (notice,) = await desk.notices()
    assert notice.notice_id == f"alert:{alert['alert_id']}:2"
    assert notice.trace_id == alert["trace_id"]
    assert notice.cause_time.ToNanoseconds() == alert["raise_time_ns"] == desk.now_ns - 3 * DAY
    assert notice.expire_time.ToNanoseconds() == desk.now_ns + DAY
    assert observed() == before
    # The reader's patience begins when it is told.
    slow = next(one for one in desk.oversight._timed() if one.name == "value-at-risk").work
    await slow()
    assert len(await desk.notices()) == 1
    desk.now_ns += HOUR
    await slow()
    assert [one.notice_id[-2:] for one in await desk.notices()] == [":2", ":3"]


async def test_what_was_not_told_before_a_kill_is_told_after_the_next_start(desk: Any) -> None:
    await desk.feed(cash(7, 55_000), shares(7, 1, 4500), past_ns=DAY)
    await desk.oversight.load()
    await desk.catch_up()
    await desk.oversight.load()
    await desk.catch_up()
    assert len(await desk.notices()) == 1


async def test_what_was_told_and_got_worse_unseen_is_told_again(desk: Any) -> None:
    await desk.feed(cash(7, 55_000), shares(7, 1, 4500), cash(8, 500_000))
    desk.now_ns += DAY
    await desk.feed(shares(7, 1, 3000), past_ns=HOUR)
    assert len(await desk.notices()) == 1
    await desk.catch_up()
    first, second = await desk.notices()
    assert [first.notice_id[-2:], second.notice_id[-2:]] == [":2", ":3"]
    assert second.cause_time.ToNanoseconds() == desk.now_ns - HOUR
    # Over in a later outage: what still waits of it is withdrawn.
    await desk.feed(trade(8, 7, 1, 1000, 7000), past_ns=HOUR // 2)
    assert [one.withdrawn for one in await desk.notices()] == [False, False, True]


async def test_what_ends_with_the_marks_of_now_is_not_told(desk: Any) -> None:
    await desk.feed(cash(7, 60_000), shares(7, 1, 4500), past_ns=DAY)  # 42.9 % by the marks of then
    desk.book.set_mid(1, 700.0, desk.now_ns)
    await desk.catch_up()
    assert {one["kind"]: one["state"] for one in await alerts(desk)}["concentration"] == 3
    assert "positions.concentration" not in {one.kind for one in await desk.notices()}


async def test_days_that_are_read_at_once_keep_their_own_closes(desk: Any) -> None:
    intake = Intake(desk.book, 0, DAY, DAY)
    days = [
        [shares(8, 1, 900), trade(7, 8, 1, 1010, 100)],
        [event(DAY_ROLLED, available=2), trade(7, 8, 1, 1020, 200)],
        [event(DAY_ROLLED, available=3), trade(7, 8, 1, 1030, 300)],
    ]
    at = 1
    for day, rows in enumerate(days):
        intake.fold_one(Read(np.concatenate(rows), at, desk.now_ns + day * DAY), at)
        at += len(rows)
    batch = intake.take()
    async with desk.database.transaction() as connection:
        await desk.oversight.look(
            connection, batch.pieces, batch.touched, batch.moved, behind=True, closes=batch.closes
        )
    found = await desk.database.fetch("SELECT date, price FROM positions.daily_closes ORDER BY date")
    assert [round(one["price"], 2) for one in found] == [10.10, 10.20]
    assert (found[1]["date"] - found[0]["date"]).days == 1
