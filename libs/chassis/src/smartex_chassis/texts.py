"""U+0000 in a text, which databases and C libraries cannot keep: refused where it comes in, whatever the RPC."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from smartex_chassis.errors import InvalidInput

MOST_ELEMENTS: Final = 25_000
"""Elements of lists that are looked at in one message, for all calls wait meanwhile."""
_NUL = "\0"


def nul_field(message: Message) -> str:
    """The path of a text with U+0000 in it (`values[2].text`); empty if there is none.

    Raises `InvalidInput` for lists of more than `MOST_ELEMENTS` in all.
    """
    return _Search().path(message)


class _Search:
    """One look through a message."""

    def __init__(self) -> None:
        self._left = MOST_ELEMENTS

    def path(self, message: Message, before: str = "") -> str:
        """The path of the first text with U+0000, which begins with `before`."""
        for field, value in message.ListFields():
            if not _holds_text(field):
                continue
            for place, item in self._items(field, value, before):
                if isinstance(item, Message):
                    if found := self.path(item, f"{place}."):
                        return found
                elif isinstance(item, str) and _NUL in item:
                    return place
        return ""

    def _items(self, field: FieldDescriptor, value: Any, before: str) -> Iterable[tuple[str, Any]]:
        """What a field holds, each with its place: itself, the elements of a list, the keys and values of a map."""
        name = before + field.name
        if not field.is_repeated:
            return ((name, value),)
        self._left -= len(value)
        if self._left < 0:
            raise InvalidInput(
                f"{name} is too long: give at most {MOST_ELEMENTS} elements in one request",
                reason="TOO_MANY_ELEMENTS",
                field=name,
            )
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            return ((name, item) for pair in value.items() for item in pair)
        return ((f"{name}[{place}]", item) for place, item in enumerate(value))


def _holds_text(field: FieldDescriptor) -> bool:
    inner = field.message_type
    return field.type == field.TYPE_STRING or (inner is not None and _may_hold_text(inner))


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
