"""The HTTP side: forged, replayed and repeated callbacks; receipts; texts; pages."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from isolated import free_port
from notifications.callbacks.events import Events
from notifications.callbacks.replies import NOT_LINKED, Replies, TextHandler
from notifications.channels.wechat import events as told
from notifications.domain.sending import ChannelKind
from notifications.store.receipts import first_time, keep
from notifications_exchange import ALICE, Exchange, a_notice, serving, settings_of
from smartex.notifications.v1 import notification_service_pb2 as pb
from smartex_chassis import PortInUse
from smartex_standins.fcm import FcmStandin
from smartex_standins.sms import SmsStandin
from smartex_standins.webpush import WebPushStandin
from smartex_standins.wechat import WechatStandin
from smartex_standins.wecom import WecomStandin
from waiting import until

Exchanging = Callable[..., AbstractAsyncContextManager[Exchange]]


def client(exchange: Exchange) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{exchange.pod.settings.callback_port}", trust_env=False, timeout=60
    )


def signed(token: str, stamp: str, nonce: str, *more: str) -> str:
    return hashlib.sha1("".join(sorted([token, stamp, nonce, *more])).encode()).hexdigest()


async def test_wechat_proves_its_server_and_forgers_do_not(exchanging: Exchanging) -> None:
    async with exchanging(WechatStandin()) as exchange, client(exchange) as http:
        token = exchange.phones.tables["wechat"]["callback_token"]
        now = str(int(time.time()))
        good = {"timestamp": now, "nonce": "n1", "signature": signed(token, now, "n1"), "echostr": "hello"}
        answer = await http.get("/callbacks/wechat", params=good)
        assert (answer.status_code, answer.text) == (200, "hello")
        forged = await http.get("/callbacks/wechat", params=good | {"signature": "0" * 40})
        assert forged.status_code == 403
        old = str(int(time.time()) - 3600)
        stale = await http.get(
            "/callbacks/wechat", params=good | {"timestamp": old, "signature": signed(token, old, "n1")}
        )
        assert stale.json() == {"error": "TIMESTAMP_STALE"}


async def test_forged_events_link_nobody(exchanging: Exchanging) -> None:
    async with exchanging(WechatStandin()) as exchange, client(exchange) as http:
        link = await exchange.stub.LinkWechat(pb.LinkWechatRequest(), metadata=exchange.investor())
        plain = (
            f"<xml><ToUserName>gh</ToUserName><FromUserName>mallory</FromUserName><CreateTime>{int(time.time())}"
            f"</CreateTime><MsgType>event</MsgType><Event>SCAN</Event><EventKey>{link.scene}</EventKey></xml>"
        )
        sealed = f"<xml><Encrypt>{'A' * 64}</Encrypt></xml>"
        now = str(int(time.time()))
        params = {"timestamp": now, "nonce": "n", "msg_signature": "0" * 40}
        for body, status in ((plain, 400), (sealed, 403), ("<!DOCTYPE x><xml/>", 400), ("x" * 200_000, 413)):
            answer = await http.post("/callbacks/wechat", params=params, content=body)
            assert answer.status_code == status, (body[:40], answer.text)
        assert await exchange.addresses() == []


async def test_an_event_that_comes_again_has_no_second_effect(exchanging: Exchanging) -> None:
    async with exchanging(WechatStandin()) as exchange:
        await exchange.link_wechat()
        heard = []

        async def handler(account_id: int, text: str, key: str) -> str:
            heard.append((account_id, text, key))
            return "done"

        events = events_of(exchange, handler)
        openid = (await exchange.phones.shown("wechat"))[0]["address"]
        said = told.TextReceived(openid, "gh_1", datetime.now(UTC), "msg:1", "ok")
        assert [await events.handle(said), await events.handle(said)] == ["done", ""]
        assert heard == [(ALICE, "ok", "msg:1")]


async def test_an_event_that_failed_is_handled_when_it_comes_again(exchanging: Exchanging) -> None:
    async with exchanging(WechatStandin()) as exchange:
        await exchange.link_wechat()
        answers = iter([OSError("away"), "done"])

        async def handler(account_id: int, text: str, key: str) -> str:
            answer = next(answers)
            if isinstance(answer, OSError):
                raise answer
            return str(answer)

        events = events_of(exchange, handler)
        openid = (await exchange.phones.shown("wechat"))[0]["address"]
        said = told.TextReceived(openid, "gh_1", datetime.now(UTC), "msg:1", "ok")
        with pytest.raises(OSError, match="away"):
            await events.handle(said)
        assert await events.handle(said) == "done"


def events_of(exchange: Exchange, handler: TextHandler) -> Events:
    """The events of WeChat, with this handler of texts alone."""
    pod, replies = exchange.pod, Replies()
    replies.add(handler)
    return Events(ChannelKind.WECHAT, pod.database, pod.addresses, pod.receipts, replies, pod.clock)


async def test_keys_of_events_are_kept_for_a_week(exchanging: Exchanging) -> None:
    async with exchanging(FcmStandin()) as exchange:
        database, now = exchange.pod.database, exchange.pod.clock()
        async with database.transaction() as connection:
            await first_time(connection, "old", now - timedelta(days=7, seconds=1))
            await first_time(connection, "new", now - timedelta(days=6))

        async def left() -> bool:
            rows = await database.fetch("SELECT key FROM notifications.callback_events")
            return [row["key"] for row in rows] == ["new"]

        await until(left, "the older key to go")


async def test_a_stranger_is_told_how_to_link(exchanging: Exchanging) -> None:
    async with exchanging(WechatStandin()) as exchange:
        await exchange.phones.tell("wechat/follow", person="bob")
        await exchange.phones.tell("wechat/text", person="bob", text="hello")

        async def answered() -> bool:
            return [one["body"] for one in await exchange.phones.shown("wechat")].count(NOT_LINKED) == 2

        await until(answered, "the two answers")


async def test_a_linked_reader_stays_linked_when_the_phone_is_restarted(
    exchanging: Exchanging, phones_folder: Path
) -> None:
    async with exchanging(WechatStandin()) as exchange:
        await exchange.link_wechat()
    async with exchanging(WechatStandin()) as exchange:
        await exchange.send(a_notice())
        (delivery,) = await exchange.ended("n-1")
        assert delivery.state in (pb.DELIVERY_STATE_SENT, pb.DELIVERY_STATE_DELIVERED)
    # A phone that forgot all follows again, as the demo lets it: who is linked is not asked to link.
    (phones_folder / "standins" / "wechat-users.json").unlink()
    async with exchanging(WechatStandin()) as exchange:
        told = await exchange.phones.tell("wechat/follow", person="alice")
        assert (told["taken"], told["reply"]) == (True, "")
        assert await exchange.linked()


async def test_a_reader_who_blocks_is_removed_by_the_receipt(exchanging: Exchanging) -> None:
    async with exchanging(WechatStandin()) as exchange:
        await exchange.link_wechat()
        await exchange.phones.tell("wechat/block", person="alice", blocked=True)
        await exchange.send(a_notice())

        async def removed() -> bool:
            return (await exchange.addresses())[0].state == pb.ADDRESS_STATE_REMOVED

        await until(removed, "the removal")

        async def dead() -> bool:
            return (await exchange.deliveries("n-1"))[0].state == pb.DELIVERY_STATE_DEAD

        await until(dead, "the receipt")


async def test_a_receipt_that_came_while_its_attempt_was_recorded_is_applied(exchanging: Exchanging) -> None:
    """Both transactions run at once, and neither sees the other's row."""
    async with exchanging(FcmStandin()) as exchange:
        await exchange.add_phone()
        await exchange.send(a_notice())
        (sent,) = await exchange.ended("n-1")
        async with exchange.pod.database.transaction() as connection:
            # As it stands when the receipt was written and the attempt's transaction could not see it.
            provider_id = sent.attempts[0].provider_id
            await keep(connection, ChannelKind.FCM, provider_id, True, "success", exchange.pod.clock())

        async def delivered() -> bool:
            return (await exchange.deliveries("n-1"))[0].state == pb.DELIVERY_STATE_DELIVERED

        await until(delivered, "the receipt")


