"""A proposal in two lines of at most `ROOM` characters: what a template card in WeChat has room for.

WeChat refuses a field that is too long, and half a quantity or a sum without its unit would be a lie. So every line
is written in ever shorter ways until one fits:

    one order     卖出 1,100 @ 85.57              687018.SH
    two orders    卖687018 1100@85.57             买609018 500@12.8
    more          卖2笔约12.3万元，买1笔约6400元      687018、609018、600519
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from smartex.positions.v1.types_pb2 import OrderSuggestion

from notifications.conversations import wording

ROOM = 20
"""Characters of a `thing`, the field of WeChat that takes words of any kind."""

_BUY = 1
_SIDES = {"zh-CN": ("买", "卖"), "en": ("buy ", "sell ")}
_LETTERS = ("B ", "S ")
_MONEY = {"CNY": "元", "USD": "美元", "HKD": "港元"}
_LARGE = ((Decimal(10**8), "亿"), (Decimal(10**4), "万"))


def brief(orders: Sequence[OrderSuggestion], language: str) -> tuple[str, str]:
    """Two lines that say what a yes would trade: up to two orders with all their terms, more by their sums."""
    if len(orders) == 1:
        return _terms(orders[0], language), orders[0].symbol
    if len(orders) == 2 and (lines := [_order(one, language) for one in orders]) and all(lines):
        return lines[0], lines[1]
    return _sums(orders, language), _codes(orders, language)


def _terms(one: OrderSuggestion, language: str) -> str:
    """Side, quantity and price of an order; as long as they are where no way of writing them fits."""
    terms = wording.terms([one], language)
    if not (one.quantity and one.price):
        return terms
    return _first_fitting([terms, *_written(one, language, "")]) or terms


def _order(one: OrderSuggestion, language: str) -> str:
    """Side, code, quantity and price of an order; empty if they do not fit."""
    if not (one.quantity and one.price):
        return ""
    return _first_fitting(_written(one, language, f"{_code(one)} "))


def _written(one: OrderSuggestion, language: str, code: str) -> Iterator[str]:
    """Ways to write an order, the longest first."""
    at = 0 if one.side == _BUY else 1
    sides = [_SIDES[language][at]] if language == "zh-CN" else [_SIDES[language][at], _LETTERS[at]]
    quantity, price = Decimal(one.quantity), _plain(Decimal(one.price))
    quantities = [_plain(quantity)]
    if language == "zh-CN" and quantity >= 10_000:
        quantities.append(f"{_plain(quantity / 10_000)}万")
    return (f"{side}{code}{many}@{price}" for side in sides for many in quantities)


def _sums(orders: Sequence[OrderSuggestion], language: str) -> str:
    """How many are sold and bought, and for how much where all are in one currency."""
    sides = [(number, [one for one in orders if (one.side == _BUY) == (number == 0)]) for number in (1, 0)]
    told = [(_SIDES[language][number].strip(), members) for number, members in sides if members]
    if language != "zh-CN":
        return ", ".join(f"{side} {len(members)}" for side, members in told)
    counts = "，".join(f"{side}{len(members)}笔" for side, members in told)
    priced = [(f"{side}{len(members)}笔", _money(members)) for side, members in told]
    if len({one.currency_code for one in orders}) > 1 or not all(money for _, money in priced):
        return counts
    return _first_fitting(["，".join(f"{count}约{money}" for count, money in priced), counts])


def _money(orders: Iterable[OrderSuggestion]) -> str:
    """What orders are worth at their limits, in Chinese; empty where that is not known."""
    worth = Decimal(0)
    unit = ""
    for one in orders:
        if not (one.quantity and one.price):
            return ""
        worth += Decimal(one.quantity) * Decimal(one.price)
        unit = _MONEY.get(one.currency_code, one.currency_code)
    for size, name in _LARGE:
        if worth >= size:
            return f"{_plain((worth / size).quantize(Decimal('0.1')))}{name}{unit}"
    return f"{_plain(worth.quantize(Decimal(1)))}{unit}"


def _codes(orders: Sequence[OrderSuggestion], language: str) -> str:
    """What is traded: as many codes as fit, and how many there are."""
    codes = list(dict.fromkeys(_code(one) for one in orders))
    comma = "、" if language == "zh-CN" else ", "
    shorter = [
        comma.join(codes[:count])
        + (f"等{len(codes)}只" if language == "zh-CN" else f" +{len(codes) - count}")
        for count in range(len(codes) - 1, 0, -1)
    ]
    return _first_fitting([comma.join(codes), *shorter]) or codes[0]


def _code(one: OrderSuggestion) -> str:
    """The symbol without its exchange: six digits say that already."""
    code, _, place = one.symbol.partition(".")
    return code if len(code) == 6 and code.isdigit() and place in ("SH", "SZ", "BJ") else one.symbol


def _plain(number: Decimal) -> str:
    """A number without separators and trailing zeros."""
    return f"{number.normalize():f}"


def _first_fitting(lines: Iterable[str]) -> str:
    return next((line for line in lines if len(line) <= ROOM), "")
