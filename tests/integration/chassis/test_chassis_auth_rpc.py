"""Who is let in: the whole matrix of tokens, scopes and undeclared RPCs, through a real server."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import grpc
import jwt
import pytest
from chassis_venue import ECHO
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped, unused-ignore]
from smartex_chassis import PUBLIC, LocalIssuer, principal

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
DENIED = grpc.StatusCode.PERMISSION_DENIED


def _part(content: dict[str, Any] | bytes) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _claims(venue: Any, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {"sub": "m", "scope": "trade", "account": 7, "iss": "smartex-local", "aud": "smartex"}
    claims |= {"iat": now, "exp": now + 60} | changes
    return {name: value for name, value in claims.items() if value is not None}


def _kid(venue: Any) -> str:
    return str(json.loads(venue.issuer.jwks_path.read_text())["keys"][0]["kid"])


def _signing_key(venue: Any) -> Any:
    pem = (venue.issuer.jwks_path.parent / "signing_key.pem").read_bytes()
    return serialization.load_pem_private_key(pem, password=None)


def _signed(
    venue: Any, key: Any = None, kid: str | None = None, algorithm: str = "EdDSA", **changes: Any
) -> str:
    return jwt.encode(
        _claims(venue, **changes),
        key or _signing_key(venue),
        algorithm=algorithm,
        headers={"kid": kid or _kid(venue)},
    )


def _unsigned(venue: Any) -> str:
    return f"{_part({'alg': 'none', 'typ': 'JWT', 'kid': _kid(venue)})}.{_part(_claims(venue))}."


def _hs256_with_public_key(venue: Any) -> str:
    public = _signing_key(venue).public_key().public_bytes_raw()
    body = f"{_part({'alg': 'HS256', 'typ': 'JWT', 'kid': _kid(venue)})}.{_part(_claims(venue))}"
    return f"{body}.{_part(hmac.digest(public, body.encode(), 'sha256'))}"


def _rs256(venue: Any) -> str:
    return _signed(venue, rsa.generate_private_key(public_exponent=65537, key_size=2048), algorithm="RS256")


def _changed_claims(venue: Any) -> str:
    header, _, signature = _signed(venue).split(".")
    return f"{header}.{_part(_claims(venue, account=8))}.{signature}"


def _no_kid(venue: Any) -> str:
    return jwt.encode(_claims(venue), _signing_key(venue), algorithm="EdDSA")


BAD: dict[str, tuple[Callable[[Any], str | None], str]] = {
    "missing": (lambda v: None, "TOKEN_MISSING"),
    "garbage": (lambda v: "garbage", "TOKEN_MALFORMED"),
    "empty": (lambda v: "..", "TOKEN_MALFORMED"),
    "huge": (lambda v: "x" * 5000, "TOKEN_MALFORMED"),
    "expired": (lambda v: _signed(v, exp=int(time.time()) - 60), "TOKEN_EXPIRED"),
    "no expiry": (lambda v: _signed(v, exp=None), "TOKEN_CLAIMS_INVALID"),
    "expiry as text": (lambda v: _signed(v, exp="tomorrow"), "TOKEN_CLAIMS_INVALID"),
    "expiry absurd": (lambda v: _signed(v, exp=10**400), "TOKEN_CLAIMS_INVALID"),
    "not yet": (lambda v: _signed(v, nbf=int(time.time()) + 60), "TOKEN_NOT_YET_VALID"),
    "issued in the future": (lambda v: _signed(v, iat=int(time.time()) + 60), "TOKEN_NOT_YET_VALID"),
    "wrong audience": (lambda v: _signed(v, aud="other"), "TOKEN_WRONG_AUDIENCE"),
    "no audience": (lambda v: _signed(v, aud=None), "TOKEN_WRONG_AUDIENCE"),
    "wrong issuer": (lambda v: _signed(v, iss="other"), "TOKEN_WRONG_ISSUER"),
    "no subject": (lambda v: _signed(v, sub=None), "TOKEN_CLAIMS_INVALID"),
    "account as text": (lambda v: _signed(v, account="7"), "TOKEN_CLAIMS_INVALID"),
    "account true": (lambda v: _signed(v, account=True), "TOKEN_CLAIMS_INVALID"),
    "account zero": (lambda v: _signed(v, account=0), "TOKEN_CLAIMS_INVALID"),
    "account huge": (lambda v: _signed(v, account=2**63), "TOKEN_CLAIMS_INVALID"),
    "scope as list": (lambda v: _signed(v, scope=["trade"]), "TOKEN_CLAIMS_INVALID"),
    "forged": (lambda v: _signed(v, ed25519.Ed25519PrivateKey.generate()), "TOKEN_BAD_SIGNATURE"),
    "changed": (_changed_claims, "TOKEN_BAD_SIGNATURE"),
    "alg none": (_unsigned, "TOKEN_ALGORITHM_REFUSED"),
    "HS256 with the public key": (_hs256_with_public_key, "TOKEN_ALGORITHM_REFUSED"),
    "RS256": (_rs256, "TOKEN_ALGORITHM_REFUSED"),
    "unknown key": (lambda v: _signed(v, kid="other"), "TOKEN_UNKNOWN_KEY"),
    "no key id": (_no_kid, "TOKEN_UNKNOWN_KEY"),
}


@pytest.mark.parametrize(("make", "reason"), BAD.values(), ids=BAD.keys())
async def test_a_bad_token_is_refused_with_its_reason(
    venue: Any, make: Callable[[Any], str | None], reason: str
) -> None:
    caller = await venue.caller(await venue.start(), make(venue))
    for _ in range(2):
        refusal = await venue.refusal(caller.call("UnaryUnary", b"x"))
        assert (refusal.code, refusal.reason) == (UNAUTHENTICATED, reason)
        assert caller.token is None or len(caller.token) < 8 or caller.token not in str(refusal.status)


async def test_no_kind_of_rpc_is_open_without_a_token(venue: Any, kind: str) -> None:
    served: list[bytes] = []

    async def note(message: bytes) -> bytes:
        served.append(message)
        return message

    venue.echo.behave = note
    caller = await venue.caller(await venue.start(), None)
    refusal = await venue.refusal(caller.call(kind, b"x"))
    assert (refusal.code, refusal.reason, served) == (UNAUTHENTICATED, "TOKEN_MISSING", [])


async def test_a_refused_stream_is_heard_first(venue: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's gRPC tells who writes to a stream that has just ended of an internal error."""
    monkeypatch.setattr("smartex_chassis.rpc._FIRST_MESSAGE_SECONDS", 30.0)
    channel = await venue.channel(await venue.start())
    stream = channel.stream_stream(f"/{ECHO}/StreamStream")(timeout=60)
    await stream.wait_for_connection()
    await asyncio.sleep(0.2)  # more than a refusal takes
    await stream.write(b"x")
    assert (await venue.refusal(stream.read())).reason == "TOKEN_MISSING"


