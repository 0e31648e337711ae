"""What an investor reads of a proposal before a yes and after it: in people's units, in both languages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from notifications import contract, templates
from notifications.channels.wechat.fields import FIELD_LIMITS, first_misfit
from notifications.conversations import exporting, notices, wording
from notifications.conversations.brief import ROOM, brief
from notifications.conversations.talking import _named
from notifications.domain.sending import ChannelKind, Limits
from notifications.domain.templates import Rendered, render
from notifications.templatebook import every_kind
from smartex.matching.v1.types_pb2 import Instrument
from smartex.notifications.v1 import conversation_service_pb2 as pb
from smartex.positions.v1.types_pb2 import OrderSuggestion

SHARE = Instrument(instrument_id=4, symbol="687018.SH", tick_size="0.01", lot_size="1", currency_code="CNY")
COIN = Instrument(
    instrument_id=9, symbol="AURX-USD", tick_size="0.01", lot_size="0.0001", currency_code="USD"
)
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
        ("zh-CN", "卖出 1,100 @ 85.57", "回复同意3执行。zhang：分散风险"),
        ("en", "sell 1,100 @ 85.57", "Say ok 3. zhang: 分散…"),
    ],
)
def test_wechat_says_what_a_yes_would_trade(language: str, terms: str, reason: str) -> None:
    shown = told([order(SHARE, 1100, 8557)], language, ChannelKind.WECHAT, "分散风险")
    assert shown.provider_template == "advice"
    assert [shown.fields[name] for name in ("thing1", "thing2", "thing4")] == [terms, "687018.SH", reason]
    assert first_misfit(shown.fields) == ""


BANK = Instrument(instrument_id=5, symbol="609018.SH", tick_size="0.01", lot_size="1", currency_code="CNY")


@pytest.mark.parametrize(
    ("language", "orders", "first", "second"),
    [
        # Two orders: each with all its terms.
        (
            "zh-CN",
            [order(SHARE, 1100, 8557), order(BANK, 500, 1280, side=1)],
            "卖687018 1100@85.57",
            "买609018 500@12.8",
        ),
        (
            "en",
            [order(SHARE, 1100, 8557), order(BANK, 500, 1280, side=1)],
            "S 687018 1100@85.57",
            "buy 609018 500@12.8",
        ),
        (
            "zh-CN",
            [order(SHARE, 120_000, 18_557), order(COIN, 15_000, 200_000, side=1)],
            "卖687018 12万@185.57",
            "买AURX-USD 1.5@2000",
        ),
        # More: how many and how much of each side, and of what.
        (
            "zh-CN",
            [order(SHARE, 1100, 8557), order(BANK, 500, 1280), order(BANK, 5000, 1270, side=1)],
            "卖2笔约10.1万元，买1笔约6.4万元",
            "687018、609018",
        ),
        ("zh-CN", [order(BANK, 500, 1280)] * 3, "卖3笔约1.9万元", "609018"),
        # Sums of two currencies are none.
        (
            "zh-CN",
            [order(SHARE, 100, 8557), order(COIN, 5, 100), order(BANK, 100, 1280, side=1)],
            "卖2笔，买1笔",
            "687018、AURX-USD等3只",
        ),
        (
            "en",
            [order(SHARE, 100, 8557), order(COIN, 5, 100), order(BANK, 100, 1280, side=1)],
            "sell 2, buy 1",
            "687018, AURX-USD +1",
        ),
        # What does not fit with its terms is not cut, but counted.
        (
            "zh-CN",
            [order(SHARE, 123_456, 1_855_789), order(BANK, 100, 1280)],
            "卖2笔约22.9亿元",
            "687018、609018",
        ),
    ],
)
def test_wechat_says_what_several_orders_would_trade(
    language: str, orders: list[OrderSuggestion], first: str, second: str
) -> None:
    shown = told(orders, language, ChannelKind.WECHAT)
    assert (shown.fields["thing1"], shown.fields["thing2"]) == (first, second)
    assert (first_misfit(shown.fields), shown.cuts) == ("", ())


ORDERS = st.lists(
    st.builds(
        order,
        st.sampled_from([SHARE, BANK, COIN]),
        st.integers(1, 10**12),
        st.integers(1, 10**9),
        st.sampled_from([1, 2]),
    ),
    min_size=2,
    max_size=50,
)


@given(ORDERS, st.sampled_from(["zh-CN", "en"]))
def test_what_several_orders_trade_is_never_cut(orders: list[OrderSuggestion], language: str) -> None:
    lines = brief(orders, language)
    assert all(0 < len(line) <= ROOM for line in lines)


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
