"""Notices as they come: read whole, or refused with the field."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from notifications import contract, templates
from notifications.contract import Malformed
from notifications.domain.notice import LocalText, Money, Number, Percent
from notifications.domain.sending import ChannelKind, Urgency
from smartex.matching.v1 import types_pb2
from smartex.notifications.v1 import notice_pb2 as pb
from smartex.notifications.v1 import notification_service_pb2 as service_pb

NOW = Timestamp(seconds=1_772_418_600)  # 2026-03-02 02:30 UTC


def a_notice(**changes: Any) -> pb.Notice:
    values = {"notice_id": "alert:7:2", "account_id": 7, "kind": "positions.drawdown", "cause_time": NOW}
    return pb.Notice(**{**values, **changes})


def test_a_notice_has_the_houses_defaults() -> None:
    notice = contract.notice(a_notice())
    assert notice.urgency is Urgency.NORMAL
    assert notice.cause_time == datetime(2026, 3, 2, 2, 30, tzinfo=UTC)
    assert notice.expire_time - notice.cause_time == timedelta(days=1)


def test_every_kind_of_value() -> None:
    values = [
        pb.Value(name="text", text="x"),
        pb.Value(name="both", local_text=pb.LocalText(zh="买", en="buy")),
        pb.Value(name="number", number="-12.5"),
        pb.Value(name="percent", percent="0.254"),
        pb.Value(name="money", money=types_pb2.Money(currency_code="CNY", amount="3.50")),
        pb.Value(name="time", time=NOW),
    ]
    assert contract.notice(a_notice(values=values)).values == {
        "text": "x",
        "both": LocalText("买", "buy"),
        "number": Number(Decimal("-12.5")),
        "percent": Percent(Decimal("0.254")),
        "money": Money("CNY", Decimal("3.50")),
        "time": datetime(2026, 3, 2, 2, 30, tzinfo=UTC),
    }


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"notice_id": ""}, "notice_id"),
        ({"notice_id": "x" * 129}, "notice_id"),
        ({"notice_id": "a b"}, "notice_id"),
        ({"notice_id": "a\n"}, "notice_id"),
        ({"account_id": 0}, "account_id"),
        ({"kind": "concentration"}, "kind"),
        ({"kind": "Positions.x"}, "kind"),
        ({"urgency": 9}, "urgency"),
        ({"cause_time": None}, "cause_time"),
        ({"cause_time": Timestamp(seconds=-99_999_999_999)}, "cause_time"),
        ({"expire_time": Timestamp(seconds=2**62)}, "expire_time"),
        ({"supersede_key": "x" * 257}, "supersede_key"),
        ({"trace_id": "xyz"}, "trace_id"),
        ({"card": pb.Card(id="x" * 129)}, "card.id"),
        ({"card": pb.Card(kind=99, id="x")}, "card.kind"),  # type: ignore[arg-type]
        ({"values": [pb.Value(name="Bad", text="x")]}, "values[0].name"),
        ({"values": [pb.Value(name="a", text="x"), pb.Value(name="a", text="y")]}, "values[1].name"),
        ({"values": [pb.Value(name="a")]}, "values[0]"),
        ({"values": [pb.Value(name="a", text="x" * 4001)]}, "values[0]"),
        ({"values": [pb.Value(name="a", number="NaN")]}, "values[0]"),
        ({"values": [pb.Value(name="a", percent="1e99999")]}, "values[0]"),
        (
            {"values": [pb.Value(name="a", money=types_pb2.Money(currency_code="¥", amount="1"))]},
            "values[0].money.currency_code",
        ),
        ({"values": [pb.Value(name=f"a{n}", text="x") for n in range(65)]}, "values"),
    ],
)
def test_a_malformed_notice_is_refused_with_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed) as refused:
        contract.notice(a_notice(**changes))
    assert refused.value.field == field


def test_every_channel_has_its_number() -> None:
    assert set(contract.NUMBERS) == set(ChannelKind)
    with pytest.raises(Malformed):
        contract.channel(0, "channel")


def test_preferences_go_to_messages_and_back() -> None:
    channels = [service_pb.CHANNEL_WECHAT, service_pb.CHANNEL_EMAIL]
    message = service_pb.Preferences(
        language="en",
        time_zone="Europe/Berlin",
        quiet_hours=service_pb.QuietHours(begin="22:00", end="07:00"),
        rules=[
            service_pb.ChannelRule(kind="*", channels=channels, least_urgency=pb.URGENCY_HIGH, muted=True)
        ],
        digest_times=["08:00"],
        hourly_limit=9,
        morning_digest=True,
    )
    assert contract.preferences_message(contract.preferences(message)) == message


@pytest.mark.parametrize(
    "template", templates.house(), ids=lambda one: f"{one.kind}-{one.language}-{one.channel}"
)
def test_templates_go_to_messages_and_back(template: Any) -> None:
    assert contract.template(contract.template_message(template)) == template
