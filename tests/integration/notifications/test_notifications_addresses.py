"""Addresses: proved by a code, sealed at rest, masked, removed; and nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import grpc
import pytest
from notifications.domain.sending import ChannelKind
from notifications_exchange import ALICE, BOB, Exchange, HandClock, a_notice
from refusals import reason, violations
from smartex.notifications.v1 import notification_service_pb2 as pb
from smartex_standins.fcm import FcmStandin
from smartex_standins.mail import MailStandin
from smartex_standins.sms import SmsStandin
from smartex_standins.webhook import WebhookStandin
from smartex_standins.wechat import WechatStandin
from smartex_standins.wecom import WecomStandin

Exchanging = Callable[..., AbstractAsyncContextManager[Exchange]]
NUMBER = "+8613800000001"


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as found:
        await call
    return found.value


def verifying(exchange: Exchange, address: pb.Address, code: str, account: int = ALICE) -> Any:
    request = pb.VerifyAddressRequest(address_id=address.address_id, code=code)
    return exchange.stub.VerifyAddress(request, metadata=exchange.investor(account))


async def test_a_number_is_proved_by_the_code_that_came_there(exchanging: Exchanging) -> None:
    async with exchanging(SmsStandin()) as exchange:
        address = await exchange.add(pb.CHANNEL_SMS, NUMBER, label="phone")
        assert address.state == pb.ADDRESS_STATE_UNVERIFIED
        assert not address.HasField("consent_time")
        assert NUMBER[4:-4] not in address.masked
        # Nothing else goes there before.
        await exchange.send(a_notice())
        assert [one.state for one in await exchange.ended("n-1")] == [pb.DELIVERY_STATE_SUPPRESSED]
        verified = await exchange.verify(address, "sms")
        assert verified.state == pb.ADDRESS_STATE_VERIFIED
        await exchange.send(a_notice("n-2"))
        (delivery,) = await exchange.ended("n-2")
        assert delivery.state in (pb.DELIVERY_STATE_SENT, pb.DELIVERY_STATE_DELIVERED)


async def test_five_wrong_codes_end_it(exchanging: Exchanging) -> None:
    async with exchanging(SmsStandin()) as exchange:
        address = await exchange.add(pb.CHANNEL_SMS, NUMBER)
        for _ in range(5):
            error = await refused(verifying(exchange, address, "abcdef"))
            assert (reason(error), error.code()) == ("CODE_WRONG", grpc.StatusCode.FAILED_PRECONDITION)
        with pytest.raises(grpc.aio.AioRpcError) as found:
            await exchange.verify(address, "sms")
        assert reason(found.value) == "CODE_EXPIRED"


async def test_a_code_works_for_ten_minutes_and_another_can_be_had(exchanging: Exchanging) -> None:
    clock = HandClock(datetime.now(UTC))
    async with exchanging(SmsStandin(), clock=clock) as exchange:
        address = await exchange.add(pb.CHANNEL_SMS, NUMBER)
        await exchange.phones.shown_within("sms", 1)
        clock.forward(minutes=10)
        with pytest.raises(grpc.aio.AioRpcError) as found:
            await exchange.verify(address, "sms")
        assert reason(found.value) == "CODE_EXPIRED"
        again = await exchange.add(pb.CHANNEL_SMS, NUMBER)
        assert again.address_id == address.address_id
        await exchange.phones.shown_within("sms", 2)
        assert (await exchange.verify(again, "sms")).state == pb.ADDRESS_STATE_VERIFIED


async def test_nobodys_phone_is_flooded_with_codes(exchanging: Exchanging) -> None:
    clock = HandClock(datetime.now(UTC))
    async with exchanging(SmsStandin(), clock=clock) as exchange:
        for _ in range(3):
            await exchange.add(pb.CHANNEL_SMS, NUMBER)  # within a minute: one code
        assert len(await exchange.deliveries()) == 1
        for _ in range(19):
            clock.forward(seconds=61)
            await exchange.add(pb.CHANNEL_SMS, NUMBER)
        clock.forward(seconds=61)
        error = await refused(exchange.add(pb.CHANNEL_SMS, NUMBER))
        assert reason(error) == "TOO_MANY_CODES"


async def test_an_address_lies_sealed_in_the_table(exchanging: Exchanging, database: str) -> None:
    async with exchanging(MailStandin(), WebhookStandin()) as exchange:
        await exchange.add(pb.CHANNEL_EMAIL, "alice@example.com")
        hook = await exchange.phones.address("webhook")
        await exchange.add(pb.CHANNEL_WEBHOOK, hook["value"], secrets=hook["secrets"])
        connection = await asyncpg.connect(database)
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'notifications'")
        dump = ""
        for table in tables:
            rows = await connection.fetch(f"SELECT t::text AS row FROM notifications.{table['tablename']} t")
            dump += "".join(row["row"] for row in rows)
        await connection.close()
        assert "alice@" not in dump
        assert b"alice@".hex() not in dump
        assert hook["secrets"]["secret"] not in dump
        assert hook["value"] not in dump


async def test_an_address_added_again_is_the_same_and_removed_it_is_gone(exchanging: Exchanging) -> None:
    async with exchanging(MailStandin()) as exchange:
        first = await exchange.add(pb.CHANNEL_EMAIL, "alice@Example.com")
        again = await exchange.add(pb.CHANNEL_EMAIL, " alice@example.com ", label="mine")
        assert again.address_id == first.address_id
        assert again.label == "mine"
        request = pb.RemoveAddressRequest(address_id=first.address_id)
        await exchange.stub.RemoveAddress(request, metadata=exchange.investor())
        await exchange.stub.RemoveAddress(request, metadata=exchange.investor())
        (gone,) = await exchange.addresses()
        assert (gone.state, gone.remove_reason) == (pb.ADDRESS_STATE_REMOVED, "REMOVED by its owner")
        new = await exchange.add(pb.CHANNEL_EMAIL, "alice@example.com")
        assert new.address_id != first.address_id
        assert reason(await refused(verifying(exchange, first, "123456"))) == "ADDRESS_UNKNOWN"


async def test_a_device_belongs_to_who_used_it_last(exchanging: Exchanging) -> None:
    async with exchanging(FcmStandin()) as exchange:
        await exchange.add_phone(ALICE)
        await exchange.add_phone(BOB)
        (hers,) = await exchange.addresses(ALICE)
        assert (hers.state, hers.remove_reason) == (pb.ADDRESS_STATE_REMOVED, "MOVED to another account")
        (his,) = await exchange.addresses(BOB)
        assert his.state == pb.ADDRESS_STATE_VERIFIED


async def test_somebody_elses_address_answers_like_an_unknown_one(exchanging: Exchanging) -> None:
    async with exchanging(SmsStandin()) as exchange:
        address = await exchange.add(pb.CHANNEL_SMS, NUMBER)
        unknown = pb.Address(address_id="0" * 32)
        told = []
        for one in (address, unknown):
            error = await refused(verifying(exchange, one, "123456", BOB))
            told.append((error.code(), reason(error), error.details()))
            request = pb.RemoveAddressRequest(address_id=one.address_id)
            error = await refused(exchange.stub.RemoveAddress(request, metadata=exchange.investor(BOB)))
            told.append((error.code(), reason(error), error.details()))
        assert set(told) == {told[0]}
        assert told[0][0] is grpc.StatusCode.NOT_FOUND
        assert (await exchange.addresses())[0].state == pb.ADDRESS_STATE_UNVERIFIED


WRONG: list[tuple[int, str, dict[str, Any], str]] = [
    (0, "x", {}, "channel"),
    (99, "x", {}, "channel"),
    (pb.CHANNEL_INBOX, "x", {}, "channel"),
    (pb.CHANNEL_WECHAT, "oSmartex_alice00000000000000", {}, "channel"),
    (pb.CHANNEL_SMS, "13800000001", {}, "value"),
    (pb.CHANNEL_SMS, "+86138 0000", {}, "value"),
    (pb.CHANNEL_SMS, "", {}, "value"),
    (pb.CHANNEL_EMAIL, "alice", {}, "value"),
    (pb.CHANNEL_EMAIL, "a@b\r\nBcc: c@d", {}, "value"),
    (pb.CHANNEL_EMAIL, "a@" + "b" * 300, {}, "value"),
    (pb.CHANNEL_EMAIL, "a@b.c", {"label": "x" * 41}, "label"),
    (pb.CHANNEL_EMAIL, "a@b.c", {"label": "a\nb"}, "label"),
    (pb.CHANNEL_EMAIL, "a@b.c", {"secrets": {"p256dh": "x"}}, "secrets[p256dh]"),
    (pb.CHANNEL_WEBHOOK, "https://example.com/hook", {}, "secrets[secret]"),
    (pb.CHANNEL_WEBHOOK, "ftp://example.com", {"secrets": {"secret": "x"}}, "value"),
    (pb.CHANNEL_WEBHOOK, "https://example.com", {"secrets": {"secret": "x" * 513}}, "secrets[secret]"),
]


async def test_what_is_no_address_is_named_and_not_kept(exchanging: Exchanging) -> None:
    async with exchanging(SmsStandin(), MailStandin(), WebhookStandin()) as exchange:
        for channel, value, more, field in WRONG:
            error = await refused(exchange.add(channel, value, **more))
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, (channel, value)
            assert field in violations(error), (channel, value)
        assert await exchange.addresses() == []


async def test_what_this_exchange_cannot_reach_is_refused(exchanging: Exchanging) -> None:
    async with exchanging(SmsStandin()) as exchange:
        error = await refused(exchange.add(pb.CHANNEL_EMAIL, "alice@example.com"))
        assert reason(error) == "NO_CREDENTIALS"
        error = await refused(exchange.stub.LinkWechat(pb.LinkWechatRequest(), metadata=exchange.investor()))
        assert reason(error) == "NO_CREDENTIALS"


async def test_a_scan_links_once_and_unfollowing_removes(exchanging: Exchanging) -> None:
    async with exchanging(WechatStandin()) as exchange:
        link = await exchange.stub.LinkWechat(pb.LinkWechatRequest(), metadata=exchange.investor())
        assert timedelta(0) < link.expire_time.ToDatetime(UTC) - datetime.now(UTC) <= timedelta(minutes=10)
        await exchange.phones.tell("wechat/scan", person="alice", code=link.qr_url)
        (told,) = await exchange.phones.shown_within("wechat", 1)
        assert "Linked" in told["body"]
        await exchange.phones.tell("wechat/scan", person="bob", code=link.qr_url)
        told = (await exchange.phones.shown_within("wechat", 2))[-1]
        assert "no longer works" in told["body"]
        (address,) = await exchange.addresses()
        assert (address.channel, address.state) == (pb.CHANNEL_WECHAT, pb.ADDRESS_STATE_VERIFIED)
        await exchange.phones.tell("wechat/unfollow", person="alice")
        (address,) = await exchange.addresses()
        assert (address.state, address.remove_reason) == (pb.ADDRESS_STATE_REMOVED, "UNFOLLOWED")


async def test_an_account_has_so_many_addresses_and_no_more(exchanging: Exchanging) -> None:
    async with exchanging(FcmStandin(), WechatStandin()) as exchange:
        for n in range(20):
            await exchange.add(pb.CHANNEL_FCM, f"token-of-the-phone-{n}")
        error = await refused(exchange.add(pb.CHANNEL_FCM, "token-of-one-more-phone"))
        assert reason(error) == "TOO_MANY_ADDRESSES"
        link = await exchange.stub.LinkWechat(pb.LinkWechatRequest(), metadata=exchange.investor())
        await exchange.phones.tell("wechat/scan", person="alice", code=link.qr_url)
        (told,) = await exchange.phones.shown_within("wechat", 1)
        assert told["body"].startswith("绑定失败")
        assert len(await exchange.addresses()) == 20


async def test_who_links_for_another_account_leaves_the_first(exchanging: Exchanging) -> None:
    async with exchanging(WechatStandin()) as exchange:
        await exchange.link_wechat(ALICE)
        await exchange.link_wechat(BOB, person="alice")
        assert not await exchange.linked(ALICE)
        assert await exchange.linked(BOB)


async def test_a_wecom_user_speaks_for_the_account_that_proved_it_last(exchanging: Exchanging) -> None:
    async with exchanging(WecomStandin()) as exchange:
        user = "alice"
        for account in (ALICE, BOB):
            added = await exchange.add(pb.CHANNEL_WECOM_APP, user, account)
            before = await exchange.pod.addresses.account_of(
                exchange.pod.database, ChannelKind.WECOM_APP, user
            )
            # A code that was not given back moves nothing.
            assert before == (None if account == ALICE else ALICE)
            await exchange.phones.shown_within("wecom", account)  # Alice is 1, Bob 2
            proved = await exchange.verify(added, "wecom", account)
            assert proved.state == pb.ADDRESS_STATE_VERIFIED
            speaks_for = await exchange.pod.addresses.account_of(
                exchange.pod.database, ChannelKind.WECOM_APP, user
            )
            assert speaks_for == account
        [left] = await exchange.addresses(ALICE)
        assert left.remove_reason == "MOVED to another account"
