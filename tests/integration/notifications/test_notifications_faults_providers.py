"""Providers that fail, over their real protocols: the message arrives all the same, and once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import pytest
from engine_works import Scripted, Works
from notifications.domain.notice import State
from notifications.domain.preferences import ChannelRule, Preferences
from notifications.domain.sending import ChannelKind
from notifications.engine.sweeping import CHANNEL_GONE
from notifications.store.queue import Queue
from notifications_exchange import Exchange, a_notice
from smartex.notifications.v1 import notice_pb2
from smartex.notifications.v1 import notification_service_pb2 as pb
from smartex_standins.apns import ApnsStandin
from smartex_standins.standin import Standin
from smartex_standins.wechat import WechatStandin
from waiting import until

Exchanging = Callable[..., AbstractAsyncContextManager[Exchange]]
SENT = (pb.DELIVERY_STATE_SENT, pb.DELIVERY_STATE_DELIVERED)
FCM, EMAIL = ChannelKind.FCM, ChannelKind.EMAIL


async def ready(exchange: Exchange, standin: Standin) -> int:
    """Let alice be reached; returns how many messages her phone shows already."""
    if standin.name == "wechat":
        await exchange.link_wechat()
    else:
        told = await exchange.phones.address(standin.name)
        await exchange.add(pb.CHANNEL_APNS, told["value"])
    return len(await exchange.phones.shown(standin.name))


@pytest.mark.parametrize(
    ("standin", "switches"),
    [
        (WechatStandin, {"down": 1}),
        (WechatStandin, {"server_error": 2}),
        (WechatStandin, {"token_expired": 1}),
        (ApnsStandin, {"down": 1}),
        (ApnsStandin, {"rate_limited": 1}),
        (ApnsStandin, {"slow_seconds": 0.7}),
    ],
)
async def test_a_fault_that_passes_costs_no_message_and_doubles_none(
    exchanging: Exchanging, standin: Callable[[], Standin], switches: dict[str, float]
) -> None:
    one = standin()
    async with exchanging(one) as exchange:
        before = await ready(exchange, one)
        await exchange.phones.faults(one.name, **switches)
        await exchange.send(a_notice())
        (delivery,) = await exchange.ended("n-1", 60)
        assert delivery.state in SENT, delivery
        assert len(await exchange.phones.shown(one.name)) == before + 1
        assert delivery.attempts[-1].outcome == "SENT"
        assert all(attempt.outcome for attempt in delivery.attempts)


async def test_a_quota_that_is_used_up_is_waited_for(exchanging: Exchanging) -> None:
    async with exchanging(WechatStandin()) as exchange:
        before = await ready(exchange, WechatStandin())
        await exchange.phones.faults("wechat", rate_limited=1)
        await exchange.send(a_notice())

        async def waiting() -> bool:
            (one,) = await exchange.deliveries("n-1")
            return (
                one.state == pb.DELIVERY_STATE_WAITING and len(one.attempts) == 1 and one.state_reason != ""
            )

        await until(waiting, "the retry")
        (delivery,) = await exchange.deliveries("n-1")
        assert delivery.state_reason == f"RETRY after {delivery.attempts[0].outcome}"
        assert "RATE_LIMITED" in delivery.state_reason
        # WeChat's quota is the day's: nobody asks again within seconds.
        assert delivery.due_time.seconds - delivery.attempts[0].time.seconds >= 60
        assert len(await exchange.phones.shown("wechat")) == before


async def test_where_the_provider_drops_repeats_a_cut_connection_doubles_nothing(
    exchanging: Exchanging,
) -> None:
    async with exchanging(WechatStandin()) as exchange:
        before = await ready(exchange, WechatStandin())
        await exchange.phones.faults("wechat", cut_after_send=1)
        await exchange.send(a_notice(urgency=notice_pb2.URGENCY_NORMAL))
        (delivery,) = await exchange.ended("n-1", 60)
        assert delivery.state in SENT
        assert [one.maybe_sent for one in delivery.attempts] == [True, False]
        assert len(await exchange.phones.shown("wechat")) == before + 1


async def test_where_it_does_not_what_presses_comes_at_most_twice(exchanging: Exchanging) -> None:
    async with exchanging(ApnsStandin()) as exchange:
        before = await ready(exchange, ApnsStandin())
        await exchange.phones.faults("apns", cut_after_send=True)
        await exchange.send(a_notice(urgency=notice_pb2.URGENCY_CRITICAL))
        (delivery,) = await exchange.ended("n-1", 60)
        assert delivery.state == pb.DELIVERY_STATE_DEAD
        assert [one.maybe_sent for one in delivery.attempts] == [True, True]
        # The second replaces the first on the device, by its collapse id.
        assert len(await exchange.phones.shown("apns")) <= before + 2


# -- a channel that was taken out of the settings


async def test_what_waits_for_a_channel_that_is_gone_ends_with_a_reason(works: Any) -> None:
    before: Works = await works(Scripted(FCM), Scripted(EMAIL), start=False)
    await before.reach(1, FCM, EMAIL)
    await before.reach(2, FCM)
    rules = (ChannelRule("*", (FCM, EMAIL)),)
    await before.prefer(1, Preferences(rules=rules))
    await before.tell(before.notice("moves", 1), before.notice("ends", 2), before.notice("expired", 2))
    await before.database.execute(
        "UPDATE notifications.deliveries SET expire_time = due_time + interval '1 s' WHERE notice_id = 'expired'"
    )
    after: Works = await works(Scripted(EMAIL), start=False)
    assert await after.engine.sweeper.end_orphans() == 0  # another pod may have the channel
    after.clock.advance(seconds=31)
    assert await after.engine.sweeper.end_orphans() == 3
    assert await after.engine.sweeper.end_orphans() == 0
    gone = {row["notice_id"]: row for row in await after.deliveries() if row["channel"] == FCM}
    assert {name: (row["state"], row["state_reason"]) for name, row in gone.items()} == {
        "moves": (State.DEAD, f"{CHANNEL_GONE}; then on email"),
        "ends": (State.DEAD, CHANNEL_GONE),
        "expired": (State.EXPIRED, "EXPIRED before it could be sent"),
    }
    (moved,) = [row for row in await after.deliveries("moves") if row["channel"] == EMAIL]
    assert (moved["state"], moved["state_reason"]) == (State.WAITING, "FALLBACK from fcm")


@pytest.mark.parametrize(("urgency", "moves"), [(notice_pb2.URGENCY_HIGH, 1), (notice_pb2.URGENCY_NORMAL, 0)])
async def test_what_was_being_sent_on_a_channel_that_is_gone_may_have_been(
    works: Any, urgency: int, moves: int
) -> None:
    before: Works = await works(Scripted(FCM), Scripted(EMAIL), start=False)
    await before.reach(1, FCM, EMAIL)
    await before.prefer(1, Preferences(rules=(ChannelRule("*", (FCM, EMAIL)),)))
    await before.tell(before.notice("n1", urgency=urgency))
    (row,) = await before.deliveries()
    queue = Queue(before.database, "one", timedelta(seconds=30))
    async with before.database.transaction() as connection:
        await queue.begin(connection, [row["delivery_id"]], [], before.clock())
    after: Works = await works(Scripted(EMAIL), start=False)
    after.clock.advance(seconds=61)
    assert await after.engine.sweeper.end_orphans() == 1
    ended, *moved = await after.deliveries()
    assert ended["state"] == State.DEAD
    assert ended["state_reason"].startswith(f"MAYBE_SENT, {CHANNEL_GONE}")
    assert [one["channel"] for one in moved] == [EMAIL] * moves
