"""Wrong input of every kind at every RPC: a typed error that names the field, and nothing changed.

SMARTEX_FUZZ sets how many random byte strings each RPC gets (default 300; 10000 for a release).
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from place import Place
from rpcs import INSTRUMENT, Rpc, fresh_id, instrument, rpcs
from smartex.matching.v1 import (
    account_pb2_grpc,
    order_entry_pb2,
    order_entry_pb2_grpc,
    types_pb2,
    venue_pb2,
    venue_pb2_grpc,
)

FUZZ = int(os.environ.get("SMARTEX_FUZZ", "300"))
ALL = list(rpcs())
UNARY = [rpc for rpc in ALL if not rpc.streaming]
PENNILESS = 77
EVERY_SCOPE = ("trade", "read", "operate")
REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAVAILABLE,
}
INTEGERS = {
    FieldDescriptor.CPPTYPE_INT64: (0, -1, 2**63 - 1, -(2**63)),
    FieldDescriptor.CPPTYPE_INT32: (0, -1, 2**31 - 1, -(2**31)),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1, 65_536),
    FieldDescriptor.CPPTYPE_ENUM: (0, 99, -1),
}
STRINGS = ("", "x" * 5000, "\x00", "NaN", "1e9", "-5", "0.0000001", "99999999999999999999999999")


@pytest.fixture(scope="session")
def opened(place: Place) -> dict[str, bool]:
    """Remembers that the market was opened."""
    return {}


async def open_market(place: Place, opened: dict[str, bool]) -> None:
    """One instrument, one funded account, one resting order."""
    if opened:
        return
    opened["yes"] = True
    operator = place.metadata("operate", "read")
    await venue_pb2_grpc.VenueServiceStub(place.channel).DefineInstrument(
        venue_pb2.DefineInstrumentRequest(instrument=instrument(), request_id=fresh_id()), metadata=operator
    )
    deposit = next(rpc for rpc in ALL if rpc.descriptor.name == "Deposit").request()
    await account_pb2_grpc.AccountServiceStub(place.channel).Deposit(deposit, metadata=operator)
    order = next(rpc for rpc in ALL if rpc.descriptor.name == "PlaceOrder").request()
    order.client_order_id = 1
    await order_entry_pb2_grpc.OrderEntryServiceStub(place.channel).PlaceOrder(
        order, metadata=place.metadata("trade", account_id=1)
    )


def caller(place: Place, rpc: Rpc) -> tuple[tuple[str, str], ...]:
    """Metadata of somebody who may call this RPC."""
    if rpc.service.name in ("VenueService", "AccountService"):
        return place.metadata("operate", "read")
    return place.metadata("trade", "read", account_id=1)


async def call(
    place: Place, rpc: Rpc, request: bytes, metadata: tuple[tuple[str, str], ...]
) -> bytes | grpc.aio.AioRpcError:
    """The answer's bytes (of a stream, its first message), or the failure."""
    channel = place.channel
    try:
        if rpc.descriptor.client_streaming:
            stream: Any = channel.stream_stream(rpc.path)(iter((request,)), metadata=metadata, timeout=10)
            first: bytes = await stream.read()
            await _end(stream)
            return first
        if rpc.descriptor.server_streaming:
            stream = channel.unary_stream(rpc.path)(request, metadata=metadata, timeout=10)
            first = await stream.read()
            stream.cancel()
            return first
        answer: bytes = await channel.unary_unary(rpc.path)(request, metadata=metadata, timeout=10)
    except grpc.aio.AioRpcError as failure:
        return failure
    return answer


async def _end(stream: Any) -> None:
    code = await stream.code()
    if code != grpc.StatusCode.OK:
        raise grpc.aio.AioRpcError(
            code, await stream.initial_metadata(), await stream.trailing_metadata(), await stream.details()
        )


def details(failure: grpc.aio.AioRpcError) -> tuple[str, list[str]]:
    """Reason and fields of a failure."""
    reason, fields = "", []
    for key, value in failure.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
                if detail.Unpack(info):
                    reason = info.reason
                elif detail.Unpack(bad):
                    fields += [violation.field for violation in bad.field_violations]
    return reason, fields


def check_refusal(failure: grpc.aio.AioRpcError, what: str) -> None:
    """A refusal is of a known kind, has a reason, and names the field if the input is bad."""
    assert failure.code() in REFUSALS, f"{what}: {failure.code()} {failure.details()}"
    reason, fields = details(failure)
    assert reason, f"{what}: no reason"
    if failure.code() == grpc.StatusCode.INVALID_ARGUMENT:
        assert fields, f"{what}: {reason} names no field"


