"""Providers that fail, over their real protocols: the message arrives all the same, and once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from notifications_exchange import Exchange, a_notice
from smartex.notifications.v1 import notice_pb2
from smartex.notifications.v1 import notification_service_pb2 as pb
from smartex_standins.apns import ApnsStandin
from smartex_standins.standin import Standin
from smartex_standins.wechat import WechatStandin
from waiting import until

Exchanging = Callable[..., AbstractAsyncContextManager[Exchange]]
SENT = (pb.DELIVERY_STATE_SENT, pb.DELIVERY_STATE_DELIVERED)


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
