"""Values written for a reader: numbers, parts, money and times in their language and time zone."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_datetime
from babel.numbers import format_currency, format_decimal, format_percent

from notifications.domain.notice import LocalText, Money, Number, Percent, Value

MISSING: Final = "–"
"""Written for a value that a notice does not bring."""

_LOCALES: Final = {"zh-CN": Locale("zh", "CN", "Hans"), "en": Locale("en")}
_NOT_ASCII: Final = re.compile(r"[^\x20-\x7e]+")
_SPACE: Final = re.compile(r"\s+")
_PERCENT_PATTERN: Final = "#,##0.#%"


def write(value: Value | None, language: str, zone: ZoneInfo, style: str = "") -> str:
    """Return a value as the reader reads it. `style` is the type of a provider's field (`amount`), if any."""
    if value is None:
        return "-" if style == "character_string" else MISSING
    if style in _STYLES:
        return _STYLES[style](value, language, zone)
    return _plain(value, language, zone)


def fit(text: str, style: str) -> str:
    """Return a whole field as its type takes it: no line breaks, no foreign characters."""
    text = _SPACE.sub(" ", text).strip()
    return _ascii(text) if style == "character_string" else text or MISSING


def _plain(value: Value, language: str, zone: ZoneInfo) -> str:
    locale = _LOCALES[language]
    match value:
        case LocalText():
            return value.language(language)
        case Number():
            return format_decimal(value.value, locale=locale)
        case Percent():
            return format_percent(value.value, _PERCENT_PATTERN, locale=locale)
        case Money():
            return format_currency(value.amount, value.currency, locale=locale)
        case datetime():
            return format_datetime(value, _TIME_PATTERNS[language], tzinfo=zone, locale=locale)
    return value


_TIME_PATTERNS: Final = {"zh-CN": "M月d日 HH:mm", "en": "MMM d, HH:mm"}


def _ascii(text: str) -> str:
    return _SPACE.sub(" ", _NOT_ASCII.sub(" ", text)).strip() or "-"


def _character_string(value: Value, language: str, zone: ZoneInfo) -> str:
    if isinstance(value, Money):
        return f"{value.currency} {value.amount:.2f}"
    if isinstance(value, datetime):
        return _time(value, language, zone)
    return _ascii(_plain(value, "en", zone))


def _number(value: Value, language: str, zone: ZoneInfo) -> str:
    match value:
        case Number(number) | Percent(number):
            return f"{number.normalize():f}"
        case Money():
            return f"{value.amount:.2f}"
    return _plain(value, language, zone)


def _amount(value: Value, language: str, zone: ZoneInfo) -> str:
    if not isinstance(value, Money):
        return _number(value, language, zone)
    return f"{value.amount:.2f}元" if value.currency == "CNY" else f"{value.amount:.2f}"


def _time(value: Value, language: str, zone: ZoneInfo) -> str:
    if isinstance(value, datetime):
        return value.astimezone(zone).strftime("%Y-%m-%d %H:%M")
    return _plain(value, language, zone)


def _date(value: Value, language: str, zone: ZoneInfo) -> str:
    if isinstance(value, datetime):
        return value.astimezone(zone).strftime("%Y-%m-%d")
    return _plain(value, language, zone)


_STYLES: Final = {
    "character_string": _character_string,
    "number": _number,
    "amount": _amount,
    "time": _time,
    "date": _date,
}


def decimal(text: str) -> Decimal | None:
    """Return the number in a text, or None if it is none or far too long to be shown."""
    if not re.fullmatch(r"[-+]?\d{1,24}(\.\d{1,12})?", text):
        return None
    return Decimal(text)