def wrong_requests(rpc: Rpc) -> Iterator[tuple[str, Message]]:
    """The good request with one field wrong, for every field and every way."""
    for field in rpc.descriptor.input_type.fields:
        yield from _wrong_fields(rpc, rpc.request(), field, ())


def _wrong_fields(
    rpc: Rpc, good: Message, field: FieldDescriptor, path: tuple[str, ...]
) -> Iterator[tuple[str, Message]]:
    for value in _wrong_values(field):
        request = rpc.request()
        target: Any = request
        for name in path:
            target = getattr(target, name)
        if value is None:
            target.ClearField(field.name)
        elif field.is_repeated:
            getattr(target, field.name).append(value)
        else:
            setattr(target, field.name, value)
        yield f"{rpc.descriptor.name} {'.'.join((*path, field.name))}={str(value)[:30]!r}", request
    if field.message_type is not None and not field.is_repeated and not path and good.HasField(field.name):
        for inner in field.message_type.fields:
            yield from _wrong_fields(rpc, good, inner, (field.name,))


def _wrong_values(field: FieldDescriptor) -> tuple[Any, ...]:
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return STRINGS if field.type == FieldDescriptor.TYPE_STRING else (b"", b"x" * 100)
    if field.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE:
        return (None,)
    return INTEGERS.get(field.cpp_type, ())


@pytest.mark.parametrize("rpc", UNARY, ids=lambda rpc: rpc.descriptor.name)
async def test_every_field_wrong(place: Place, opened: dict[str, bool], rpc: Rpc) -> None:
    await open_market(place, opened)
    metadata = caller(place, rpc)
    for what, request in wrong_requests(rpc):
        before = place.state_hash()
        answer = await call(place, rpc, request.SerializeToString(), metadata)
        if isinstance(answer, grpc.aio.AioRpcError):
            check_refusal(answer, what)
            assert place.state_hash() == before, f"{what}: refused, but the state changed"


MARKET_REFUSALS = {
    "off the tick band": ({"price_ticks": 10_001}, types_pb2.REASON_PRICE_LIMIT),
    "beyond the limit": ({"price_ticks": 1_200}, types_pb2.REASON_PRICE_LIMIT),
    "over the largest price": ({"price_ticks": 100_001}, types_pb2.REASON_INVALID_PRICE),
    "off the lot": ({"quantity_lots": 150}, types_pb2.REASON_OFF_LOT),
    "too many": ({"quantity_lots": 100_100}, types_pb2.REASON_QUANTITY_TOO_LARGE),
    "unknown instrument": ({"instrument_id": 999}, types_pb2.REASON_UNKNOWN_INSTRUMENT),
    "too dear": ({"quantity_lots": 100_000, "price_ticks": 1_100}, types_pb2.REASON_INSUFFICIENT_FUNDS),
    "nothing to sell": ({"side": types_pb2.SIDE_SELL}, types_pb2.REASON_INSUFFICIENT_HOLDINGS),
    "from the future": ({"create_time_ns": 2**62}, types_pb2.REASON_REQUEST_FROM_FUTURE),
}


@pytest.mark.parametrize("case", MARKET_REFUSALS)
async def test_what_the_market_refuses_moves_nothing(
    place: Place, opened: dict[str, bool], case: str
) -> None:
    changes, reason = MARKET_REFUSALS[case]
    await open_market(place, opened)
    core = place.pod.replica.core
    request: Any = next(rpc for rpc in ALL if rpc.descriptor.name == "PlaceOrder").request()
    for name, value in changes.items():
        setattr(request, name, value)
    before = (core.open_order_count, core.cash(1), core.holdings(1).tolist(), core.book(INSTRUMENT, 10))
    response = await order_entry_pb2_grpc.OrderEntryServiceStub(place.channel).PlaceOrder(
        request, metadata=place.metadata("trade", account_id=PENNILESS)
    )
    assert response.outcome.kind == types_pb2.REPORT_KIND_REJECTED
    assert response.outcome.reason == reason
    after = (core.open_order_count, core.cash(1), core.holdings(1).tolist(), core.book(INSTRUMENT, 10))
    assert str(after) == str(before)


