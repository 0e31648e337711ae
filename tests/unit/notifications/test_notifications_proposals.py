"""What an investor reads of a proposal before a yes and after it: in people's units, in both languages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from notifications import contract, templates
from notifications.channels.wechat.fields import FIELD_LIMITS, first_misfit
from notifications.conversations import exporting, notices, wording
from notifications.conversations.talking import _named
from notifications.domain.sending import ChannelKind, Limits
from notifications.domain.templates import Rendered, render
from notifications.templatebook import every_kind
from smartex.matching.v1.types_pb2 import Instrument
from smartex.notifications.v1 import conversation_service_pb2 as pb
from smartex.positions.v1.types_pb2 import OrderSuggestion

SHARE = Instrument(instrument_id=4, symbol="687018.SH", tick_size="0.01", lot_size="1")
COIN = Instrument(instrument_id=9, symbol="AURX-USD", tick_size="0.01", lot_size="0.0001")
WECHAT = Limits(fields=FIELD_LIMITS)
NOW = datetime(2026, 11, 27, 2, 30, tzinfo=UTC)


def order(instrument: Instrument, lots: int, ticks: int, side: int = 2, number: int = 1) -> OrderSuggestion:
    asked = OrderSuggestion(side=side, quantity_lots=lots, price_ticks=ticks)
    made = _named(asked, instrument)
    made.client_order_id = number
    return made


def told(
    orders: list[OrderSuggestion], language: str, channel: ChannelKind | None, text: str = ""
) -> Rendered:
    thread: Any = {"trader": "zhang", "account_id": 1001}
    row: dict[str, Any] = {"position": 7, "expire_time": NOW, "proposal_id": "p1"}
    proposal = pb.Proposal(orders=orders, reason=text)
    message = notices.of_message(thread, row, "", None, proposal, 3, NOW, "a" * 32)
    notice = contract.notice(message)
    house = {(one.kind, one.language, one.channel): one for one in templates.house()}
    general = house[notice.kind, language, None]
    own = house[notice.kind, language, channel].over(general) if channel is not None else general
    values = {**every_kind(notice.cause_time, notice.expire_time), **notice.values}
    return render(own, values, ZoneInfo("Asia/Shanghai"), WECHAT if channel is not None else None)


@pytest.mark.parametrize(
    ("language", "terms", "reason"),
    [
        ("zh-CN", "卖出 1,100 @ 85.57", "建议3，zhang：分散风险"),
        ("en", "sell 1,100 @ 85.57", "3, zhang: 分散风险"),
    ],
)
def test_wechat_says_what_a_yes_would_trade(language: str, terms: str, reason: str) -> None:
    shown = told([order(SHARE, 1100, 8557)], language, ChannelKind.WECHAT, "分散风险")
    assert shown.provider_template == "advice"
    assert [shown.fields[name] for name in ("thing1", "thing2", "thing4")] == [terms, "687018.SH", reason]
    assert (first_misfit(shown.fields), shown.cuts) == ("", ())


def test_wechat_says_how_many_orders_a_yes_would_place() -> None:
    shown = told([order(SHARE, 100, 8557), order(COIN, 5, 100)], "zh-CN", ChannelKind.WECHAT)
    assert (shown.fields["thing1"], shown.fields["thing2"]) == ("2 笔委托", "687018.SH, AURX-USD")


def test_other_channels_list_the_orders() -> None:
    orders = [order(SHARE, 1100, 8557), order(COIN, 15_000, 200_000, side=1)]
    body = told(orders, "en", None, "Spread the risk").body.splitlines()
    assert body[:2] == ["sell 687018.SH 1,100 @ 85.57", "buy AURX-USD 1.5000 @ 2,000.00"]
    assert body[3:] == ["Spread the risk"]
    assert told(orders, "zh-CN", None).body.splitlines()[:2] == [
        "卖出 687018.SH 1,100 @ 85.57",
        "买入 AURX-USD 1.5000 @ 2,000.00",
    ]


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_neither_many_orders_nor_many_words_cut_what_a_yes_trades_and_how_to_say_it(language: str) -> None:
    long = told([order(SHARE, 1100, 8557)] * 50, language, None, "word " * 150).body
    lines = long[:240].splitlines()
    assert (lines[0], lines[3]) == (
        told([order(SHARE, 1100, 8557)], language, None).body.splitlines()[0],
        "…",
    )
    assert "50" in lines[4]
    assert "同意3" in lines[4]


def test_what_became_of_orders_is_counted_in_units() -> None:
    orders = [order(COIN, 15_000, 200_000, number=1), order(SHARE, 100, 8557, number=2)]
    found = [
        pb.OrderResult(client_order_id=1, order_id=5, accepted=True, filled_lots=5_000),
        pb.OrderResult(client_order_id=2, reason="INSUFFICIENT_FUNDS"),
    ]
    assert wording.results(orders, found, "en") == [
        "AURX-USD: placed, 0.5000 traded",
        "687018.SH: refused (not enough free cash)",
    ]
    assert wording.results(orders, found, "zh-CN") == [
        "AURX-USD：已提交，成交 0.5000",
        "687018.SH：被拒绝（资金不足）",
    ]


def test_an_export_shows_orders_as_they_were_proposed() -> None:
    proposal = pb.Proposal(
        proposal_id="p1",
        number=3,
        state=pb.PROPOSAL_STATE_ACCEPTED,
        reason="Spread the risk",
        orders=[order(COIN, 15_000, 200_000)],
    )
    stamp = Timestamp(seconds=1)
    message = pb.Message(author=pb.PARTY_TRADER, text="See:", create_time=stamp, proposal=proposal)
    lines = exporting.as_text(pb.Thread(title="T"), [message]).decode().splitlines()
    shown = ["proposal 3, accepted: Spread the risk", "sell AURX-USD 1.5000 @ 2,000.00"]
    assert [line.strip() for line in lines[-2:]] == shown
    page = exporting.as_html(pb.Thread(title="T"), [message]).decode()
    assert all(f"<li>{line}</li>" in page for line in shown)


def test_orders_of_before_the_units_were_kept_say_that_they_are_lots() -> None:
    old = OrderSuggestion(symbol="AURX-USD", side=1, quantity_lots=15_000, price_ticks=200_000)
    assert wording.order(old, "en") == "buy AURX-USD 15000 lots @ 200000 ticks"
    assert wording.order(old, "zh-CN") == "买入 AURX-USD 15000 个最小单位 @ 200000 个最小价位"
