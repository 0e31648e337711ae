"""A good request for each RPC of the services for people: positions, notifications, conversations."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from smartex.matching.v1 import types_pb2 as market
from smartex.notifications.v1 import conversation_service_pb2 as talk
from smartex.notifications.v1 import notice_pb2, notification_service_pb2
from smartex.positions.v1 import position_service_pb2, risk_pb2, types_pb2

MODULES = (position_service_pb2, notification_service_pb2, talk)
TRADER = "e2e"
ANSWERS = {
    "age": "30_to_45",
    "income": "steady",
    "share_of_assets": "10_to_30",
    "debts": "none",
    "knowledge": "good",
    "experience": "2_to_5",
    "horizon": "3_to_5",
    "aim": "balanced",
}


@dataclass
class Known:
    """Ids of what account 1 has; unknown ones until something is there."""

    thread: str = "t-unknown"
    proposal: str = "p-unknown"
    delivery: str = "d-unknown"
    address: str = "a-unknown"
    alert: str = "alert-unknown"
    advice: str = "advice-unknown"
    notice: str = "e2e-notice"


KNOWN = Known()


def people_fields(name: str, request_id: int) -> dict[str, Any]:
    """Fields of a request that the service takes, by the name of the RPC."""
    return {**_position_fields(request_id), **_notification_fields(), **_talk_fields(request_id)}.get(
        name, {}
    )


def _position_fields(request_id: int) -> dict[str, dict[str, Any]]:
    scenario = risk_pb2.Scenario(
        name=types_pb2.Text(zh="跌", en="Fall"),
        market=-0.1,
        industries={"Banks": -0.2},
        instruments={1: -0.3},
    )
    close = position_service_pb2.DailyClose(instrument_id=1, date="2026-01-05", price="10.5", volume=1000)
    return {
        "GetPortfolio": {"account_id": 1, "lots": True},
        "StreamPortfolio": {"account_id": 1, "interval_ms": 500},
        "ListPortfolioHistory": {"account_id": 1, "end_time": _in(60)},
        "GetPortfolioAt": {"account_id": 1, "time": _in(-1)},
        "GetRiskReport": {"account_id": 1, "scenarios": [scenario], "html": True, "language": "en"},
        "GetRiskProfile": {"account_id": 1},
        "AnswerQuestionnaire": {"version": 1, "answers": ANSWERS, "request_id": request_id},
        "ListHabits": {"account_id": 1},
        "ListAlerts": {"account_id": 1},
        "AcknowledgeAlert": {"alert_id": KNOWN.alert},
        "ListAdvice": {"account_id": 1},
        "GetAdvice": {"advice_id": KNOWN.advice},
        "AcceptAdvice": {"advice_id": KNOWN.advice},
        "DismissAdvice": {"advice_id": KNOWN.advice, "reason": "no"},
        "GetLimits": {"account_id": 1},
        "SetLimits": {"account_id": 1, "limits": risk_pb2.Limits(loss_today=0.9, leverage=9)},
        "AssignSupervisor": {"supervisor": "nobody", "account_ids": [9]},
        "ImportPrices": {"closes": [close]},
        "ListSteps": {"id": KNOWN.notice},
    }


def _notification_fields() -> dict[str, dict[str, Any]]:
    service = notification_service_pb2
    rule = service.ChannelRule(kind="conversations.", channels=[service.CHANNEL_INBOX])
    preferences = service.Preferences(
        language="en",
        time_zone="Asia/Shanghai",
        quiet_hours=service.QuietHours(begin="22:00", end="07:00"),
        rules=[rule],
        digest_times=["08:30"],
        hourly_limit=100,
    )
    draft = service.Template(
        kind="conversations.message", language="en", title="{{ title }}", body="{{ text }}"
    )
    return {
        "MarkRead": {"notice_ids": [KNOWN.notice], "up_to_position": 1},
        "SetPreferences": {"preferences": preferences},
        "AddAddress": {"channel": service.CHANNEL_EMAIL, "value": "a@example.com", "label": "home"},
        "VerifyAddress": {"address_id": KNOWN.address, "code": "123456"},
        "RemoveAddress": {"address_id": "a-unknown"},
        "ListDeliveries": {"account_id": 1, "notice_id": KNOWN.notice},
        "ReplayDelivery": {"delivery_id": KNOWN.delivery},
        "SendNotice": {"notice": notice()},
        "ListTemplates": {"kind": "conversations.message"},
        "PutTemplate": {"template": draft},
        "PreviewTemplate": {"kind": "conversations.message", "language": "en", "draft": draft},
    }


def _talk_fields(request_id: int) -> dict[str, dict[str, Any]]:
    return {
        "GrantMandate": {"trader": TRADER},
        "RevokeMandate": {"trader": "nobody"},
        "OpenThread": {"trader": TRADER, "about": _card(), "title": "Banks", "request_id": request_id},
        "PostMessage": {
            "thread_id": KNOWN.thread,
            "text": "Less of it",
            "card": _card(),
            "proposal": _proposal(),
            "request_id": request_id,
        },
        "ListMessages": {"thread_id": KNOWN.thread},
        "AnswerProposal": {"proposal_id": KNOWN.proposal, "text": "No"},
        "SearchMessages": {"query": "Less"},
        "ExportThread": {"thread_id": KNOWN.thread, "form": "json"},
    }


def notice() -> notice_pb2.Notice:
    """A notice for the inbox."""
    values = [
        notice_pb2.Value(name="text", text="Good morning"),
        notice_pb2.Value(name="trader", local_text=notice_pb2.LocalText(zh="甲", en="A")),
        notice_pb2.Value(name="share", percent="0.1"),
        notice_pb2.Value(name="cash", money=market.Money(currency_code="CNY", amount="1")),
        notice_pb2.Value(name="at", time=_in(0)),
    ]
    return notice_pb2.Notice(
        notice_id=KNOWN.notice,
        account_id=1,
        kind="conversations.message",
        urgency=notice_pb2.URGENCY_NORMAL,
        cause_time=_in(0),
        expire_time=_in(3600),
        values=values,
        card=_card(),
        trace_id="1" * 32,
    )


def _card() -> notice_pb2.Card:
    line = notice_pb2.CardLine(
        name=notice_pb2.LocalText(zh="价", en="Price"), value=notice_pb2.LocalText(zh="一", en="One")
    )
    title = notice_pb2.LocalText(zh="银行", en="Banks")
    return notice_pb2.Card(kind=notice_pb2.CARD_KIND_SIGNAL, id="s1", title=title, lines=[line])


def _proposal() -> talk.Proposal:
    order = types_pb2.OrderSuggestion(instrument_id=1, side=1, quantity_lots=100, price_ticks=1000)
    return talk.Proposal(orders=[order], reason="Cheap", expire_time=_in(3600))


def _in(seconds: int) -> Timestamp:
    return Timestamp(seconds=int(time.time()) + seconds)