async def test_other_peoples_orders_look_unknown(place: Place, opened: dict[str, bool]) -> None:
    await open_market(place, opened)
    entry = order_entry_pb2_grpc.OrderEntryServiceStub(place.channel)
    order: Any = next(rpc for rpc in ALL if rpc.descriptor.name == "PlaceOrder").request()
    placed = await entry.PlaceOrder(order, metadata=place.metadata("trade", account_id=1))
    order_id = placed.outcome.order_id
    assert order_id
    stranger = place.metadata("trade", account_id=2)
    answers = [
        (await entry.CancelOrder(request, metadata=stranger)).outcome
        for request in (
            order_entry_pb2.CancelOrderRequest(order_id=order_id),
            order_entry_pb2.CancelOrderRequest(order_id=order_id + (1 << 50)),
        )
    ]
    assert {answer.reason for answer in answers} == {types_pb2.REASON_UNKNOWN_ORDER}
    assert {answer.kind for answer in answers} == {types_pb2.REPORT_KIND_CANCEL_REJECTED}


def forged_tokens(place: Place) -> dict[str, str]:
    """Tokens that must not be believed, and none."""
    good = place.issuer.issue(subject="e2e", account_id=1, scopes=EVERY_SCOPE)
    claims = jwt.decode(good, options={"verify_signature": False})
    header = jwt.get_unverified_header(good)
    stranger = Ed25519PrivateKey.generate()
    expired = {**claims, "exp": 1_000_000_000}
    return {
        "none": "",
        "forged": jwt.encode(claims, stranger, "EdDSA", headers={"kid": header["kid"]}),
        "alg none": jwt.encode(claims, None, "none", headers={"kid": header["kid"]}),
        "hmac": jwt.encode(claims, "k" * 40, "HS256", headers={"kid": header["kid"]}),
        "expired": jwt.encode(expired, stranger, "EdDSA", headers={"kid": header["kid"]}),
        "cut": good[:-4],
        "garbage": "abc",
    }


@pytest.mark.parametrize("rpc", ALL, ids=lambda rpc: rpc.descriptor.name)
async def test_bad_tokens_and_scopes(place: Place, opened: dict[str, bool], rpc: Rpc) -> None:
    await open_market(place, opened)
    before = place.state_hash()
    request = rpc.request().SerializeToString()
    for name, token in forged_tokens(place).items():
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        answer = await call(place, rpc, request, metadata)
        assert isinstance(answer, grpc.aio.AioRpcError), name
        assert answer.code() == grpc.StatusCode.UNAUTHENTICATED, name
    unscoped = await call(place, rpc, request, place.metadata(account_id=1))
    assert isinstance(unscoped, grpc.aio.AioRpcError)
    assert unscoped.code() == grpc.StatusCode.PERMISSION_DENIED
    assert place.state_hash() == before


async def test_every_rpc_needs_a_scope(place: Place) -> None:
    scopes = place.pod.module().scopes
    assert set(scopes) == {rpc.path for rpc in ALL}
    assert set(scopes.values()) <= {"trade", "read", "advise", "operate", "admin"}


@pytest.mark.parametrize("rpc", ALL, ids=lambda rpc: rpc.descriptor.name)
async def test_oversize_messages(place: Place, rpc: Rpc) -> None:
    before = place.state_hash()
    answer = await call(place, rpc, b"\x7a" * (5 << 20), caller(place, rpc))
    assert isinstance(answer, grpc.aio.AioRpcError)
    assert answer.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert place.state_hash() == before


@pytest.mark.parametrize("rpc", ALL, ids=lambda rpc: rpc.descriptor.name)
@pytest.mark.timeout(60 + FUZZ // 20)
async def test_random_bytes(place: Place, opened: dict[str, bool], rpc: Rpc) -> None:
    """Random bytes, and good requests with random damage: an answer or a refusal, never a fault of the server."""
    await open_market(place, opened)
    chance = random.Random(f"{rpc.path}")
    metadata = caller(place, rpc)
    good = rpc.request().SerializeToString()
    room = asyncio.Semaphore(32)

    async def once(request: bytes) -> None:
        async with room:
            answer = await call(place, rpc, request, metadata)
        if isinstance(answer, grpc.aio.AioRpcError):
            assert answer.code() in REFUSALS, f"{request.hex()}: {answer.code()} {answer.details()}"

    async with asyncio.TaskGroup() as tasks:
        for _ in range(FUZZ):
            request = bytearray(good if chance.random() < 0.5 else chance.randbytes(chance.randrange(80)))
            for _ in range(chance.randrange(4) if request else 0):
                request[chance.randrange(len(request))] = chance.randrange(256)
            tasks.create_task(once(bytes(request)))
