"""Requests with one field wrong: missing, zero, negative, huge, not a number, of unknown kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from rpcs import Rpc

_MOST_DEPTH = 4
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT64: (0, -1, 2**63 - 1, -(2**63)),
    FieldDescriptor.CPPTYPE_INT32: (0, -1, 2**31 - 1, -(2**31)),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1, 65_536),
    FieldDescriptor.CPPTYPE_ENUM: (0, 99, -1),
    FieldDescriptor.CPPTYPE_DOUBLE: (0.0, -1.0, float("nan"), float("inf"), 1e308),
}
_STRINGS = ("", "x" * 5000, "\x00", "ab\x00cd", "NaN", "1e9", "-5", "0.0000001", "99999999999999999999999999")


def wrong_requests(rpc: Rpc) -> Iterator[tuple[str, Message]]:
    """The good request with one field wrong, for every field and every way, inside of messages too."""
    yield from _in_message(rpc, rpc.request(), ())


def _in_message(rpc: Rpc, good: Message, path: tuple[str, ...]) -> Iterator[tuple[str, Message]]:
    descriptor: Any = good.DESCRIPTOR
    for field in descriptor.fields:
        if field.containing_oneof is None or good.HasField(field.name) or not path:
            yield from _wrong_fields(rpc, field, path)
        inner = _inner(good, field)
        if inner is not None and len(path) < _MOST_DEPTH:
            yield from _in_message(rpc, inner, (*path, field.name))


def _wrong_fields(rpc: Rpc, field: FieldDescriptor, path: tuple[str, ...]) -> Iterator[tuple[str, Message]]:
    for value in _wrong_values(field):
        request = rpc.request()
        target: Any = request
        for name in path:
            target = getattr(target, name)
            target = target if isinstance(target, Message) else target[0]
        _put(target, field, value)
        yield f"{rpc.descriptor.name} {'.'.join((*path, field.name))}={str(value)[:30]!r}", request


def _put(target: Any, field: FieldDescriptor, value: Any) -> None:
    if value is None:
        target.ClearField(field.name)
    elif _is_map(field):
        key, content = value
        getattr(target, field.name)[key] = content
    elif field.is_repeated:
        getattr(target, field.name).append(value)
    else:
        setattr(target, field.name, value)


def _inner(good: Any, field: FieldDescriptor) -> Message | None:
    """The message in a field, of a list its first, None if there is none."""
    if field.message_type is None or _is_map(field):
        return None
    if field.is_repeated:
        held = getattr(good, field.name)
        return held[0] if held else None
    return getattr(good, field.name) if good.HasField(field.name) else None


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _wrong_values(field: FieldDescriptor) -> tuple[Any, ...]:
    if _is_map(field):
        entry: Any = field.message_type
        key, value = (entry.fields_by_name[name] for name in ("key", "value"))
        return (
            None,
            *((wrong, right) for wrong in _wrong_values(key) for right in _wrong_values(value)[-2:]),
        )
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _STRINGS if field.type == FieldDescriptor.TYPE_STRING else (b"", b"x" * 100)
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        return (None,)
    return _INTEGERS.get(field.cpp_type, ())
