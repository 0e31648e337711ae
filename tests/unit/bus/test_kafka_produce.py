"""Requests to append: byte for byte what aiokafka's own connection writes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.produce import ProduceRequest
from hypothesis import given
from hypothesis import strategies as st
from smartex_bus.kafka.produce import ProduceInPieces, put_together_once

_TEXT = st.text(max_size=5)
_PARTITIONS = st.lists(st.tuples(st.integers(0, 2**31 - 1), st.binary(max_size=40)), max_size=3)
_TOPICS = st.lists(st.tuples(_TEXT, _PARTITIONS), max_size=3)
_ACKS = st.integers(-1, 1)
_TIMEOUT = st.integers(0, 2**31 - 1)
_VERSIONS = range(8)


class _Writer:
    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Keep it, if it is what a transport takes."""
        assert type(data) is bytes
        self.written.append(data)


async def written(request: Any, version: int) -> bytes:
    """What a connection of aiokafka writes for a request."""
    connection = AIOKafkaConnection("nowhere", 9, request_timeout_ms=1000)
    writer = _Writer()
    connection._writer, connection._versions = writer, {0: (version, version), 3: (1, 1)}
    answer = connection.send(request)
    answer.close()
    connection._writer = None
    (data,) = writer.written
    return data


@given(st.sampled_from(_VERSIONS), st.none() | _TEXT, _ACKS, _TIMEOUT, _TOPICS)
def test_the_bytes_are_those_of_aiokafka(
    version: int, transaction: str | None, acks: int, timeout: int, topics: list[Any]
) -> None:
    fields = (transaction if version >= 3 else None, acks, timeout, topics)
    theirs = asyncio.run(written(ProduceRequest(*fields), version))
    assert asyncio.run(written(ProduceInPieces(*fields), version)) == theirs


async def test_a_client_sends_requests_to_append_in_pieces_and_others_as_they_are() -> None:
    sent: list[Any] = []

    class Client:
        async def send(self, node_id: int, request: Any, *, group: int = 0) -> tuple[int, int]:
            sent.append(request)
            return node_id, group

    client = Client()
    put_together_once(client)
    assert await client.send(1, ProduceRequest(None, -1, 5, []), group=2) == (1, 2)
    assert await client.send(3, MetadataRequest([])) == (3, 0)
    assert [type(request) for request in sent] == [ProduceInPieces, MetadataRequest]


@pytest.mark.parametrize("version", [2, 7])
def test_a_message_is_gone_with_its_last_user(version: int) -> None:
    """Its records may be megabytes: they must not wait for the garbage collection."""
    with contextlib.ExitStack() as stack:
        gc.disable()
        stack.callback(gc.enable)
        request = ProduceInPieces(None, -1, 5, [("t", [(0, b"records")])])
        message: Any = request.prepare({0: (version, version)})
        message.encode()
        gone = weakref.ref(message), weakref.ref(request)
        del message, request
        assert [each() for each in gone] == [None, None]
