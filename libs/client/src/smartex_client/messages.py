"""Reasons of the market in words, English and Chinese, with their numbers in people's units."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1.types_pb2 import Instrument, Reason

from . import convert
from .errors import InsufficientFunds, InsufficientHoldings, OrderRejected
from .words import reason_name

ENGLISH, CHINESE = "en", "zh-CN"
LANGUAGES = (ENGLISH, CHINESE)

_WORDS: dict[str, tuple[str, str]] = {
    "INVALID_ID": ("the id is missing or not positive", "编号缺失或不是正数"),
    "REQUEST_TOO_OLD": (
        "the request is older than the venue can vouch for: ask for the order instead of sending it again",
        "请求时间过早，交易所无法确认是否重复：请查询订单，不要重发",
    ),
    "REQUEST_FROM_FUTURE": (
        "the request lies in the future: set this machine's clock",
        "请求时间晚于交易所时间：请校准本机时钟",
    ),
    "INVALID_SIDE": ("the side must be buy or sell", "方向必须是买或卖"),
    "INVALID_ORDER_TYPE": ("the order type must be limit or market", "订单类型必须是限价或市价"),
    "INVALID_TIME_IN_FORCE": (
        "this time in force does not fit the order (market orders are ioc or fok)",
        "有效期与订单类型不符（市价单只能是 ioc 或 fok）",
    ),
    "INVALID_POST_ONLY": (
        "post-only fits limit orders that stay (gtc, day, gtd)",
        "只挂单仅适用于 gtc、day、gtd 限价单",
    ),
    "INVALID_SELF_TRADE_PREVENTION": ("unknown self-trade prevention", "未知的自成交防范方式"),
    "INVALID_MIN_QUANTITY": (
        "a minimum quantity fits ioc orders and is at most the quantity",
        "最小成交量仅适用于 ioc 订单，且不超过委托数量",
    ),
    "INVALID_EXPIRE_TIME": (
        "a gtd order needs an end in the future, others none",
        "gtd 订单需要未来的到期时间，其他订单不可带到期时间",
    ),
    "UNKNOWN_INSTRUMENT": ("no such instrument", "没有这个品种"),
    "INSTRUMENT_HALTED": (
        "trading is halted: only cancels work; try again later",
        "品种已暂停交易：只能撤单，请稍后再试",
    ),
    "INSTRUMENT_CLOSED": ("the market is closed: only cancels work", "品种已闭市：只能撤单"),
    "INVALID_QUANTITY": ("the quantity must be greater than zero", "数量必须大于零"),
    "QUANTITY_TOO_LARGE": ("the quantity is over the largest of {required}", "数量超过上限 {required}"),
    "OFF_LOT": ("the quantity must be a multiple of {required}", "数量必须是 {required} 的整数倍"),
    "INVALID_PRICE": (
        "the price must lie above zero and at most at {required} (a market order has none)",
        "价格必须大于零且不超过 {required}（市价单不带价格）",
    ),
    "OFF_TICK": ("the price must be a multiple of {required}", "价格必须是 {required} 的整数倍"),
    "PRICE_LIMIT": (
        "price {available} is outside the day's limit of {required}",
        "价格 {available} 超出当日涨跌停价 {required}",
    ),
    "NO_LIQUIDITY": ("nobody is on the other side: give a price", "对手方没有报价：请改用限价单"),
    "POST_ONLY_WOULD_TRADE": (
        "it would trade at once with {required}: give a less eager price",
        "只挂单会立即与 {required} 成交：请调整价格",
    ),
    "INSUFFICIENT_FUNDS": (
        "needs {required} {currency}, free {available}",
        "需要 {required} {currency}，可用 {available}",
    ),
    "INSUFFICIENT_HOLDINGS": (
        "needs {required} {symbol}, free to sell {available}",
        "需要 {required} 份 {symbol}，可卖 {available}",
    ),
    "VENUE_FULL": ("the venue can hold no more orders: try again later", "交易所订单已满：请稍后再试"),
    "UNKNOWN_ORDER": ("no open order of this account has that id", "本账户没有此编号的未完成订单"),
    "QUANTITY_BELOW_EXECUTED": (
        "the new quantity {required} is not over the {available} already traded",
        "新数量 {required} 未超过已成交的 {available}",
    ),
    "UNKNOWN_SESSION": ("the session is unknown or has ended", "会话不存在或已结束"),
    "INVALID_COMMAND": ("the command is unknown", "未知的指令"),
    "INVALID_AMOUNT": ("the amount is not positive or too large", "金额不是正数或过大"),
    "UNKNOWN_CURRENCY": ("no such currency", "没有这种货币"),
    "INVALID_INSTRUMENT": (
        "the instrument's rules contradict each other or what rests under the old ones",
        "品种规则自相矛盾，或与现有挂单冲突",
    ),
    "ACCOUNT_HALTED": (
        "the account is halted by the exchange: only cancels work",
        "账户已被交易所暂停交易：只能撤单",
    ),
    "UNKNOWN_ACCOUNT": (
        "no such account: it begins with its first deposit",
        "没有这个账户：首次入金后才会开立",
    ),
    "LIMIT_REACHED": ("the venue has no room for another one", "交易所容量已满"),
    "CANCELLED_BY_OWNER": ("cancelled by its owner", "已由本人撤销"),
    "IOC_REST": ("the rest could not trade at once", "剩余部分未能立即成交，已撤销"),
    "FOK_NOT_FILLABLE": ("it could not be filled in full", "无法全部成交，已撤销"),
    "MIN_QUANTITY_NOT_MET": ("the minimum quantity was not there", "未达到最小成交量，已撤销"),
    "SELF_TRADE": ("it met an order of the same account", "遇到本账户的订单，已防止自成交"),
    "MASS_CANCEL": ("mass cancel", "批量撤单"),
    "EXPIRED": ("its time came", "已到期"),
    "DAY_ENDED": ("the trading day ended", "交易日结束"),
    "DISCONNECTED": ("its session was silent for too long", "会话断开超时，已撤销"),
    "CANCELLED_BY_OPERATOR": ("cancelled by the exchange", "已被交易所撤销"),
    "LIMITS_MOVED": ("the day's limits moved away from its price", "涨跌停价调整，原价格已超出限制，已撤销"),
}

_PRICES = {
    types.REASON_INVALID_PRICE,
    types.REASON_OFF_TICK,
    types.REASON_PRICE_LIMIT,
    types.REASON_POST_ONLY_WOULD_TRADE,
}
_QUANTITIES = {
    types.REASON_QUANTITY_TOO_LARGE,
    types.REASON_OFF_LOT,
    types.REASON_INSUFFICIENT_HOLDINGS,
    types.REASON_QUANTITY_BELOW_EXECUTED,
}
_ERRORS: dict[int, type[OrderRejected]] = {
    types.REASON_INSUFFICIENT_FUNDS: InsufficientFunds,
    types.REASON_INSUFFICIENT_HOLDINGS: InsufficientHoldings,
}


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of a rejection in people's units; None where the reason has none."""

    required: Decimal | None
    available: Decimal | None


