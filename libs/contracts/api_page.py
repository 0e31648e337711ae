"""Render the API page (Markdown) from a descriptor set with comments."""

from __future__ import annotations

from collections import Counter
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


class Names:
    """What the page calls each type: its name, with its service before it where several have one of that name."""

    def __init__(self, files: Sequence[FileDescriptorProto]) -> None:
        self._count = Counter(each.name for file in files for each in file.message_type)
        self._count.update(each.name for file in files for each in file.enum_type)

    def title(self, type_name: str) -> str:
        """The heading of a type, given as `.smartex.<service>.v1.<Name>`."""
        service, _, name = type_name.split(".")[-3:]
        return f"{service}.{name}" if self._count[name] > 1 else name

    def link(self, type_name: str) -> str:
        """A link to the heading, or the bare name of a type that is not ours."""
        if not type_name.startswith(".smartex."):
            return type_name.rsplit(".", 1)[-1]
        title = self.title(type_name)
        return f"[{title}](#{title.lower().replace('.', '')})"


def render_api_page(descriptor_set: bytes) -> str:
    """The whole page: services first, then messages, then enums, each with its comments."""
    files = [
        file
        for file in FileDescriptorSet.FromString(descriptor_set).file
        if file.package.startswith("smartex.")
    ]
    lines, names = [HEADER], Names(files)
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
                full_name = f".{file.package}.{element.name}"
                lines.extend(render(element, full_name, names, comments, (number, index)))
    return "\n".join(lines).rstrip() + "\n"


Path = tuple[int, int]


def _service(
    service: ServiceDescriptorProto, full_name: str, names: Names, comments: Comments, path: Path
) -> Iterator[str]:
    yield f"### {service.name}\n\n`{full_name[1:]}`\n\n{comments.of(*path)}\n"
    yield "| RPC | in | out | what it does |\n|---|---|---|---|"
    for index, method in enumerate(service.method):
        request = ("stream " if method.client_streaming else "") + names.link(method.input_type)
        response = ("stream " if method.server_streaming else "") + names.link(method.output_type)
        yield f"| {method.name} | {request} | {response} | {comments.of(*path, METHODS, index)} |"
    yield ""


def _message(
    message: DescriptorProto, full_name: str, names: Names, comments: Comments, path: Path
) -> Iterator[str]:
    yield f"### {names.title(full_name)}\n\n{comments.of(*path)}\n"
    if not message.field:
        return
    yield "| field | no. | type | meaning |\n|---|---|---|---|"
    for index, field in enumerate(message.field):
        kind = _type(field, message, names)
        yield f"| `{field.name}` | {field.number} | {kind} | {comments.of(*path, FIELDS, index)} |"
    yield ""


def _enum(
    enum: EnumDescriptorProto, full_name: str, names: Names, comments: Comments, path: Path
) -> Iterator[str]:
    yield f"### {names.title(full_name)}\n\n{comments.of(*path)}\n"
    yield "| value | no. | meaning |\n|---|---|---|"
    for index, value in enumerate(enum.value):
        yield f"| `{value.name}` | {value.number} | {comments.of(*path, VALUES, index)} |"
    yield ""


def _type(field: FieldDescriptorProto, message: DescriptorProto, names: Names) -> str:
    for nested in message.nested_type:
        if nested.options.map_entry and field.type_name.endswith(f".{message.name}.{nested.name}"):
            return f"map<{', '.join(_name(each, names) for each in nested.field)}>"
    repeated = field.label == FieldDescriptorProto.LABEL_REPEATED
    return f"repeated {_name(field, names)}" if repeated else _name(field, names)


def _name(field: FieldDescriptorProto, names: Names) -> str:
    return names.link(field.type_name) if field.type_name else _scalar_name(field)


def _scalar_name(field: FieldDescriptorProto) -> str:
    return FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