@pytest.mark.parametrize("said", ["nothing", "nothing more", "what is no message"])
async def test_a_refused_stream_ends_whatever_its_client_says(venue: Any, said: str) -> None:
    if said == "what is no message":
        venue.echo.read = Status.FromString
    channel = await venue.channel(await venue.start())
    stream = channel.stream_stream(f"/{ECHO}/StreamStream")(timeout=60)
    if said == "nothing more":
        await stream.done_writing()
    elif said == "what is no message":
        await stream.write(b"\xff")
    assert (await venue.refusal(stream.read())).reason == "TOKEN_MISSING"


async def test_an_undeclared_rpc_is_denied_to_everybody(venue: Any, kind: str) -> None:
    server = await venue.start(venue.echo.module(scopes={}))
    caller = await venue.caller(server, venue.token(scopes=["admin"]))
    refusal = await venue.refusal(caller.call(kind, b"x"))
    assert (refusal.code, refusal.reason) == (DENIED, "RPC_NOT_DECLARED")


@pytest.mark.parametrize("needed", ["read", "trade", "operate", "admin"])
@pytest.mark.parametrize("held", ["read", "trade", "operate", "admin", ""])
async def test_scopes_allow_what_they_imply_and_nothing_else(venue: Any, needed: str, held: str) -> None:
    allowed = {"admin": {"read", "trade", "operate", "admin"}, "trade": {"trade", "read"}}.get(held, {held})
    module = venue.echo.module(scopes={"/smartex.test.v1.EchoService/UnaryUnary": needed})
    caller = await venue.caller(await venue.start(module), venue.token(scopes=[held] if held else []))
    if needed in allowed:
        assert await caller.call("UnaryUnary", b"x") == [b"x"]
        return
    refusal = await venue.refusal(caller.call("UnaryUnary", b"x"))
    assert (refusal.code, refusal.reason) == (DENIED, "SCOPE_MISSING")
    assert refusal.info.metadata["required"] == needed