async def test_receipts_of_sms_are_believed_only_with_their_proof(exchanging: Exchanging) -> None:
    async with exchanging(SmsStandin()) as exchange, client(exchange) as http:
        address = await exchange.add(pb.CHANNEL_SMS, "+8613800000001")
        await exchange.verify(address, "sms")
        await exchange.send(a_notice())

        async def delivered() -> bool:
            found = await exchange.deliveries("n-1")
            return bool(found) and found[0].state == pb.DELIVERY_STATE_DELIVERED

        await until(delivered, "the receipt")
        forged = await http.post("/callbacks/sms", json=[{"id": "1", "status": "undelivered"}])
        assert forged.status_code == 403
        large = await http.post("/callbacks/sms", content=b"x" * 300_000)
        assert large.status_code == 413


async def test_wecom_is_served_beside_wechat(exchanging: Exchanging) -> None:
    async with exchanging(WecomStandin()) as exchange, client(exchange) as http:
        assert (await http.get("/callbacks/wecom")).status_code == 400
        assert (await http.get("/callbacks/wechat")).status_code == 404


async def test_the_key_of_web_push_is_public(exchanging: Exchanging) -> None:
    async with exchanging(WebPushStandin()) as exchange, client(exchange) as http:
        told_key: dict[str, Any] = (await http.get("/callbacks/webpush/key")).json()
        assert told_key["key"] == exchange.pod.providers.webpush_key
        assert len(told_key["key"]) == 87  # 65 bytes in base64url
    async with exchanging(FcmStandin()) as exchange, client(exchange) as http:
        assert (await http.get("/callbacks/webpush/key")).status_code == 404


async def test_a_port_that_is_taken_is_named_at_the_start(database: str, tmp_path: Path) -> None:
    port = free_port()
    async with serving(settings_of(database, tmp_path, None, callback_port=port), tmp_path):
        second = settings_of(database, tmp_path, None, callback_port=port, pod="pod-2")
        with pytest.raises(PortInUse, match="SMARTEX_CALLBACK_PORT"):
            async with serving(second, tmp_path):
                pass
