"""Deliveries over the API: read back, replayed, refused; what each caller may see and do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from notifications_exchange import ALICE, BOB, Exchange, a_notice, serving, settings_of
from refusals import reason, violations
from smartex.notifications.v1 import notice_pb2
from smartex.notifications.v1 import notification_service_pb2 as pb
from smartex_standins.apns import ApnsStandin
from smartex_standins.fcm import FcmStandin

Exchanging = Callable[..., AbstractAsyncContextManager[Exchange]]
OPERATORS = frozenset(
    {
        "ReplayDelivery",
        "SendNotice",
        "ListTemplates",
        "PutTemplate",
        "PreviewTemplate",
        "GetChannelStatus",
    }
)
READERS = frozenset(
    {"ListInbox", "StreamInbox", "GetPreferences", "ListAddresses", "ListDeliveries", "ListSteps"}
)


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as found:
        await call
    return found.value


async def test_a_dead_delivery_is_sent_again_and_nothing_else_is(exchanging: Exchanging) -> None:
    async with exchanging(ApnsStandin()) as exchange:
        device = await exchange.phones.address("apns")
        await exchange.add(pb.CHANNEL_APNS, device["value"])
        await exchange.phones.faults("apns", cut_after_send=1)
        await exchange.send(a_notice(urgency=notice_pb2.URGENCY_NORMAL))
        (dead,) = await exchange.ended("n-1")
        assert dead.state == pb.DELIVERY_STATE_DEAD
        assert dead.state_reason.startswith("MAYBE_SENT")
        assert dead.attempts[0].maybe_sent
        again = pb.ReplayDeliveryRequest(delivery_id=dead.delivery_id)
        error = await refused(exchange.stub.ReplayDelivery(again, metadata=exchange.investor()))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        told = await exchange.stub.ReplayDelivery(again, metadata=exchange.operator())
        assert told.delivery.state == pb.DELIVERY_STATE_WAITING
        (sent,) = await exchange.ended("n-1")
        assert sent.state == pb.DELIVERY_STATE_SENT
        assert [one.number for one in sent.attempts] == [1, 2]
        error = await refused(exchange.stub.ReplayDelivery(again, metadata=exchange.operator()))
        assert reason(error) == "DELIVERY_NOT_DEAD"
        unknown = pb.ReplayDeliveryRequest(delivery_id="nobody")
        error = await refused(exchange.stub.ReplayDelivery(unknown, metadata=exchange.operator()))
        assert (error.code(), reason(error)) == (grpc.StatusCode.NOT_FOUND, "DELIVERY_UNKNOWN")


async def test_an_investor_sees_their_own_deliveries_and_an_operator_all(exchanging: Exchanging) -> None:
    async with exchanging(FcmStandin()) as exchange:
        await exchange.send(a_notice("hers", ALICE))
        await exchange.send(a_notice("his", BOB))

        async def seen(metadata: Any, **filters: Any) -> set[str]:
            request = pb.ListDeliveriesRequest(**filters)
            told = await exchange.stub.ListDeliveries(request, metadata=metadata)
            return {one.notice_id for one in told.deliveries}

        assert await seen(exchange.investor(ALICE)) == {"hers"}
        assert await seen(exchange.investor(ALICE), notice_id="his") == set()
        assert await seen(exchange.operator()) == {"hers", "his"}
        assert await seen(exchange.operator(), account_id=BOB) == {"his"}
        error = await refused(seen(exchange.investor(ALICE), account_id=BOB))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        assert await seen(exchange.operator(), state=pb.DELIVERY_STATE_SUPPRESSED) == {"hers", "his"}
        assert await seen(exchange.operator(), state=pb.DELIVERY_STATE_DEAD) == set()


async def test_pages_of_deliveries_hold_each_once(database: str, tmp_path: Path) -> None:
    async with serving(settings_of(database, tmp_path, None), tmp_path) as exchange:
        for n in range(5):
            await exchange.send(a_notice(f"n-{n}"))
        seen: list[str] = []
        token = ""
        while True:
            request = pb.ListDeliveriesRequest(page_size=3, page_token=token)
            told = await exchange.stub.ListDeliveries(request, metadata=exchange.investor())
            seen += [one.delivery_id for one in told.deliveries]
            token = told.next_page_token
            if not token:
                break
        # Each notice has its row of the inbox, and one that says that there is no address.
        assert len(seen) == len(set(seen)) == 10


async def test_the_status_of_the_channels(exchanging: Exchanging) -> None:
    async with exchanging(FcmStandin()) as exchange:
        await exchange.add_phone()
        await exchange.send(a_notice())
        await exchange.ended("n-1")
        told = await exchange.stub.GetChannelStatus(
            pb.GetChannelStatusRequest(), metadata=exchange.operator()
        )
        channels = {one.channel: one for one in told.channels}
        assert set(channels) == {number for number in pb.Channel.values() if number}
        fcm = channels[pb.CHANNEL_FCM]
        assert (fcm.configured, fcm.breaker, fcm.waiting, fcm.sent_last_hour) == (True, "closed", 0, 1)
        assert not channels[pb.CHANNEL_EMAIL].configured


WRONG: list[tuple[str, Any, str]] = [
    ("ListInbox", pb.ListInboxRequest(page_size=-1), "page_size"),
    ("ListInbox", pb.ListInboxRequest(page_size=1001), "page_size"),
    ("ListInbox", pb.ListInboxRequest(page_token="made up"), "page_token"),
    ("MarkRead", pb.MarkReadRequest(), "notice_ids"),
    ("MarkRead", pb.MarkReadRequest(up_to_position=-1), "up_to_position"),
    ("MarkRead", pb.MarkReadRequest(notice_ids=["x"] * 1001), "notice_ids"),
    ("MarkRead", pb.MarkReadRequest(notice_ids=["x" * 129]), "notice_ids[0]"),
    ("MarkRead", pb.MarkReadRequest(notice_ids=["a\x00b"]), "notice_ids[0]"),
    ("VerifyAddress", pb.VerifyAddressRequest(), "address_id"),
    ("RemoveAddress", pb.RemoveAddressRequest(address_id="x" * 200), "address_id"),
    ("ListDeliveries", pb.ListDeliveriesRequest(state=99), "state"),  # type: ignore[arg-type]
    ("ListDeliveries", pb.ListDeliveriesRequest(notice_id="a\x00"), "notice_id"),
    ("ListDeliveries", pb.ListDeliveriesRequest(page_token="AAAA"), "page_token"),
    ("ReplayDelivery", pb.ReplayDeliveryRequest(), "delivery_id"),
    ("SendNotice", pb.SendNoticeRequest(), "notice"),
    ("SendNotice", pb.SendNoticeRequest(notice=a_notice("a b")), "notice.notice_id"),
    ("SendNotice", pb.SendNoticeRequest(notice=a_notice(account=0)), "notice.account_id"),
    ("SendNotice", pb.SendNoticeRequest(notice=a_notice(kind="x")), "notice.kind"),
    ("SendNotice", pb.SendNoticeRequest(notice=a_notice(trace_id="x")), "notice.trace_id"),
    (
        "SendNotice",
        pb.SendNoticeRequest(notice=a_notice(expire_time=Timestamp(seconds=2**60))),
        "notice.expire_time",
    ),
    ("ListSteps", pb.ListStepsRequest(), "id"),
    ("ListSteps", pb.ListStepsRequest(id="x" * 129), "id"),
]


async def test_wrong_input_is_named_and_writes_nothing(database: str, tmp_path: Path) -> None:
    async with serving(settings_of(database, tmp_path, None), tmp_path) as exchange:
        for method, request, field in WRONG:
            metadata = exchange.operator() if method in OPERATORS else exchange.investor()
            error = await refused(getattr(exchange.stub, method)(request, metadata=metadata))
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, (method, field, error)
            assert field in violations(error), (method, field, error)
        stream = exchange.stub.StreamInbox(
            pb.StreamInboxRequest(after_position=-1), metadata=exchange.investor()
        )
        error = await refused(stream.read())
        assert violations(error) == ["after_position"]
        assert await exchange.pod.database.fetchval("SELECT count(*) FROM notifications.notices") == 0


async def test_every_rpc_asks_for_its_scope(database: str, tmp_path: Path) -> None:
    """An investor who may only read changes nothing, a trader's or an operator's token has no inbox."""
    async with serving(settings_of(database, tmp_path, None), tmp_path) as exchange:
        reading = exchange.investor(scopes=["read"])
        service = pb.DESCRIPTOR.services_by_name["NotificationService"]
        for method in service.methods:
            call = getattr(exchange.stub, method.name)
            request = GetMessageClass(method.input_type)()
            anonymous = call(request)
            error = await refused(anonymous.read() if method.server_streaming else anonymous)
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED, method.name
            if method.name not in READERS:
                error = await refused(call(request, metadata=reading))
                assert (error.code(), reason(error)) == (
                    grpc.StatusCode.PERMISSION_DENIED,
                    "SCOPE_MISSING",
                ), method.name
        for name in ("ListInbox", "GetPreferences", "ListAddresses"):
            request = GetMessageClass(service.methods_by_name[name].input_type)()
            error = await refused(getattr(exchange.stub, name)(request, metadata=exchange.operator()))
            assert reason(error) == "ACCOUNT_MISSING"
