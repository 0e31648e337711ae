"""Answers as tables for people and as JSON for programs."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import (
    Console,
    ConsoleOptions,
    ConsoleRenderable,
    JustifyMethod,
    RenderableType,
    RenderHook,
    RenderResult,
)
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

_LEAST_TEXT = 8
"""Columns to which a text may be cut before a row becomes a block of lines."""


_ACTS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What a terminal would act on instead of showing it, or turn around: but for tabs and ends of lines."""


def harmless(text: str) -> str:
    """What somebody wrote, with marks in the place of what a terminal would obey."""
    return _ACTS.sub("�", text)


@dataclasses.dataclass
class _Shown:
    """Something on its way to the terminal, its texts harmless; Rich's own control codes stay."""

    renderable: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for text, style, control in console.render(self.renderable, options):
            yield Segment(text if control else harmless(text), style, control)


class Harmless(RenderHook):
    """Makes all that a console prints harmless."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Called by Rich."""
        return [_Shown(each) for each in renderables]


def plain(answer: Any) -> Any:
    """The same in JSON's types: decimals and 64-bit numbers of messages as strings, times in ISO 8601."""
    if dataclasses.is_dataclass(answer) and not isinstance(answer, type):
        return {each.name: plain(getattr(answer, each.name)) for each in dataclasses.fields(answer)}
    if isinstance(answer, Message):
        return MessageToDict(
            answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
    if isinstance(answer, Decimal):
        return f"{answer:f}"
    if isinstance(answer, datetime):
        return answer.isoformat()
    if isinstance(answer, dict):
        return {key: plain(value) for key, value in answer.items()}
    if isinstance(answer, list | tuple):
        return [plain(each) for each in answer]
    return answer


def number(value: Decimal | int | None) -> str:
    """A number with thousands apart; empty for none."""
    return "" if value is None else f"{value:,f}" if isinstance(value, Decimal) else f"{value:,}"


def clock(time: datetime | None) -> str:
    """A time of today's kind, in the local zone, to the millisecond."""
    return "" if time is None else time.astimezone().strftime("%m-%d %H:%M:%S.%f")[:-3]


class Listing(Table):
    """A table that never cuts a number: where the width does not hold them, each row is a block of lines."""

    def __init__(self, heads: Sequence[str], rows: Sequence[Sequence[Text]], right: Sequence[int]) -> None:
        super().__init__(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
        self._heads, self._lines = heads, rows
        self._least = 3 * (len(heads) - 1)
        for place, head in enumerate(heads):
            widest = max([cell_len(head), *(row[place].cell_len for row in rows)])
            # The first column holds what is copied into the next command: it is not cut either.
            whole = place == 0 or place in right
            least = widest if whole else min(widest, _LEAST_TEXT if head else 1)
            justify: JustifyMethod = "right" if place in right else "left"
            self.add_column(Text(head), justify=justify, no_wrap=whole, min_width=least)
            self._least += least
        for row in rows:
            self.add_row(*row)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._least <= options.max_width:
            yield from super().__rich_console__(console, options)
            return
        for number, row in enumerate(self._lines):
            yield from [""] if number else []
            yield facts(pair for pair in zip(self._heads, row, strict=True) if pair[1])
        if self.caption:
            yield self.caption


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    right: Sequence[int] = (),
    whole: Sequence[int] = (),
) -> Table:
    """A table; columns in `right` hold numbers, those in `whole` sentences, which are never cut."""
    lines = [[_cell(each, wrap=place in whole) for place, each in enumerate(row)] for row in rows]
    return Listing(heads, lines, right)


def facts(pairs: Iterable[tuple[str, Any]]) -> Table:
    """Names and values below each other."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim")
    made.add_column()
    for name, value in pairs:
        made.add_row(Text(name), value if isinstance(value, Text) else Text(str(value)))
    return made


def _cell(value: Any, *, wrap: bool) -> Text:
    """A cell as it is, what people wrote being no markup; on one line unless it may wrap."""
    made = value.copy() if isinstance(value, Text) else Text(str(value))
    if not wrap:
        made.no_wrap, made.overflow = True, "ellipsis"
    return made
