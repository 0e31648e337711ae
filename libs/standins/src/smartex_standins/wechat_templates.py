"""Templates of the account, and what their fields take.

Source: developers.weixin.qq.com, 订阅消息参数值内容限制说明.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_LINE: Final = re.compile(r"(.+?)[:：]\s*\{\{(\w+)\.DATA\}\}")
_FIELD: Final = re.compile(r"([a-z_]+?)(\d+)")
_DAY: Final = r"(?:\d{4}[年/.-])?\d{1,2}[月/.-]\d{1,2}日?"
_CLOCK: Final = r"\d{1,2}:\d{2}(?::\d{2})?"
_WHEN: Final = rf"(?:{_DAY} ?)?{_CLOCK}"
_ON: Final = rf"{_DAY}(?: ?{_CLOCK})?"

_SHAPES: Final[Mapping[str, str]] = {
    "thing": r".{1,20}",
    "number": r"(?=.{1,32}$)[-+]?\d+(?:\.\d+)?",
    "letter": r"[A-Za-z]{1,32}",
    "symbol": r"[^\w\s]{1,5}",
    "character_string": r"[ -~]{1,32}",
    "time": rf"{_WHEN}(?:~{_WHEN})?",
    "date": rf"{_ON}(?:~{_ON})?",
    "amount": r"(?=.{1,16}$)[^\w\s]?\d{1,10}(?:\.\d+)?元?",
    "phone_number": r"[\d+() -]{1,17}",
    "car_number": r".{1,8}",
    "name": r"[^\u4e00-\u9fff]{1,20}|.{1,10}",
    "phrase": r"[\u4e00-\u9fff]{1,5}",
    "const": r".{1,20}",
    "enum": r".{1,20}",
}


@dataclass(frozen=True)
class Template:
    """A template: its id, its title, and labels by field."""

    template_id: str
    title: str
    labels: Mapping[str, str]

    def misfit(self, data: Mapping[str, Any]) -> str:
        """Return the first field that is missing or whose value WeChat would refuse, or the empty text."""
        return next((name for name in self.labels if not _fits(name, _value(data, name))), "")

    def lines(self, data: Mapping[str, Any]) -> dict[str, str]:
        """Return what the card shows: values by label."""
        return {label: _value(data, name) for name, label in self.labels.items()}

    @property
    def content(self) -> str:
        """As the API lists it."""
        return "\n".join(f"{label}：{{{{{name}.DATA}}}}" for name, label in self.labels.items())


def read_template(template_id: str, title: str, content: str) -> Template:
    """Return a template of its content, a line `label：{{thing1.DATA}}` a field; ValueError if it has none."""
    labels = {name: label.strip() for label, name in _LINE.findall(content)}
    if not labels or any(_shape(name) is None for name in labels):
        raise ValueError("content: lines of `label：{{thing1.DATA}}` are needed, of known types")
    return Template(template_id, title, labels)


DEFAULTS: Final[Mapping[str, tuple[str, str]]] = {
    "alert": (
        "账户风险提醒",
        "提醒事项：{{thing1.DATA}}\n当前数值：{{character_string2.DATA}}\n提醒时间：{{time3.DATA}}\n温馨提示：{{thing4.DATA}}",
    ),
    "advice": (
        "投资建议通知",
        "建议内容：{{thing1.DATA}}\n涉及品种：{{thing2.DATA}}\n有效期至：{{time3.DATA}}\n建议理由：{{thing4.DATA}}",
    ),
    "order": (
        "成交结果通知",
        "成交品种：{{thing1.DATA}}\n买卖方向：{{phrase2.DATA}}\n成交数量：{{number3.DATA}}\n成交金额：{{amount4.DATA}}"
        "\n成交时间：{{time5.DATA}}",
    ),
    "digest": (
        "每日账户报告",
        "报告日期：{{date1.DATA}}\n账户资产：{{amount2.DATA}}\n今日盈亏：{{character_string3.DATA}}\n摘要：{{thing4.DATA}}",
    ),
    "message": (
        "新消息提醒",
        "发送人：{{thing1.DATA}}\n消息内容：{{thing2.DATA}}\n发送时间：{{time3.DATA}}",
    ),
}
"""Title and content by name."""


def _value(data: Mapping[str, Any], name: str) -> str:
    field = data.get(name)
    value = field.get("value") if isinstance(field, dict) else None
    return value if isinstance(value, str) else ""


def _fits(name: str, value: str) -> bool:
    shape = _shape(name)
    return shape is not None and bool(value.strip()) and re.fullmatch(shape, value) is not None


def _shape(name: str) -> str | None:
    found = _FIELD.fullmatch(name)
    return _SHAPES.get(found[1]) if found else None
