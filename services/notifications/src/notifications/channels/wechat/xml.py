"""The XML of callbacks, read without any of what makes XML dangerous."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat
from xml.sax.saxutils import escape

MAX_XML_BYTES: Final = 64 * 1024
MAX_NODES: Final = 1000
MAX_DEPTH: Final = 8


class XmlRefused(ValueError):  # noqa: N818 - as the errors of libs/chassis are named
    """Not well formed, too large, or with a document type, which a callback never has."""


@dataclass
class Node:
    """An element: its text, and its children in their order."""

    name: str
    text: str = ""
    children: list[Node] = field(default_factory=list)

    def get(self, name: str) -> str:
        """Return the text of the first child of that name, or the empty text."""
        return next((child.text for child in self.children if child.name == name), "")

    def child(self, name: str) -> Node:
        """Return the first child of that name, or an empty element."""
        return next((child for child in self.children if child.name == name), Node(name))


def parse_xml(data: bytes) -> Node:
    """Return the root element. Raises XmlRefused.

    A document type is refused at its first character, so that no entity can be declared: none expands, none
    is fetched.
    """
    if len(data) > MAX_XML_BYTES:
        raise XmlRefused("too large")
    builder = _Builder()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = builder.doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise XmlRefused("not well formed") from error
    return builder.top.children[0]


def write_xml(name: str, values: dict[str, str]) -> str:
    """Return an element with a child for each value."""
    inner = "".join(f"<{key}>{escape(value)}</{key}>" for key, value in values.items())
    return f"<{name}>{inner}</{name}>"


class _Builder:
    def __init__(self) -> None:
        self.top = Node("")
        self._open = [self.top]
        self._nodes = 0

    def start(self, name: str, _: dict[str, str]) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES or len(self._open) > MAX_DEPTH:
            raise XmlRefused("too many elements")
        node = Node(name)
        self._open[-1].children.append(node)
        self._open.append(node)

    def end(self, _: str) -> None:
        self._open.pop()

    def text(self, text: str) -> None:
        self._open[-1].text += text

    def doctype(self, *_: object) -> None:
        raise XmlRefused("a document type")
