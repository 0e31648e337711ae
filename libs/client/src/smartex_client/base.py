"""What the parts of the client share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar, TypeVar

from google.protobuf.message import Message
from smartex.matching.v1 import order_query_pb2 as query
from smartex.matching.v1 import types_pb2 as types

from .catalogue import Catalogue
from .connection import Connection
from .convert import in_range
from .following import follow
from .ids import IdSource
from .messages import ENGLISH, LANGUAGES

Answer = TypeVar("Answer", bound=Message)

PAGE = 500
"""Rows of a page of a list."""


class Face:
    """A part of the client: its connection, its ids and the instruments it knows."""

    def __init__(
        self,
        connection: Connection,
        catalogue: Catalogue | None = None,
        ids: IdSource | None = None,
        language: str = ENGLISH,
    ) -> None:
        if language not in LANGUAGES:
            raise ValueError(f"language {language!r} is not one of {', '.join(LANGUAGES)}")
        self._connection = connection
        self._catalogue = catalogue or Catalogue(connection)
        self._ids = ids or IdSource()
        self._language = language

    async def _find_order(self, order_id: int, client_order_id: int, min_sequence: int = 0) -> types.Order:
        request = query.GetOrderRequest(
            order_id=in_range(order_id, "order_id"),
            client_order_id=in_range(client_order_id, "client_order_id"),
            min_sequence=in_range(min_sequence, "min_sequence"),
        )
        answer = await self._connection.read("OrderQueryService/GetOrder", request, query.GetOrderResponse)
        return answer.order

    async def _fill_pages(
        self, order_id: int = 0, min_sequence: int = 0, instrument_id: int = 0
    ) -> AsyncIterator[types.Fill]:
        request = query.ListFillsRequest(
            order_id=in_range(order_id, "order_id"),
            instrument_id=instrument_id,
            page_size=PAGE,
            min_sequence=in_range(min_sequence, "min_sequence"),
        )
        while True:
            page = await self._connection.read(
                "OrderQueryService/ListFills", request, query.ListFillsResponse
            )
            for fill in page.fills:
                yield fill
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def _number(self, instrument: str | int | None) -> int:
        """The number of an instrument; 0 for None."""
        return 0 if instrument is None else (await self._catalogue.get(instrument)).instrument_id

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class ServiceFace(Face):
    """The face of a service beside the market. Its answers are the messages of the contract."""

    service: ClassVar[str]
    """Package and name below `smartex`, e.g. "positions.v1.PositionService"."""

    async def _read(self, method: str, request: Message, answer: type[Answer]) -> Answer:
        return await self._connection.read(f"{self.service}/{method}", request, answer)

    async def _write(self, method: str, request: Message, answer: type[Answer]) -> Answer:
        return await self._connection.write(f"{self.service}/{method}", request, answer)

    async def _pages(self, method: str, request: Any, answer: type[Answer]) -> AsyncIterator[Answer]:
        while True:
            page: Any = await self._read(method, request, answer)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def _follow(
        self, method: str, request: Callable[[], Message], answer: type[Answer]
    ) -> AsyncIterator[Answer]:
        return follow(self._connection, f"{self.service}/{method}", request, answer)