async def test_the_principal_is_the_tokens(venue: Any, kind: str) -> None:
    async def tell(_: bytes) -> bytes:
        who = principal()
        return f"{who.subject} {who.require_account()} {' '.join(sorted(who.scopes))}".encode()

    venue.echo.behave = tell
    server = await venue.start()
    for account in (7, 8):
        caller = await venue.caller(server, venue.token(subject=f"s{account}", account_id=account))
        # Twice, since the second comes from the memory of verified tokens.
        for _ in range(2):
            assert set(await caller.call(kind, b"x")) == {f"s{account} {account} read trade".encode()}


async def test_a_token_without_an_account_cannot_act_for_one(venue: Any) -> None:
    async def tell(_: bytes) -> bytes:
        return str(principal().require_account()).encode()

    venue.echo.behave = tell
    caller = await venue.caller(await venue.start(), venue.token(account_id=None))
    refusal = await venue.refusal(caller.call("UnaryUnary", b"x"))
    assert (refusal.code, refusal.reason) == (DENIED, "ACCOUNT_MISSING")


async def test_a_public_rpc_needs_no_token_and_knows_nobody(venue: Any) -> None:
    async def tell(_: bytes) -> bytes:
        return principal().subject.encode()

    path = "/smartex.test.v1.EchoService/UnaryUnary"
    caller = await venue.caller(await venue.start(venue.echo.module(scopes={path: PUBLIC})), None)
    assert await caller.call("UnaryUnary", b"x") == [b"x"]
    venue.echo.behave = tell
    refusal = await venue.refusal(caller.call("UnaryUnary", b"x"))
    assert (refusal.code, refusal.reason) == (UNAUTHENTICATED, "TOKEN_MISSING")


async def test_two_tokens_at_once_are_refused(venue: Any) -> None:
    caller = await venue.caller(await venue.start())
    second = ("authorization", f"Bearer {venue.token(account_id=8)}")
    refusal = await venue.refusal(caller.call("UnaryUnary", b"x", more=(second,)))
    assert (refusal.code, refusal.reason) == (UNAUTHENTICATED, "TOKEN_MALFORMED")


async def test_rotation_keeps_old_tokens_and_takes_new_ones(venue: Any) -> None:
    server = await venue.start()
    old = await venue.caller(server)
    assert await old.call("UnaryUnary", b"x") == [b"x"]
    # A second process shares the folder, as `smartex token` does.
    LocalIssuer(venue.issuer.jwks_path.parent).rotate()
    new = await venue.caller(server)
    assert new.token is not None
    assert jwt.get_unverified_header(new.token)["kid"] != jwt.get_unverified_header(old.token)["kid"]
    # The file is looked at again once a second at most.
    await asyncio.sleep(1.1)
    assert await new.call("UnaryUnary", b"x") == [b"x"]
    assert await old.call("UnaryUnary", b"x") == [b"x"]


async def test_a_stream_ends_when_its_token_does(venue: Any) -> None:
    async def wait(_: bytes) -> bytes:
        await asyncio.sleep(60)
        return b""

    venue.echo.behave = wait
    caller = await venue.caller(await venue.start(), venue.token(ttl=-4.0))
    refusal = await venue.refusal(caller.call("StreamStream", b"x", deadline=30))
    assert (refusal.code, refusal.reason) == (UNAUTHENTICATED, "TOKEN_EXPIRED")
