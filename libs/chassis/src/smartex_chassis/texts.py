"""U+0000 in a text, which databases and C libraries cannot keep: refused where it comes in, whatever the RPC."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

_NUL = "\0"


def nul_field(message: Message) -> str:
    """The path of a text with U+0000 in it (`values[2].text`); empty if there is none."""
    if not _may_hold_text(message.DESCRIPTOR):
        return ""
    for field, value in message.ListFields():
        for place, item in _items(field, value):
            if isinstance(item, Message):
                if inner := nul_field(item):
                    return f"{place}.{inner}"
            elif isinstance(item, str) and _NUL in item:
                return place
    return ""


def _items(field: FieldDescriptor, value: Any) -> Iterable[tuple[str, Any]]:
    """What a field holds, each with its place: itself, the elements of a list, the keys and values of a map."""
    if not field.is_repeated:
        return ((field.name, value),)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return ((field.name, item) for pair in value.items() for item in pair)
    return ((f"{field.name}[{place}]", item) for place, item in enumerate(value))


@cache
def _may_hold_text(descriptor: Descriptor) -> bool:
    """Whether a message of this type has a text anywhere in it. Those of orders do not, and are not looked at."""
    seen: set[str] = set()
    waiting = [descriptor]
    while waiting:
        each = waiting.pop()
        if each.full_name in seen:
            continue
        seen.add(each.full_name)
        for field in each.fields:
            if field.type == field.TYPE_STRING:
                return True
            if field.message_type is not None:
                waiting.append(field.message_type)
    return False
