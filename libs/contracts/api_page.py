"""Render the API page (Markdown) from a descriptor set with comments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

# Field numbers of the lists in descriptor.proto; a comment's path is made of them.
MESSAGES, ENUMS, SERVICES = 4, 5, 6
FIELDS, VALUES, METHODS = 2, 2, 2

HEADER = """# API

Made from the comments of `proto/` by `make proto`; do not edit. Prices are ticks, quantities lots: the
[Instrument](#instrument) says what they are worth.
"""


class Comments:
    """Leading comments of one file by path."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self._by_path = {
            tuple(location.path): " ".join(location.leading_comments.split())
            for location in file.source_code_info.location
        }

    def of(self, *path: int) -> str:
        """The comment at `path`, in one line, safe in a table."""
        return self._by_path.get(path, "").replace("|", "\\|")


def render_api_page(descriptor_set: bytes) -> str:
    """The whole page: services first, then messages, then enums, each with its comments."""
    files = [
        file
        for file in FileDescriptorSet.FromString(descriptor_set).file
        if file.package.startswith("smartex.")
    ]
    lines = [HEADER]
    for title, number, render in (
        ("Services", SERVICES, _service),
        ("Messages", MESSAGES, _message),
        ("Enums", ENUMS, _enum),
    ):
        lines.append(f"## {title}\n")
        for file in files:
            comments = Comments(file)
            elements: dict[int, Sequence[Any]] = {
                SERVICES: file.service,
                MESSAGES: file.message_type,
                ENUMS: file.enum_type,
            }
            for index, element in enumerate(elements[number]):
                lines.extend(render(element, comments, (number, index)))
    return "\n".join(lines).rstrip() + "\n"


def _service(service: ServiceDescriptorProto, comments: Comments, path: tuple[int, int]) -> Iterator[str]:
    yield f"### {service.name}\n\n{comments.of(*path)}\n"
    yield "| RPC | in | out | what it does |\n|---|---|---|---|"
    for index, method in enumerate(service.method):
        request = ("stream " if method.client_streaming else "") + _link(method.input_type)
        response = ("stream " if method.server_streaming else "") + _link(method.output_type)
        yield f"| {method.name} | {request} | {response} | {comments.of(*path, METHODS, index)} |"
    yield ""


def _message(message: DescriptorProto, comments: Comments, path: tuple[int, int]) -> Iterator[str]:
    yield f"### {message.name}\n\n{comments.of(*path)}\n"
    if not message.field:
        return
    yield "| field | no. | type | meaning |\n|---|---|---|---|"
    for index, field in enumerate(message.field):
        kind = _type(field, message)
        yield f"| `{field.name}` | {field.number} | {kind} | {comments.of(*path, FIELDS, index)} |"
    yield ""


def _enum(enum: EnumDescriptorProto, comments: Comments, path: tuple[int, int]) -> Iterator[str]:
    yield f"### {enum.name}\n\n{comments.of(*path)}\n"
    yield "| value | no. | meaning |\n|---|---|---|"
    for index, value in enumerate(enum.value):
        yield f"| `{value.name}` | {value.number} | {comments.of(*path, VALUES, index)} |"
    yield ""


def _type(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    for nested in message.nested_type:
        if nested.options.map_entry and field.type_name.endswith(f".{message.name}.{nested.name}"):
            return f"map<{', '.join(map(_name, nested.field))}>"
    repeated = field.label == FieldDescriptorProto.LABEL_REPEATED
    return f"repeated {_name(field)}" if repeated else _name(field)


def _name(field: FieldDescriptorProto) -> str:
    return _link(field.type_name) if field.type_name else _scalar_name(field)


def _scalar_name(field: FieldDescriptorProto) -> str:
    return FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()


def _link(type_name: str) -> str:
    short = type_name.rsplit(".", 1)[-1]
    return f"[{short}](#{short.lower()})" if type_name.startswith(".smartex.") else short
