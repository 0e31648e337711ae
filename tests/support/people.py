"""What people have at the exchange before a walk: a mandate, a thread, a proposal, a notice, and rows of account 1."""

from __future__ import annotations

import time

from place import Place
from rpcs_people import KNOWN, TRADER, notice
from rpcs_people import people_fields as fields
from smartex.notifications.v1 import conversation_service_pb2 as talk
from smartex.notifications.v1 import conversation_service_pb2_grpc as talk_rpc
from smartex.notifications.v1 import notification_service_pb2 as reach
from smartex.notifications.v1 import notification_service_pb2_grpc as reach_rpc


async def settle_in(place: Place) -> None:
    """Give account 1 one of each, and remember their ids in KNOWN."""
    await _talk(place)
    operator = place.metadata("operate", "read")
    stub = reach_rpc.NotificationServiceStub(place.channel)
    await stub.SendNotice(reach.SendNoticeRequest(notice=notice()), metadata=operator)
    told = await stub.ListDeliveries(
        reach.ListDeliveriesRequest(account_id=1, notice_id=KNOWN.notice), metadata=operator
    )
    KNOWN.delivery = told.deliveries[0].delivery_id
    await _rows(place)


async def _talk(place: Place) -> None:
    investor, trader = place.metadata("trade", account_id=1), place.metadata("advise", "read")
    stub = talk_rpc.ConversationServiceStub(place.channel)
    await stub.GrantMandate(talk.GrantMandateRequest(trader=TRADER), metadata=investor)
    opened = await stub.OpenThread(talk.OpenThreadRequest(**fields("OpenThread", 1)), metadata=investor)
    KNOWN.thread = opened.thread.thread_id
    said = await stub.PostMessage(talk.PostMessageRequest(**fields("PostMessage", 2)), metadata=trader)
    KNOWN.proposal = said.message.proposal.proposal_id


async def _rows(place: Place) -> None:
    """An address, an alert and advice, which no RPC makes here: no provider is set, and the market is quiet."""
    now = time.time_ns()
    await place.database.execute(
        "INSERT INTO notifications.addresses"
        " (address_id, account_id, channel, fingerprint, sealed, masked, label, state, create_time)"
        " VALUES ('e2e-address', 1, 'email', '', '', 'a***', '', 1, now())"
    )
    await place.database.execute(
        "INSERT INTO positions.alerts (alert_id, account_id, kind, subject, subject_id, severity, state, value,"
        " threshold, worst, raise_time_ns, risen_time_ns, clear_time_ns, sequence, advised, trace_id)"
        " VALUES ('e2e-alert', 1, 'drawdown', '', 0, 2, 3, 0.2, 0.1, 0.2, $1, $1, $1, 1, true, $2)",
        now,
        "2" * 32,
    )
    await place.database.execute(
        "INSERT INTO positions.advice (advice_id, account_id, kind, subject, severity, state, facts, caveats,"
        " what_if, basis, create_time_ns, expire_time_ns, settle_time_ns, sequence, cause_id, trace_id, settled)"
        " VALUES ('e2e-advice', 3, 'drawdown', '', 2, 4, '{}', '{}', '[]', '{}', $1, $1, $1, 1, '', $2, true)",
        now,
        "2" * 32,
    )
    KNOWN.address, KNOWN.alert = "e2e-address", "e2e-alert"
