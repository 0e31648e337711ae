"""Headers of a record as compact bytes, for engines without headers of their own.

One header is: length of the name (1 byte), name in UTF-8, length of the value (4 bytes, big endian), value.
"""

from __future__ import annotations

from collections.abc import Mapping

from smartex_bus.records import NO_HEADERS

_MAX_NAME = 255


def encode_headers(headers: Mapping[str, bytes]) -> bytes | None:
    """Bytes for a column; ``None`` for no headers. ``ValueError`` if a name exceeds 255 bytes."""
    if not headers:
        return None
    parts: list[bytes] = []
    for name, value in headers.items():
        raw = name.encode()
        if len(raw) > _MAX_NAME:
            raise ValueError(f"a header's name takes at most {_MAX_NAME} bytes, got {len(raw)}")
        parts += (bytes((len(raw),)), raw, len(value).to_bytes(4, "big"), value)
    return b"".join(parts)


def decode_headers(data: bytes | None) -> Mapping[str, bytes]:
    """The inverse of ``encode_headers``. ``ValueError`` if the bytes are cut short."""
    if not data:
        return NO_HEADERS
    headers: dict[str, bytes] = {}
    at = 0
    while at < len(data):
        name_end = at + 1 + data[at]
        value_start = name_end + 4
        value_end = value_start + int.from_bytes(data[name_end:value_start], "big")
        if value_start > len(data) or value_end > len(data):
            raise ValueError("headers are cut short")
        headers[data[at + 1 : name_end].decode()] = data[value_start:value_end]
        at = value_end
    return headers
