"""The compiled router against plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matching import reports
from matching.domain import EVENT
from matching.reports import Owners, messages, messages_of
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1.log_pb2 import EventKind
from smartex.matching.v1.order_entry_pb2 import TradeResponse

PLAIN = {
    EventKind.EVENT_KIND_ACCEPTED: types.REPORT_KIND_ACCEPTED,
    EventKind.EVENT_KIND_REJECTED: types.REPORT_KIND_REJECTED,
    EventKind.EVENT_KIND_CANCELLED: types.REPORT_KIND_CANCELLED,
    EventKind.EVENT_KIND_AMENDED: types.REPORT_KIND_AMENDED,
    EventKind.EVENT_KIND_AMEND_REJECTED: types.REPORT_KIND_AMEND_REJECTED,
    EventKind.EVENT_KIND_CANCEL_REJECTED: types.REPORT_KIND_CANCEL_REJECTED,
    EventKind.EVENT_KIND_MASS_CANCELLED: types.REPORT_KIND_MASS_CANCELLED,
    EventKind.EVENT_KIND_REDUCED: types.REPORT_KIND_CANCELLED,
}
SAME = (
    "instrument_id",
    "client_order_id",
    "order_id",
    "request_id",
    "side",
    "price_ticks",
    "quantity_lots",
    "leaves_lots",
    "reason",
    "required",
    "available",
)


def plain_reports(event: dict[str, int], sequence: int, time_ns: int) -> list[tuple[int, types.Report]]:
    """What the owners read of an event, written for reading."""
    report = types.Report(sequence=sequence, event_time_ns=time_ns, **{name: event[name] for name in SAME})  # type: ignore[arg-type]
    if event["reason"] == types.REASON_CANCELLED_BY_OPERATOR:
        report.request_id = 0
    if event["kind"] == EventKind.EVENT_KIND_TRADE:
        report.kind, report.trade_id, report.request_id = types.REPORT_KIND_FILLED, sequence, 0
        taker, maker = types.Report(), types.Report()
        taker.CopyFrom(report)
        maker.CopyFrom(report)
        taker.liquidity, taker.fee_micros = types.LIQUIDITY_TAKER, event["fee_micros"]
        maker.liquidity, maker.fee_micros = types.LIQUIDITY_MAKER, event["counter_fee_micros"]
        maker.side = 3 - event["side"]  # type: ignore[assignment]
        maker.order_id, maker.client_order_id = event["counter_order_id"], event["counter_client_order_id"]
        maker.leaves_lots = event["counter_leaves_lots"]
        for each in (taker, maker):
            each.tax_micros = event["tax_micros"] if each.side == types.SIDE_SELL else 0
        return [(event["account_id"], taker), (event["counter_account_id"], maker)]
    if event["kind"] == EventKind.EVENT_KIND_REPEATED:
        rejected, amend = event["flags"] & 2, event["flags"] & 4
        if not amend and event["client_order_id"] <= 0:
            return []
        report.repeated = True
        if amend:
            report.kind = types.REPORT_KIND_AMEND_REJECTED if rejected else types.REPORT_KIND_AMENDED
        else:
            report.kind = types.REPORT_KIND_REJECTED if rejected else types.REPORT_KIND_ACCEPTED
        return [(event["account_id"], report)]
    if event["kind"] not in PLAIN:
        return []
    report.kind = PLAIN[event["kind"]]  # type: ignore[index]
    report.kept_priority = bool(event["flags"] & 1) and event["kind"] == EventKind.EVENT_KIND_AMENDED
    return [(event["account_id"], report)]


ACCOUNTS = (1, 2, 3, 2**32 - 1)


@st.composite
def event_rows(draw: st.DrawFn) -> Any:
    count = draw(st.integers(0, 30))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    events = np.zeros(count, EVENT)
    for name in EVENT.names or ():
        events[name] = random.integers(0, 100, count)
    events["kind"] = random.integers(0, 27, count)
    events["reason"] = random.choice((0, types.REASON_MASS_CANCEL, types.REASON_CANCELLED_BY_OPERATOR), count)
    events["side"] = random.integers(1, 3, count)
    events["flags"] = random.integers(0, 8, count)
    events["client_order_id"] = random.integers(-1, 5, count)
    large = random.integers(0, 2, count) == 1  # rows of more than 127 bytes have a longer length
    for name in (
        "order_id",
        "request_id",
        "price_ticks",
        "quantity_lots",
        "leaves_lots",
        "required",
        "available",
    ):
        events[name][large] = random.integers(-(2**62), 2**62, int(large.sum()))
    for name in ("account_id", "counter_account_id"):
        events[name] = random.choice(np.array((*ACCOUNTS, 9, 77), np.uint32), count)
    return events


@settings(max_examples=100, deadline=None)
@given(event_rows())
def test_the_router_says_what_plain_python_says(events: Any) -> None:
    names = EVENT.names or ()
    wanted: dict[int, list[types.Report]] = {}
    for place, row in enumerate(events):
        event = dict(zip(names, row.item(), strict=True))
        for account, report in plain_reports(event, 1000 + place, 5):
            if account in ACCOUNTS:
                wanted.setdefault(account, []).append(report)
    assert read(messages(Owners.of(ACCOUNTS), 1000, 5, events)) == wanted
    for account in ACCOUNTS:
        alone = [(account, message) for message in messages_of(account, 1000, 5, events)]
        assert read(alone).get(account, []) == wanted.get(account, [])


def read(found: list[tuple[int, bytes]]) -> dict[int, list[types.Report]]:
    """The reports of each account in its messages, as the protobuf runtime reads them."""
    told: dict[int, list[types.Report]] = {}
    for account, message in found:
        told.setdefault(account, []).extend(TradeResponse.FromString(message).reports)
    return told


def test_many_reports_come_in_several_messages_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    events = np.zeros(1000, EVENT)
    events["kind"], events["account_id"] = EventKind.EVENT_KIND_ACCEPTED, np.arange(1000) % 2 + 1
    whole = read(messages(Owners.of((1, 2)), 7, 5, events))
    monkeypatch.setattr(reports, "EVENTS_PER_MESSAGE", 300)
    parts = messages(Owners.of((1, 2)), 7, 5, events)
    assert len(parts) == 8
    assert read(parts) == whole
    assert [report.sequence for report in whole[2]] == list(range(8, 1007, 2))


@given(st.sets(st.integers(1, 2**32 - 1), max_size=300))
def test_every_account_has_its_slot(accounts: set[int]) -> None:
    owners = Owners.of(sorted(accounts))
    events = np.zeros(len(accounts), EVENT)
    events["kind"], events["account_id"] = 1, sorted(accounts, reverse=True)
    found = read(messages(owners, 1, 0, events))
    assert {account: len(told) for account, told in found.items()} == dict.fromkeys(accounts, 1)
