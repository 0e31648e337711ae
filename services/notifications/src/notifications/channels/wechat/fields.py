"""What a field of a template takes, by the type that its name begins with.

Source: developers.weixin.qq.com, 订阅消息参数值内容限制说明. What does not fit is refused by WeChat with 47003.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_CLOCK: Final = r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d)?"
_DAY: Final = r"(\d{4}年)?\d{1,2}月\d{1,2}日|\d{4}年\d{1,2}月|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}"
_TIME: Final = rf"(({_DAY})\s?)?{_CLOCK}"
_DATE: Final = rf"({_DAY})(\s?{_CLOCK})?"

FIELD_LIMITS: Final[Mapping[str, int]] = {
    "thing": 20,
    "number": 32,
    "letter": 32,
    "symbol": 5,
    "character_string": 32,
    "time": 64,
    "date": 64,
    "amount": 16,
    "phone_number": 17,
    "car_number": 8,
    "name": 20,
    "phrase": 5,
    "const": 20,
    "enum": 20,
}
"""Characters at most. `name`: 10 if any of them is Chinese."""

_PATTERNS: Final[Mapping[str, re.Pattern[str]]] = {
    "number": re.compile(r"[-+]?\d+(\.\d+)?"),
    "letter": re.compile(r"[A-Za-z]+"),
    "symbol": re.compile(r"[^\w\s]+"),
    "character_string": re.compile(r"[\x20-\x7e]+"),
    "time": re.compile(rf"{_TIME}(~{_TIME})?"),
    "date": re.compile(rf"{_DATE}(~{_DATE})?"),
    "amount": re.compile(r"[^\w\s]?\d{1,10}(\.\d+)?元?"),
    "phone_number": re.compile(r"[\d+\-() ]+"),
    "name": re.compile(r"(?=.*[\u4e00-\u9fff]).{1,10}|[^\u4e00-\u9fff]+"),
    "phrase": re.compile(r"[\u4e00-\u9fff]+"),
}
_NAME: Final = re.compile(r"([a-z_]+?)\d{1,2}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def field_type(name: str) -> str:
    """Return the type of a field, `thing` of `thing1`; the empty text if it has none that is known."""
    found = _NAME.fullmatch(name)
    return found[1] if found and found[1] in FIELD_LIMITS else ""


def field_fits(name: str, value: str) -> bool:
    """Return whether WeChat takes the value. Fields of no known type (`first`, `keyword1`) take any text."""
    kind = field_type(name)
    if not value.strip() or _CONTROL.search(value):
        return False
    if not kind:
        return True
    pattern = _PATTERNS.get(kind)
    return len(value) <= FIELD_LIMITS[kind] and (pattern is None or pattern.fullmatch(value) is not None)


def first_misfit(fields: Mapping[str, str]) -> str:
    """Return the name of the first field that does not fit, or the empty text."""
    return next((name for name, value in fields.items() if not field_fits(name, value)), "")
