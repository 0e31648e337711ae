"""Alerts, advice and profiles as messages of the contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import asyncpg
from smartex.positions.v1 import advice_pb2 as pb
from smartex.positions.v1 import risk_pb2, types_pb2

from positions import wording
from positions.domain.limits import KINDS, Limits
from positions.domain.outcomes import hit_rate, taken_share
from positions.texts import Text, text


def words(said: Text) -> types_pb2.Text:
    """A text."""
    return types_pb2.Text(zh=said.zh, en=said.en)


def alert(row: asyncpg.Record, subject: Text) -> pb.Alert:
    """An alert from its row; `subject` is the name of what it is about."""
    message = pb.Alert(
        alert_id=row["alert_id"],
        account_id=row["account_id"],
        kind=row["kind"],
        subject=row["subject"],
        instrument_id=0 if row["kind"] == "industry_concentration" else row["subject_id"],
        severity=row["severity"],
        state=row["state"],
        value=row["value"],
        threshold=row["threshold"],
        worst=row["worst"],
        sequence=row["sequence"],
        advice_id=row["advice_id"],
        text=words(wording.alert(row["kind"], subject, row["value"], row["threshold"])),
        trace_id=row["trace_id"],
    )
    message.raise_time.FromNanoseconds(row["raise_time_ns"])
    if row["clear_time_ns"] is not None:
        message.clear_time.FromNanoseconds(row["clear_time_ns"])
    return message


def advice(
    row: asyncpg.Record, orders: Iterable[asyncpg.Record], record: Mapping[str, Any] | None
) -> pb.Advice:
    """Advice from its row, its orders and its kind's record."""
    listed = list(orders)
    message = pb.Advice(
        advice_id=row["advice_id"],
        account_id=row["account_id"],
        kind=row["kind"],
        title=words(wording.title(row["kind"], row["facts"])),
        reason=words(wording.reason(row["kind"], row["facts"])),
        what_if=[_what_if(*figure) for figure in row["what_if"]],
        orders=suggestions(listed),
        severity=row["severity"],
        state=row["state"],
        cause_id=row["cause_id"],
        trace_id=row["trace_id"],
        record=advice_record(row["kind"], record),
        caveat=words(wording.caveats(row["caveats"])),
    )
    message.create_time.FromNanoseconds(row["create_time_ns"])
    message.expire_time.FromNanoseconds(row["expire_time_ns"])
    _outcome(message, row, listed)
    return message


def suggestions(orders: Iterable[asyncpg.Record]) -> list[types_pb2.OrderSuggestion]:
    """Orders that are ready to be placed."""
    return [
        types_pb2.OrderSuggestion(
            instrument_id=row["instrument_id"],
            symbol=row["symbol"],
            side=row["side"],
            quantity_lots=row["quantity_lots"],
            price_ticks=row["price_ticks"],
            client_order_id=row["client_order_id"],
        )
        for row in orders
    ]


def advice_record(kind: str, row: Mapping[str, Any] | None) -> pb.AdviceRecord:
    """How a kind of advice did so far; zeros where none was given."""
    counts = row or {"given": 0, "taken": 0, "dismissed": 0, "settled": 0, "helped": 0}
    value, low, high = hit_rate(counts["helped"], counts["settled"])
    return pb.AdviceRecord(
        kind=kind,
        given=counts["given"],
        taken=counts["taken"],
        dismissed=counts["dismissed"],
        settled=counts["settled"],
        hit_rate=types_pb2.Estimate(value=value, low=low, high=high, sample_size=counts["settled"]),
        definition=words(text(f"advice.{kind}.helped")),
    )


def limits(own: Limits) -> risk_pb2.Limits:
    """Thresholds; None is unset."""
    chosen = {kind: getattr(own, kind) for kind in KINDS}
    return risk_pb2.Limits(**{kind: value for kind, value in chosen.items() if value is not None})


def _outcome(message: pb.Advice, row: asyncpg.Record, orders: list[asyncpg.Record]) -> None:
    """What became of it, as far as it is known: lots traded and the reason at once, the rest once it is settled."""
    traded = sum(order["traded_lots"] for order in orders)
    if not (row["settled"] or traded or row["dismiss_reason"]):
        return
    suggested = sum(order["quantity_lots"] for order in orders)
    message.outcome.taken_share = row["taken_share"] if row["settled"] else taken_share(suggested, traded)
    message.outcome.dismiss_reason = row["dismiss_reason"]
    if row["settled"]:
        message.outcome.benefit, message.outcome.helped = row["benefit"], row["helped"]
        message.outcome.settle_time.FromNanoseconds(row["settled_ns"])


def _what_if(key: str, unit: str, before: float, after: float) -> pb.WhatIf:
    return pb.WhatIf(key=key, name=words(text(f"figure.{key}")), before=before, after=after, unit=unit)