def numbers(instrument: Instrument | None, reason: int, required: int, available: int) -> Numbers:
    """What `required` and `available` of a report mean, by its reason."""
    if reason == types.REASON_INSUFFICIENT_FUNDS:
        return Numbers(convert.from_micros(required), convert.from_micros(available))
    if instrument is None:
        return Numbers(None, None)
    if reason in _PRICES:
        return Numbers(convert.from_ticks(instrument, required), convert.from_ticks(instrument, available))
    if reason in _QUANTITIES:
        return Numbers(convert.from_lots(instrument, required), convert.from_lots(instrument, available))
    return Numbers(None, None)


def message(instrument: Instrument | None, reason: int, found: Numbers, language: str = ENGLISH) -> str:
    """The reason in words; its bare name if this version does not know it."""
    name = reason_name(Reason, reason)
    texts = _WORDS.get(name)
    if texts is None:
        return name.lower().replace("_", " ")
    return texts[language == CHINESE].format(
        required=grouped(found.required),
        available=grouped(found.available),
        currency=instrument.currency_code if instrument else "",
        symbol=instrument.symbol if instrument else "",
    )


def rejection(
    instrument: Instrument | None, reason: int, required: int, available: int, language: str
) -> OrderRejected:
    """The error of a rejected command."""
    found = numbers(instrument, reason, required, available)
    kind = _ERRORS.get(reason, OrderRejected)
    return kind(
        message(instrument, reason, found, language),
        reason=reason_name(Reason, reason),
        required=found.required,
        available=found.available,
    )


def grouped(number: Decimal | None) -> str:
    """A number with thousands apart, e.g. 1,234.50; "?" if there is none."""
    return "?" if number is None else f"{number:,f}"
