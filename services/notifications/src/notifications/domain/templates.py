"""How a kind is said: texts with `{{ name }}` for values, and nothing else that could be wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from notifications.domain.cutting import ASCII_ELLIPSIS, ELLIPSIS, cut, cut_bytes
from notifications.domain.notice import LocalText, Money, Number, Percent, Value
from notifications.domain.sending import ChannelKind, Limits
from notifications.domain.writing import fit, write

LONGEST_TITLE: Final = 200
LONGEST_BODY: Final = 2000
MOST_FIELDS: Final = 20
LONGEST_FIELD: Final = 200
LONGEST_SOURCE: Final = 4000
"""Characters of a template's body."""
ENVELOPE_BYTES: Final = 1024
"""What a provider's payload holds beside title and body."""

_HOLE: Final = re.compile(r"\{\{\s*([a-z][a-z0-9_]{0,31})\s*\}\}")
_FIELD_NAME: Final = re.compile(r"[A-Za-z_]{1,32}\d{0,2}")
_UNCUT: Final = frozenset({"number", "amount", "time", "date", "phone_number"})


@dataclass(frozen=True)
class Template:
    """How a kind is said in a language; on one channel, or on all that have none of their own."""

    kind: str
    language: str
    channel: ChannelKind | None = None
    version: int = 0
    """0: the house's own."""
    title: str = ""
    body: str = ""
    provider_template: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)

    def over(self, general: Template) -> Template:
        """Return this template with what it leaves out taken from the general one."""
        return replace(self, title=self.title or general.title, body=self.body or general.body)


@dataclass(frozen=True)
class Rendered:
    """A template with its values, cut to a channel's limits. `cuts` says what was cut."""

    title: str
    body: str
    fields: Mapping[str, str]
    provider_template: str = ""
    cuts: tuple[str, ...] = ()


def names(text: str) -> list[str]:
    """Return the names of the values in a text, in their order."""
    return _HOLE.findall(text)


def problems(template: Template, known: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each field of a template that is wrong, and why. `known` are the values that the kind brings."""
    if template.channel is None and not (template.title.strip() and template.body.strip()):
        yield "title", "give title and body, or the channel that the template is for"
    texts = {"title": template.title, "body": template.body}
    texts |= {f"fields[{name}]": text for name, text in template.fields.items()}
    limits = {"title": LONGEST_TITLE, "body": LONGEST_SOURCE}
    for name, text in texts.items():
        if len(text) > limits.get(name, LONGEST_FIELD):
            yield name, f"{len(text)} characters, {limits.get(name, LONGEST_FIELD)} allowed"
        yield from ((name, why) for why in _text_problems(text, known))
    if "\n" in template.title or "\r" in template.title:
        yield "title", "must be one line"
    if len(template.fields) > MOST_FIELDS:
        yield "fields", f"give at most {MOST_FIELDS}"
    yield from (
        ("fields", f"{name[:40]!r} is no name of a field, such as thing1")
        for name in template.fields
        if not _FIELD_NAME.fullmatch(name)
    )
    if len(template.provider_template) > 128:
        yield "provider_template", "give at most 128 characters"


def render(
    template: Template, values: Mapping[str, Value], zone: ZoneInfo, limits: Limits | None = None
) -> Rendered:
    """Return what a reader sees. `limits` are the channel's; None: those of the inbox."""
    limits = limits or Limits()
    cuts: list[str] = []

    def fill(text: str, style: str = "") -> str:
        return _HOLE.sub(lambda hole: write(values.get(hole[1]), template.language, zone, style), text)

    title = _cut("title", " ".join(fill(template.title).split()), limits.title or LONGEST_TITLE, cuts)
    body = _cut("body", fill(template.body).strip(), limits.body or LONGEST_BODY, cuts)
    if limits.payload_bytes:
        room = max(0, limits.payload_bytes - ENVELOPE_BYTES - len(title.encode()))
        body = _note(cuts, "body", body, cut_bytes(body, room), f"{room} bytes")
    fields = {name: _field(name, text, fill, limits, cuts) for name, text in template.fields.items()}
    return Rendered(title, body, fields, template.provider_template, tuple(cuts))


def field_style(name: str) -> str:
    """Return the type that a field's name begins with: `thing` of `thing1`."""
    return name.rstrip("0123456789")


def sample(name: str) -> Value:
    """Return a value to show a template with, where none is given."""
    time = datetime.fromisoformat("2026-03-02T02:30:00+00:00")
    samples: Mapping[str, Value] = {
        "value": Percent(Decimal("0.254")),
        "threshold": Percent(Decimal("0.2")),
        "equity": Money("CNY", Decimal("1234567.89")),
        "profit_today": Money("CNY", Decimal("-2345.6")),
        "holdings": Number(Decimal(7)),
        "standing_alerts": Number(Decimal(2)),
        "open_advice": Number(Decimal(1)),
        "time": time,
        "cause_time": time,
        "expire_time": time,
        "code": "123456",
        "symbol": "600519",
    }
    return samples.get(name, LocalText("贵州茅台", "Kweichow Moutai"))


def _text_problems(text: str, known: Collection[str]) -> Iterator[str]:
    if "{{" in _HOLE.sub("", text) or "}}" in _HOLE.sub("", text):
        yield "a value is written {{ name }}, of small letters, digits and _; there is no logic"
    for name in dict.fromkeys(names(text)):
        if name not in known:
            yield f"there is no value {name!r}; there are {', '.join(sorted(known)) or 'none'}"
    if any(ord(letter) < 32 and letter not in "\n\r\t" for letter in text):
        yield "holds control characters"


def _field(name: str, text: str, fill: Callable[[str, str], str], limits: Limits, cuts: list[str]) -> str:
    style = field_style(name)
    filled = fit(fill(text, style), style)
    limit = limits.fields.get(style, LONGEST_FIELD)
    if style == "name" and any("\u4e00" <= letter <= "\u9fff" for letter in filled):
        limit = min(limit, 10)
    if style in _UNCUT:
        return filled  # half a number would be a lie
    ellipsis = ASCII_ELLIPSIS if style == "character_string" else ELLIPSIS
    return _note(cuts, name, filled, cut(filled, limit, ellipsis), f"{limit}")


def _cut(name: str, text: str, limit: int, cuts: list[str]) -> str:
    return _note(cuts, name, text, cut(text, limit), f"{limit}")


def _note(cuts: list[str], name: str, before: str, after: str, allowed: str) -> str:
    if before != after:
        cuts.append(f"{name}: {len(before)} characters, {allowed} allowed")
    return after
