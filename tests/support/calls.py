"""Calls of the exchange by path and bytes, whoever makes them, and what failures tell."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import grpc
from people import settle_in
from place import Place
from refusals import reason, violations
from rpcs import Rpc, fresh_id, instrument, rpcs
from smartex.matching.v1 import account_pb2_grpc, order_entry_pb2_grpc, venue_pb2, venue_pb2_grpc

ALL = list(rpcs())
UNARY = [rpc for rpc in ALL if not rpc.streaming]
PATIENCE = 60.0
"""Seconds until a stream that neither speaks nor refuses is held to be taken."""


async def open_market(place: Place, opened: dict[str, bool]) -> None:
    """One instrument, one funded account with a resting order, and what people have of account 1."""
    if opened:
        return
    opened["yes"] = True
    operator = place.metadata("operate", "read")
    await venue_pb2_grpc.VenueServiceStub(place.channel).DefineInstrument(
        venue_pb2.DefineInstrumentRequest(instrument=instrument(), request_id=fresh_id()), metadata=operator
    )
    deposit: Any = next(rpc for rpc in ALL if rpc.descriptor.name == "Deposit").request()
    await account_pb2_grpc.AccountServiceStub(place.channel).Deposit(deposit, metadata=operator)
    order: Any = next(rpc for rpc in ALL if rpc.descriptor.name == "PlaceOrder").request()
    order.client_order_id = 1
    await order_entry_pb2_grpc.OrderEntryServiceStub(place.channel).PlaceOrder(
        order, metadata=place.metadata("trade", account_id=1)
    )
    await settle_in(place)


def caller(place: Place, rpc: Rpc) -> tuple[tuple[str, str], ...]:
    """Metadata of somebody who may call this RPC."""
    needed = place.scopes[rpc.path]
    if rpc.service.name in ("VenueService", "AccountService") or needed in ("operate", "admin"):
        return place.metadata("read", "operate", needed)
    if rpc.descriptor.name == "PostMessage":  # only traders propose orders
        return place.metadata("read", "advise")
    return place.metadata("trade", "read", account_id=1)


async def call(
    place: Place,
    rpc: Rpc,
    request: bytes,
    metadata: tuple[tuple[str, str], ...],
    patience: float = PATIENCE,
) -> bytes | grpc.aio.AioRpcError:
    """The answer's bytes (of a stream, its first message within `patience` seconds), or the failure."""
    channel: Any = place.channel
    first: bytes = b""
    try:
        if rpc.descriptor.client_streaming:
            stream: Any = channel.stream_stream(rpc.path)(
                iter((request,)), metadata=metadata, timeout=PATIENCE
            )
            only: bytes = await stream.read()
            await _end(stream)
            return only
        if rpc.descriptor.server_streaming:
            stream = channel.unary_stream(rpc.path)(request, metadata=metadata, timeout=2 * PATIENCE)
            with contextlib.suppress(TimeoutError):  # a stream that has nothing to say yet was taken
                first = await asyncio.wait_for(stream.read(), patience)
            stream.cancel()
            return first
        answer: bytes = await channel.unary_unary(rpc.path)(request, metadata=metadata, timeout=PATIENCE)
    except grpc.aio.AioRpcError as failure:
        return failure
    return answer


async def _end(stream: Any) -> None:
    code = await stream.code()
    if code != grpc.StatusCode.OK:
        metadata = await stream.initial_metadata(), await stream.trailing_metadata()
        raise grpc.aio.AioRpcError(code, *metadata, await stream.details(), None)


def details(failure: grpc.aio.AioRpcError) -> tuple[str, list[str]]:
    """Reason and fields of a failure."""
    return reason(failure), violations(failure)
