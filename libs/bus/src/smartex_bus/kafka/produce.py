"""Requests to append, whose bytes are put together once.

aiokafka joins a request's bytes at each level of its schema, then puts its header before them, then its length: the
records of a batch are copied eight times, a twelfth of what a pod does on its event loop under load. Here all pieces
stay apart until the length comes. The bytes are the same.

Format: https://kafka.apache.org/protocol#The_Messages_Produce
"""

from __future__ import annotations

import struct
from typing import Any

from aiokafka.protocol.produce import ProduceRequest

_FIRST_VERSION = 3
"""From this one on a request begins with a transaction; what older brokers want, aiokafka encodes."""
_LENGTH_OF_TEXT = struct.Struct(">h")
_COUNT = struct.Struct(">i")
_ACKS_AND_TIMEOUT = struct.Struct(">hi")
_PARTITION_AND_LENGTH = struct.Struct(">ii")


def put_together_once(client: Any) -> None:
    """Let this client of aiokafka send its requests to append so."""
    send = client.send

    async def send_in_pieces(node_id: int, request: Any, **options: Any) -> Any:
        if type(request) is ProduceRequest:
            request.__class__ = ProduceInPieces
        return await send(node_id, request, **options)

    client.send = send_in_pieces


class ProduceInPieces(ProduceRequest):  # type: ignore[misc, unused-ignore]
    """A request to append whose messages are encoded in pieces."""

    def build(self, request_struct_class: Any) -> Any:
        """The message of one version of the protocol."""
        message = super().build(request_struct_class)
        if request_struct_class.API_VERSION >= _FIRST_VERSION:
            # Not from the message: it would keep itself, and its records, until the garbage is collected.
            pieces = _pieces(message)
            message.encode = lambda: _Body(pieces)
        return message


class _Body:
    """What follows a request's header: aiokafka says `header + body`."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __radd__(self, header: bytes) -> _Message:
        return _Message([header, *self._pieces])


class _Message:
    """A request without its length: aiokafka says `length + message`."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def __radd__(self, length: bytes) -> bytes:
        return b"".join([length, *self._pieces])


def _pieces(message: Any) -> list[bytes]:
    pieces = [
        *_text(message.transactional_id),
        _ACKS_AND_TIMEOUT.pack(message.required_acks, message.timeout),
        _COUNT.pack(len(message.topics)),
    ]
    for topic, partitions in message.topics:
        pieces += *_text(topic), _COUNT.pack(len(partitions))
        for partition, records in partitions:
            pieces += _PARTITION_AND_LENGTH.pack(partition, len(records)), records
    return pieces


def _text(text: str | None) -> tuple[bytes, bytes]:
    encoded = b"" if text is None else text.encode()
    return _LENGTH_OF_TEXT.pack(-1 if text is None else len(encoded)), encoded
