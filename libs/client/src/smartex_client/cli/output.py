"""Answers as tables for people and as JSON for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text


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


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[int] = ()) -> Table:
    """A table; columns in `right` hold numbers."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    listed = list(rows)
    for place, head in enumerate(heads):
        # The first column holds what is copied into the next command: it is never cut.
        least = max((len(str(row[0])) for row in listed), default=0) if place == 0 else None
        made.add_column(head, justify="right" if place in right else "left", no_wrap=True, min_width=least)
    for row in listed:
        made.add_row(*(each if isinstance(each, Text) else str(each) for each in row))
    return made


def facts(pairs: Iterable[tuple[str, Any]]) -> Table:
    """Names and values below each other."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim")
    made.add_column()
    for name, value in pairs:
        made.add_row(name, value if isinstance(value, Text) else str(value))
    return made
