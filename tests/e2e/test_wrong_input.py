"""Wrong input of every kind at every RPC: a typed error that names the field, and nothing changed.

SMARTEX_FUZZ sets how many random byte strings each RPC gets (default 300; 10000 for a release).
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import grpc
import jwt
import pytest
from calls import ALL, UNARY, call, caller, details, open_market
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from place import Place
from rpcs import INSTRUMENT, Rpc
from smartex.matching.v1 import (
    order_entry_pb2,
    order_entry_pb2_grpc,
    types_pb2,
)
from wrong_requests import wrong_requests

FUZZ = int(os.environ.get("SMARTEX_FUZZ", "300"))
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


def check_refusal(failure: grpc.aio.AioRpcError, what: str) -> None:
    """A refusal is of a known kind, has a reason, and names the field if the input is bad."""
    assert failure.code() in REFUSALS, f"{what}: {failure.code()} {failure.details()}"
    reason, fields = details(failure)
    assert reason, f"{what}: no reason"
    if failure.code() == grpc.StatusCode.INVALID_ARGUMENT:
        assert fields, f"{what}: {reason} names no field"


REMEMBERED = {"INSUFFICIENT_FUNDS", "INSUFFICIENT_HOLDINGS"}
"""Refusals that the market keeps by the id of their request, so that a repeat is not decided anew."""
REPEATED = {"REQUEST_ID_USED"}
"""Refusals that come of what the market says again of an earlier request: one event more, and nothing else."""


def money(place: Place) -> list[Any]:
    """What every account has."""
    core = place.pod.replica.core
    return [
        (account, core.cash(account), core.holdings(account).tolist())
        for account in core.account_ids().tolist()
    ]


@pytest.mark.parametrize("rpc", UNARY, ids=lambda rpc: rpc.descriptor.name)
async def test_every_field_wrong(place: Place, opened: dict[str, bool], rpc: Rpc) -> None:
    await open_market(place, opened)
    metadata = caller(place, rpc)
    before, before_money = await place.fingerprint(), money(place)
    for what, request in wrong_requests(rpc):
        answer = await call(place, rpc, request.SerializeToString(), metadata)
        after = await place.fingerprint()
        if isinstance(answer, grpc.aio.AioRpcError):
            check_refusal(answer, what)
            assert ("\\x00" in what) == (details(answer)[0] == "TEXT_MALFORMED"), f"{what}: {details(answer)}"
            if after != before and details(answer)[0] in REMEMBERED:
                # Only the id may be new to the market: the same request again finds it, and changes nothing.
                again = await call(place, rpc, request.SerializeToString(), metadata)
                assert isinstance(again, grpc.aio.AioRpcError), f"{what}: refused once, then taken"
                assert details(again) == details(answer)
                assert after[1:] == before[1:], f"{what}: refused, but rows changed"
                assert await place.fingerprint() == after, f"{what}: a repeat changed something"
                assert money(place) == before_money, f"{what}: refused, but money moved"
            elif after != before and details(answer)[0] in REPEATED:
                assert after[1:] == before[1:], f"{what}: refused, but rows changed"
                assert money(place) == before_money, f"{what}: refused, but money moved"
            else:
                assert after == before, f"{what}: refused, but something changed"
        else:
            assert "\\x00" not in what, f"{what}: taken, though no database can keep it"
        before, before_money = after, money(place)


MARKET_REFUSALS: dict[str, tuple[dict[str, int], int]] = {
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
    return {
        "none": "",
        "forged": jwt.encode(claims, stranger, "EdDSA", headers={"kid": header["kid"]}),
        "alg none": jwt.encode(claims, "", "none", headers={"kid": header["kid"]}),
        "hmac": jwt.encode(claims, "k" * 40, "HS256", headers={"kid": header["kid"]}),
        "expired": place.issuer.issue(subject="e2e", account_id=1, scopes=EVERY_SCOPE, ttl=-600),
        "cut": good[:-4],
        "garbage": "abc",
    }


@pytest.mark.parametrize("rpc", ALL, ids=lambda rpc: rpc.descriptor.name)
async def test_bad_tokens_and_scopes(place: Place, opened: dict[str, bool], rpc: Rpc) -> None:
    await open_market(place, opened)
    before = await place.fingerprint()
    request = rpc.request().SerializeToString()
    for name, token in forged_tokens(place).items():
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        answer = await call(place, rpc, request, metadata)
        assert isinstance(answer, grpc.aio.AioRpcError), name
        assert answer.code() == grpc.StatusCode.UNAUTHENTICATED, name
        assert (details(answer)[0] == "TOKEN_EXPIRED") == (name == "expired"), name
    for scopes in ((), wrong_scopes(place.scopes[rpc.path])):
        answer = await call(place, rpc, request, place.metadata(*scopes, account_id=1))
        assert isinstance(answer, grpc.aio.AioRpcError), scopes
        assert answer.code() == grpc.StatusCode.PERMISSION_DENIED, scopes
    assert await place.fingerprint() == before


def wrong_scopes(needed: str) -> tuple[str, ...]:
    """Every scope that does not give the one needed: `admin` gives all, `trade` also gives `read`."""
    giving = {"admin", needed, *(("trade",) if needed == "read" else ())}
    return tuple(sorted({*EVERY_SCOPE, "advise"} - giving))


async def test_every_rpc_needs_a_scope(place: Place) -> None:
    assert set(place.scopes) == {rpc.path for rpc in ALL}
    assert set(place.scopes.values()) <= {"trade", "read", "advise", "operate", "admin"}


@pytest.mark.parametrize("service", sorted({rpc.service.full_name for rpc in ALL}))
async def test_a_method_that_does_not_exist_is_refused(place: Place, service: str) -> None:
    before = await place.fingerprint()
    channel: Any = place.channel
    for metadata in ((), place.metadata("admin", account_id=1)):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.unary_unary(f"/{service}/Nothing")(b"", metadata=metadata, timeout=60)
        assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert await place.fingerprint() == before


@pytest.mark.parametrize("rpc", ALL, ids=lambda rpc: rpc.descriptor.name)
async def test_oversize_messages(place: Place, rpc: Rpc) -> None:
    before = await place.fingerprint()
    answer = await call(place, rpc, b"\x7a" * (5 << 20), caller(place, rpc))
    assert isinstance(answer, grpc.aio.AioRpcError)
    assert answer.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await place.fingerprint() == before


@pytest.mark.parametrize("rpc", ALL, ids=lambda rpc: rpc.descriptor.name)
@pytest.mark.timeout(300 + FUZZ // 10)
async def test_random_bytes(place: Place, opened: dict[str, bool], rpc: Rpc) -> None:
    """Random bytes, and good requests with random damage: an answer or a refusal, never a fault of the server."""
    await open_market(place, opened)
    chance = random.Random(f"{rpc.path}")
    metadata = caller(place, rpc)
    good = rpc.request().SerializeToString()
    room = asyncio.Semaphore(32)

    async def once(request: bytes) -> None:
        async with room:
            answer = await call(place, rpc, request, metadata, patience=0.5)
        if isinstance(answer, grpc.aio.AioRpcError):
            assert answer.code() in REFUSALS, f"{request.hex()}: {answer.code()} {answer.details()}"

    async with asyncio.TaskGroup() as tasks:
        for _ in range(FUZZ):
            request = bytearray(good if chance.random() < 0.5 else chance.randbytes(chance.randrange(80)))
            for _ in range(chance.randrange(4) if request else 0):
                request[chance.randrange(len(request))] = chance.randrange(256)
            tasks.create_task(once(bytes(request)))
