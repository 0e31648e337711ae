"""Notices of alerts and advice, as the notifications service takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smartex.matching.v1.types_pb2 import Money
from smartex.notifications.v1 import notice_pb2 as pb

from positions.domain.alerts import ALL, Severity, Standing
from positions.texts import Text, text
from positions.wording import action

KINDS: Mapping[str, str] = {
    "loss_today": "positions.loss_today",
    "drawdown": "positions.drawdown",
    "concentration": "positions.concentration",
    "industry_concentration": "positions.industry_concentration",
    "value_at_risk": "positions.value_at_risk",
    "price_limit_distance": "positions.price_limit",
    "stop_loss": "positions.stop_loss",
    "leverage": "positions.leverage",
}
ADVICE, DIGEST = "positions.advice", "positions.digest"

_URGENCY = {
    Severity.INFO: pb.URGENCY_NORMAL,
    Severity.WARNING: pb.URGENCY_HIGH,
    Severity.CRITICAL: pb.URGENCY_CRITICAL,
}
_ADVICE_URGENCY = {
    Severity.INFO: pb.URGENCY_LOW,
    Severity.WARNING: pb.URGENCY_NORMAL,
    Severity.CRITICAL: pb.URGENCY_HIGH,  # its alert has woken the reader already
}
_DAY_NS = 86_400 * 10**9


@dataclass(frozen=True)
class Subject:
    """What an alert is about, for people: the symbol (or industry) and its name. Both empty: the whole account."""

    symbol: str
    name: Text


@dataclass(frozen=True)
class Worth:
    """What an account is worth, for its notices."""

    currency: str
    equity: float


@dataclass(frozen=True)
class Times:
    """When something happened, and when it is told: later, if the book was behind the market then."""

    happened_ns: int
    told_ns: int


def of_alert(alert: Standing, subject: Subject, worth: Worth, times: Times, trace_id: str) -> pb.Notice:
    """An alert was raised or got worse. It stands when it is told, so it is of use for a day from then on."""
    kind = ALL[alert.kind].name
    notice = pb.Notice(
        notice_id=f"alert:{alert.alert_id}:{int(alert.severity)}",
        account_id=alert.account_id,
        kind=KINDS[kind],
        urgency=_URGENCY[alert.severity],
        supersede_key=_alert_key(alert),
        trace_id=trace_id,
        values=[
            pb.Value(name="symbol", text=subject.symbol),
            pb.Value(name="name", local_text=local(subject.name)),
            pb.Value(name="value", percent=decimal(alert.value)),
            pb.Value(name="threshold", percent=decimal(alert.threshold)),
            pb.Value(name="equity", money=money(worth.currency, worth.equity)),
            pb.Value(name="action", local_text=local(action(kind, subject.name))),
        ],
        card=pb.Card(kind=pb.CARD_KIND_ALERT, id=alert.alert_id, title=local(text(f"alert_name.{kind}"))),
    )
    notice.cause_time.FromNanoseconds(times.happened_ns)
    notice.expire_time.FromNanoseconds(times.told_ns + _DAY_NS)
    notice.values.add(name="time").time.FromNanoseconds(times.happened_ns)
    return notice


def of_cleared(alert: Standing, time_ns: int, trace_id: str) -> pb.Notice:
    """An alert is over: what still waits to be sent of it is withdrawn."""
    notice = pb.Notice(
        notice_id=f"alert:{alert.alert_id}:cleared",
        account_id=alert.account_id,
        kind=KINDS[ALL[alert.kind].name],
        supersede_key=_alert_key(alert),
        trace_id=trace_id,
        withdrawn=True,
    )
    notice.cause_time.FromNanoseconds(time_ns)
    return notice


@dataclass(frozen=True)
class Told:
    """Advice as its notice tells it."""

    advice_id: str
    account_id: int
    kind: str
    subject: str
    severity: Severity
    title: Text
    brief: Text
    what: Text
    reason: Text
    create_ns: int
    expire_ns: int
    trace_id: str


def of_advice(advice: Told, what_if: Mapping[str, tuple[str, str]]) -> pb.Notice:
    """Advice was given. `what_if` are the figures, written, before and after, by key."""
    notice = pb.Notice(
        notice_id=f"advice:{advice.advice_id}",
        account_id=advice.account_id,
        kind=ADVICE,
        urgency=_ADVICE_URGENCY[advice.severity],
        supersede_key=advice_key(advice.kind, advice.subject),
        trace_id=advice.trace_id,
        values=[
            pb.Value(name="title", local_text=local(advice.title)),
            pb.Value(name="brief", local_text=local(advice.brief)),
            pb.Value(name="what", local_text=local(advice.what)),
            pb.Value(name="reason", local_text=local(advice.reason)),
            pb.Value(name="urgency", text=advice.severity.name.lower()),
        ],
        card=pb.Card(kind=pb.CARD_KIND_ADVICE, id=advice.advice_id, title=local(advice.title)),
    )
    for key, (before, after) in what_if.items():
        line = f"{before} → {after}"
        notice.card.lines.add(name=local(text(f"figure.{key}")), value=pb.LocalText(zh=line, en=line))
    notice.cause_time.FromNanoseconds(advice.create_ns)
    notice.expire_time.FromNanoseconds(advice.expire_ns)
    return notice


def of_withdrawn_advice(
    account_id: int, advice_id: str, kind: str, subject: str, time_ns: int, trace_id: str
) -> pb.Notice:
    """Advice was superseded or has expired: it is not sent any more."""
    notice = pb.Notice(
        notice_id=f"advice:{advice_id}:closed",
        account_id=account_id,
        kind=ADVICE,
        supersede_key=advice_key(kind, subject),
        trace_id=trace_id,
        withdrawn=True,
    )
    notice.cause_time.FromNanoseconds(time_ns)
    return notice


def of_digest(
    account_id: int, day: str, worth: Worth, profit: float, counts: Mapping[str, int], time_ns: int
) -> pb.Notice:
    """The morning's digest. `counts`: holdings, standing alerts, open advice."""
    notice = pb.Notice(
        notice_id=f"digest:{account_id}:{day}",
        account_id=account_id,
        kind=DIGEST,
        urgency=pb.URGENCY_LOW,
        supersede_key="digest",
        values=[
            pb.Value(name="equity", money=money(worth.currency, worth.equity)),
            pb.Value(name="profit_today", money=money(worth.currency, profit)),
            *(pb.Value(name=name, number=str(count)) for name, count in counts.items()),
        ],
    )
    notice.cause_time.FromNanoseconds(time_ns)
    notice.expire_time.FromNanoseconds(time_ns + _DAY_NS)
    return notice


def local(words: Text) -> pb.LocalText:
    """A text as notices carry it."""
    return pb.LocalText(zh=words.zh, en=words.en)


def money(currency: str, amount: float) -> Money:
    """A sum, rounded to the cent."""
    return Money(currency_code=currency, amount=f"{amount:.2f}")


def decimal(value: float) -> str:
    """A figure as a decimal of four places."""
    return f"{value:.4f}"


def advice_key(kind: str, subject: str) -> str:
    """What a newer notice of the same advice replaces an older one by."""
    return f"advice:{kind}:{subject}"


def _alert_key(alert: Standing) -> str:
    return f"alert:{ALL[alert.kind].name}:{alert.subject}"
