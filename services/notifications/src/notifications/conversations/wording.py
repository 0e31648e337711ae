"""What the exchange itself says in a conversation or answers in WeChat, and orders in words, in both languages."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from smartex.notifications.v1 import conversation_service_pb2 as pb
from smartex.positions.v1.types_pb2 import OrderSuggestion

_CHINESE = {
    "accepted": "已同意交易建议 {number}。",
    "declined": "已拒绝交易建议 {number}。",
    "closed": "交易建议 {number} 已失效，无法再回复。",
    "none": "没有等待您回复的交易建议。",
    "several": "有多条交易建议等待回复，请写明编号，例如：同意{number}",
    "which": "如要同意交易建议 {number}，请回复：同意{number}",
    "unknown": "没有编号为 {number} 的交易建议。",
    "passed_on": "已转给您的交易员。",
    "nobody": "您还没有授权交易员，消息未转达。",
    "away": "交易所暂时无法应答，请稍后再回复一次；委托不会重复。",
    "placed": "{symbol}：已提交，成交 {filled}",
    "refused": "{symbol}：被拒绝（{reason}）",
    "buy": "买入",
    "sell": "卖出",
    "lots": "{lots} 个最小单位",
    "ticks": "{ticks} 个最小价位",
    "several_orders": "{count} 笔委托",
}
_ENGLISH = {
    "accepted": "Proposal {number} is accepted.",
    "declined": "Proposal {number} is declined.",
    "closed": "Proposal {number} is closed; it can no longer be answered.",
    "none": "No proposal waits for your answer.",
    "several": "Several proposals wait for an answer; say which, e.g. ok {number}",
    "which": "To accept proposal {number}, say its number: ok {number}",
    "unknown": "There is no proposal {number}.",
    "passed_on": "Passed on to your trader.",
    "nobody": "You have given no trader a mandate; nobody heard this.",
    "away": "The exchange does not answer; reply again in a moment. Nothing is ordered twice.",
    "placed": "{symbol}: placed, {filled} traded",
    "refused": "{symbol}: refused ({reason})",
    "buy": "buy",
    "sell": "sell",
    "lots": "{lots} lots",
    "ticks": "{ticks} ticks",
    "several_orders": "{count} orders",
}
_REASONS = {
    "INSUFFICIENT_FUNDS": ("资金不足", "not enough free cash"),
    "INSUFFICIENT_HOLDINGS": ("可卖数量不足", "not enough that is free to sell"),
    "PRICE_LIMIT": ("价格超出涨跌停价", "the price is outside the day's limits"),
    "INSTRUMENT_HALTED": ("品种暂停交易", "trading is halted"),
    "INSTRUMENT_CLOSED": ("品种已闭市", "the market is closed"),
    "ACCOUNT_HALTED": ("账户已被交易所暂停交易", "the account is halted by the exchange"),
    "QUANTITY_TOO_LARGE": ("数量超过上限", "the quantity is over the largest"),
    "OFF_LOT": ("数量不是整手", "the quantity is off the lot"),
    "OFF_TICK": ("价格不合最小变动价位", "the price is off the tick"),
    "INVALID_PRICE": ("价格无效", "the price is out of range"),
    "VENUE_FULL": ("交易所订单已满", "the venue can hold no more orders"),
    "SELF_TRADE": ("会与本账户的委托成交", "it met an order of the same account"),
    "NOT_PLACED": ("未能及时提交", "it could not be placed in time"),
}


def say(key: str, language: str, **values: object) -> str:
    """Words for a key in a language ("zh-CN", else English)."""
    return (_CHINESE if language == "zh-CN" else _ENGLISH)[key].format(**values)


def outcome(proposal: pb.Proposal, language: str) -> str:
    """What became of an answered proposal: a line, and one for each order."""
    key = "accepted" if proposal.state == pb.PROPOSAL_STATE_ACCEPTED else "declined"
    return "\n".join(
        [say(key, language, number=proposal.number), *results(proposal.orders, proposal.results, language)]
    )


def results(orders: Sequence[OrderSuggestion], found: Sequence[pb.OrderResult], language: str) -> list[str]:
    """A line for each order."""
    ordered, lines = {each.client_order_id: each for each in orders}, []
    for each in found:
        one = ordered.get(each.client_order_id, OrderSuggestion())
        key, filled = "placed" if each.accepted else "refused", amount(one, each.filled_lots, language)
        lines.append(say(key, language, symbol=one.symbol, filled=filled, reason=why(each.reason, language)))
    return lines


def why(reason: str, language: str) -> str:
    """Why an order was refused; the bare reason where an order of a proposal hardly ever meets it."""
    chinese, english = _REASONS.get(reason, (reason, reason))
    return chinese if language == "zh-CN" else english


def order(one: OrderSuggestion, language: str) -> str:
    """An order as it would be placed."""
    return f"{_side(one, language)} {one.symbol} {_quantity_and_price(one, language)}"


def terms(orders: Sequence[OrderSuggestion], language: str) -> str:
    """Orders in a few words, without their symbols: one with its terms, of several how many they are."""
    if len(orders) > 1:
        return say("several_orders", language, count=len(orders))
    return f"{_side(orders[0], language)} {_quantity_and_price(orders[0], language)}"


def amount(one: OrderSuggestion, lots: int, language: str) -> str:
    """Lots of an order in units; in lots if it was proposed before orders brought their units."""
    if not one.quantity:
        return say("lots", language, lots=lots)
    return f"{lots * (Decimal(one.quantity) / one.quantity_lots):,f}"


def _quantity_and_price(one: OrderSuggestion, language: str) -> str:
    price = f"{Decimal(one.price):,f}" if one.price else say("ticks", language, ticks=one.price_ticks)
    return f"{amount(one, one.quantity_lots, language)} @ {price}"


def _side(one: OrderSuggestion, language: str) -> str:
    return say("buy" if one.side == 1 else "sell", language)
