"""From a notice to a phone: decided, sent, received, read back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta

import pytest
from notifications.callbacks.links import unsubscribe_url
from notifications_exchange import ALICE, Exchange, HandClock, a_notice, stamp
from smartex.notifications.v1 import notice_pb2
from smartex.notifications.v1 import notification_service_pb2 as pb
from smartex_standins.fcm import FcmStandin
from smartex_standins.mail import MailStandin
from smartex_standins.wechat import WechatStandin
from waiting import until

Exchanging = Callable[..., AbstractAsyncContextManager[Exchange]]


async def test_an_alert_is_in_wechat_and_in_the_inbox(exchanging: Exchanging) -> None:
    async with exchanging(WechatStandin()) as exchange:
        await exchange.link_wechat()
        before = len(await exchange.phones.shown("wechat"))
        assert not await exchange.send(a_notice())
        messages = await exchange.phones.shown_within("wechat", before + 1)
        assert messages[-1]["person"] == "alice"
        # The phone shows what WeChat's template makes of the fields.
        assert messages[-1]["fields"]["提醒事项"] == "贵州茅台持仓过于集中"
        assert messages[-1]["fields"]["当前数值"] == "62% / 25%"
        (entry,) = (await exchange.inbox()).entries
        assert (entry.title, entry.notice_id) == ("贵州茅台持仓占比 62%", "n-1")


async def test_the_receipt_of_wechat_is_kept_and_the_chain_can_be_read_by_any_id(
    exchanging: Exchanging,
) -> None:
    async with exchanging(WechatStandin()) as exchange:
        await exchange.link_wechat()
        notice = a_notice()
        await exchange.send(notice)

        async def delivered() -> pb.Delivery | None:
            if not (found := await exchange.deliveries("n-1")):
                return None
            (one,) = found
            return one if one.state == pb.DELIVERY_STATE_DELIVERED else None

        delivery: pb.Delivery = await until(delivered, "the receipt")
        (attempt,) = delivery.attempts
        assert (attempt.number, attempt.outcome) == (1, "SENT")
        assert attempt.provider_id
        assert delivery.receipt == "success"
        await exchange.stub.MarkRead(pb.MarkReadRequest(notice_ids=["n-1"]), metadata=exchange.investor())
        for one in (notice.trace_id, "n-1", delivery.delivery_id, "alert-7"):
            chain = await exchange.stub.ListSteps(pb.ListStepsRequest(id=one), metadata=exchange.investor())
            assert chain.trace_id == notice.trace_id
            kinds = [step.kind for step in chain.steps]
            assert [kind for kind in kinds if kind in ("notice", "attempt", "receipt", "read")] == [
                "notice",
                "attempt",
                "receipt",
                "read",
            ], kinds


async def test_the_same_cause_is_told_once(exchanging: Exchanging) -> None:
    async with exchanging(FcmStandin()) as exchange:
        await exchange.add_phone()
        assert not await exchange.send(a_notice())
        assert await exchange.send(a_notice())
        await exchange.ended("n-1")
        assert len(await exchange.phones.shown("fcm")) == 1
        assert len((await exchange.inbox()).entries) == 1


async def test_a_reader_without_addresses_has_the_inbox(exchanging: Exchanging) -> None:
    async with exchanging(FcmStandin()) as exchange:
        await exchange.send(a_notice())
        (delivery,) = await exchange.ended("n-1")
        assert (delivery.state, delivery.state_reason) == (pb.DELIVERY_STATE_SUPPRESSED, "NO_ADDRESS")
        assert len((await exchange.inbox()).entries) == 1


async def test_two_devices_are_reached_and_a_dead_one_is_removed(exchanging: Exchanging) -> None:
    async with exchanging(FcmStandin()) as exchange:
        await exchange.add_phone(person="alice")
        await exchange.add(pb.CHANNEL_FCM, "a-token-that-google-does-not-know")
        await exchange.send(a_notice())
        states = {one.state for one in await exchange.ended("n-1")}
        assert states == {pb.DELIVERY_STATE_SENT, pb.DELIVERY_STATE_DEAD}
        removed = [one for one in await exchange.addresses() if one.state == pb.ADDRESS_STATE_REMOVED]
        assert len(removed) == 1
        assert removed[0].remove_reason.startswith("ADDRESS_GONE")


async def test_a_dead_address_falls_back_on_the_next_channel(exchanging: Exchanging) -> None:
    async with exchanging(FcmStandin(), WechatStandin()) as exchange:
        await exchange.link_wechat()
        await exchange.add(pb.CHANNEL_FCM, "a-token-that-google-does-not-know")
        rule = pb.ChannelRule(kind="*", channels=[pb.CHANNEL_FCM, pb.CHANNEL_WECHAT])
        await exchange.prefer(rules=[rule])
        before = len(await exchange.phones.shown("wechat"))
        await exchange.send(a_notice())
        await exchange.phones.shown_within("wechat", before + 1)
        found = {one.channel: one for one in await exchange.ended("n-1")}
        assert found[pb.CHANNEL_FCM].state == pb.DELIVERY_STATE_DEAD
        assert found[pb.CHANNEL_WECHAT].state in (pb.DELIVERY_STATE_SENT, pb.DELIVERY_STATE_DELIVERED)


async def test_what_waits_is_sent_when_it_is_due_and_what_was_replaced_never(exchanging: Exchanging) -> None:
    clock = HandClock(
        datetime(2026, 3, 28, 22, 0, tzinfo=UTC)
    )  # 23:00 in Berlin, the night the clock is changed
    async with exchanging(FcmStandin(), clock=clock) as exchange:
        await exchange.add_phone()
        quiet = pb.QuietHours(begin="22:00", end="07:00", critical_bypasses=True)
        await exchange.prefer(time_zone="Europe/Berlin", quiet_hours=quiet)
        await exchange.send(a_notice("old", now=clock.now, supersede_key="k"))
        await exchange.send(a_notice("new", now=clock.now + timedelta(seconds=1), supersede_key="k"))
        await exchange.send(
            a_notice("brief", now=clock.now, expire_time=stamp(clock.now + timedelta(hours=1)))
        )
        await exchange.send(a_notice("wakes", now=clock.now, urgency=notice_pb2.URGENCY_CRITICAL))
        await exchange.ended("wakes")
        assert [one.state for one in await exchange.ended("old")] == [pb.DELIVERY_STATE_SUPERSEDED]
        assert [one.state for one in await exchange.ended("brief")] == [pb.DELIVERY_STATE_EXPIRED]
        (waiting,) = await exchange.deliveries("new")
        assert (waiting.state, waiting.state_reason) == (pb.DELIVERY_STATE_WAITING, "QUIET_HOURS until 07:00")
        # 07:00 in Berlin is 05:00 UTC on that morning, an hour earlier than the day before.
        assert waiting.due_time.ToDatetime(UTC) == datetime(2026, 3, 29, 5, 0, tzinfo=UTC)
        assert len(await exchange.phones.shown("fcm")) == 1
        clock.now = datetime(2026, 3, 29, 5, 0, tzinfo=UTC)
        assert [one.state for one in await exchange.ended("new")] == [pb.DELIVERY_STATE_SENT]


async def test_low_urgency_comes_as_one_digest(exchanging: Exchanging) -> None:
    clock = HandClock(datetime(2026, 3, 2, 4, 0, tzinfo=UTC))  # 12:00 in Shanghai
    async with exchanging(FcmStandin(), clock=clock) as exchange:
        await exchange.add_phone()
        await exchange.prefer(digest_times=["15:30"])
        for n in range(3):
            await exchange.send(a_notice(f"low-{n}", now=clock.now, urgency=notice_pb2.URGENCY_LOW))
        assert await exchange.phones.shown("fcm") == []
        clock.now = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
        (message,) = await exchange.phones.shown_within("fcm", 1)
        assert message["title"] == "3 new messages"
        assert message["body"].count("Moutai") == 3
        for n in range(3):
            (delivery,) = await exchange.ended(f"low-{n}")
            assert delivery.state == pb.DELIVERY_STATE_SENT
        assert len(await exchange.phones.shown("fcm")) == 1


async def test_what_was_withdrawn_is_not_sent_and_is_marked_in_the_inbox(exchanging: Exchanging) -> None:
    clock = HandClock(datetime(2026, 3, 2, 18, 0, tzinfo=UTC))  # 02:00 in Shanghai
    async with exchanging(FcmStandin(), clock=clock) as exchange:
        await exchange.add_phone()
        await exchange.prefer(quiet_hours=pb.QuietHours(begin="22:00", end="07:00"))
        await exchange.send(a_notice("n-1", now=clock.now, supersede_key="k"))
        assert (await exchange.inbox()).unread_count == 1
        over = a_notice("n-2", now=clock.now + timedelta(minutes=1), supersede_key="k", withdrawn=True)
        await exchange.send(over)
        (delivery,) = await exchange.ended("n-1")
        assert (delivery.state, delivery.state_reason) == (pb.DELIVERY_STATE_SUPERSEDED, "WITHDRAWN by n-2")
        inbox = await exchange.inbox()
        assert [entry.superseded for entry in inbox.entries] == [True]
        assert inbox.unread_count == 0
        clock.forward(hours=8)
        assert await exchange.phones.shown("fcm") == []


async def test_no_more_than_the_hourly_limit_but_for_what_is_critical(exchanging: Exchanging) -> None:
    clock = HandClock(datetime(2026, 3, 2, 4, 0, tzinfo=UTC))
    async with exchanging(FcmStandin(), clock=clock) as exchange:
        await exchange.add_phone()
        await exchange.prefer(hourly_limit=2)
        for n in range(4):
            await exchange.send(a_notice(f"n-{n}", now=clock.now))
        await exchange.phones.shown_within("fcm", 2)

        async def held() -> bool:
            reasons = [(await exchange.deliveries(f"n-{n}"))[0].state_reason for n in range(4)]
            return reasons.count("HOURLY_LIMIT of 2") == 2

        await until(held, "two messages that are held back")
        await exchange.send(a_notice("critical", now=clock.now, urgency=notice_pb2.URGENCY_CRITICAL))
        assert len(await exchange.phones.shown_within("fcm", 3)) == 3
        clock.forward(hours=1)
        assert len(await exchange.phones.shown_within("fcm", 5)) == 5


async def test_a_mail_can_be_ended_with_one_click(exchanging: Exchanging) -> None:
    async with exchanging(MailStandin()) as exchange:
        await exchange.prefer()
        address = await exchange.verify(
            await exchange.add(pb.CHANNEL_EMAIL, "alice@example.com", label="home"), "mail"
        )
        assert address.state == pb.ADDRESS_STATE_VERIFIED
        assert address.masked == "a…e@example.com"
        assert address.HasField("consent_time")
        await exchange.send(a_notice())
        await exchange.ended("n-1")
        link = unsubscribe_link(exchange, address)
        answer = await exchange.phones.http.get(link)
        assert "Unsubscribe" in answer.text
        assert (await exchange.addresses())[0].state == pb.ADDRESS_STATE_VERIFIED  # GET asks only
        answer = await exchange.phones.http.post(link, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
        (gone,) = await exchange.addresses()
        assert (gone.state, gone.remove_reason) == (pb.ADDRESS_STATE_REMOVED, "UNSUBSCRIBED by its owner")
        answer = await exchange.phones.http.post(link[:-2] + "xx")
        assert answer.status_code == 404


def unsubscribe_link(exchange: Exchange, address: pb.Address) -> str:
    port = exchange.pod.settings.callback_port
    return unsubscribe_url(f"http://127.0.0.1:{port}", exchange.pod.vault, address.address_id)


async def test_somebody_elses_inbox_is_empty_to_us(exchanging: Exchanging) -> None:
    async with exchanging(FcmStandin()) as exchange:
        await exchange.send(a_notice(account=ALICE))
        assert list((await exchange.inbox(account=2)).entries) == []
        chain = await exchange.stub.ListSteps(pb.ListStepsRequest(id="n-1"), metadata=exchange.investor(2))
        assert not chain.trace_id
        assert not chain.steps


@pytest.mark.parametrize("language", ["zh-CN", "en"])
async def test_messages_are_in_the_readers_language(exchanging: Exchanging, language: str) -> None:
    async with exchanging(FcmStandin()) as exchange:
        await exchange.add_phone()
        await exchange.prefer(language=language)
        await exchange.send(a_notice())
        (message,) = await exchange.phones.shown_within("fcm", 1)
        expected = {"zh-CN": "贵州茅台持仓占比 62%", "en": "Moutai is 62% of your account"}
        assert message["title"] == expected[language]
