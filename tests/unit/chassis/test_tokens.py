"""Keys, tokens and the local issuer, by a clock of the test's own."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smartex_chassis import SCOPES, KeySet, LocalIssuer, TokenVerifier, Unauthenticated, Unavailable
from smartex_chassis.auth import bearer_token, expand_scopes
from smartex_chassis.keys import KeySetError, check_location, parse_jwks


class Clock:
    """Time that moves when told."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(tmp_path: Path, clock: Clock) -> LocalIssuer:
    return LocalIssuer(tmp_path / "keys", now=clock)


@pytest.fixture
def new_verifier(issuer: LocalIssuer, clock: Clock) -> Callable[..., TokenVerifier]:
    def make(cache_size: int = 100) -> TokenVerifier:
        keys = KeySet(issuer.jwks_path, monotonic=clock)
        return TokenVerifier(
            keys, issuer="smartex-local", audience="smartex", now=clock, cache_size=cache_size
        )

    return make


async def _reason(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await verifier.verify(token)
    return caught.value.reason


async def test_what_is_issued_is_verified(
    issuer: LocalIssuer, clock: Clock, new_verifier: Callable[..., TokenVerifier]
) -> None:
    verifier = new_verifier()
    who = await verifier.verify(
        issuer.issue(subject="ann", account_id=5, scopes=["trade"], ttl=timedelta(hours=1))
    )
    assert (who.subject, who.account_id, who.scopes) == ("ann", 5, frozenset({"trade", "read"}))
    assert who.expires_at == clock.now + 3600 + 5
    operator = await verifier.verify(issuer.issue(subject="op", scopes=["operate"]))
    assert operator.account_id is None


async def test_a_token_ends_with_its_time_even_when_remembered(
    issuer: LocalIssuer, clock: Clock, new_verifier: Callable[..., TokenVerifier]
) -> None:
    verifier = new_verifier()
    token = issuer.issue(subject="ann", ttl=30)
    assert await verifier.verify(token) == verifier.cached(token)
    clock.now += 34.9
    assert await verifier.verify(token)
    clock.now += 0.2
    assert verifier.cached(token) is None
    assert await _reason(verifier, token) == "TOKEN_EXPIRED"


async def test_the_memory_is_bounded_and_forgets_the_least_used(
    issuer: LocalIssuer, new_verifier: Callable[..., TokenVerifier]
) -> None:
    verifier = new_verifier(cache_size=2)
    first, second, third = (issuer.issue(subject=name) for name in ("a", "b", "c"))
    await verifier.verify(first)
    await verifier.verify(second)
    await verifier.verify(first)
    await verifier.verify(third)
    assert verifier.cached(first)
    assert verifier.cached(second) is None
    assert verifier.cached(third)


async def test_a_key_that_is_withdrawn_stops_being_believed(
    issuer: LocalIssuer, clock: Clock, new_verifier: Callable[..., TokenVerifier]
) -> None:
    verifier = new_verifier()
    token = issuer.issue(subject="ann", ttl=3600)
    await verifier.verify(token)
    issuer.rotate()
    keys = json.loads(issuer.jwks_path.read_text())["keys"]
    issuer.jwks_path.write_text(json.dumps({"keys": keys[:1]}))
    clock.now += 301
    assert await _reason(verifier, token) == "TOKEN_UNKNOWN_KEY"


async def test_rotation_takes_effect_and_is_looked_up_once_in_a_while(
    issuer: LocalIssuer, clock: Clock, new_verifier: Callable[..., TokenVerifier]
) -> None:
    verifier = new_verifier()
    old = issuer.issue(subject="ann")
    await verifier.verify(old)
    issuer.rotate()
    new = issuer.issue(subject="ann")
    assert await _reason(verifier, new) == "TOKEN_UNKNOWN_KEY"
    clock.now += 1.1
    assert await verifier.verify(new)
    assert await new_verifier().verify(old), "the key before is still believed"


async def test_keys_that_cannot_be_read_are_no_fault_of_the_caller(
    tmp_path: Path, issuer: LocalIssuer, clock: Clock
) -> None:
    keys = KeySet(tmp_path / "nowhere.json", monotonic=clock)
    with pytest.raises(Unavailable) as caught:
        await keys.get("any")
    assert (caught.value.reason, caught.value.retry_after) == ("KEYS_UNAVAILABLE", timedelta(seconds=1))


async def test_keys_at_hand_are_kept_when_the_source_breaks(
    issuer: LocalIssuer, clock: Clock, new_verifier: Callable[..., TokenVerifier]
) -> None:
    verifier = new_verifier()
    await verifier.verify(issuer.issue(subject="ann"))
    issuer.jwks_path.write_text("broken")
    clock.now += 1000
    assert await verifier.verify(issuer.issue(subject="bob"))


async def test_a_storm_of_unknown_keys_reads_once(
    issuer: LocalIssuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, reads = KeySet(issuer.jwks_path, monotonic=clock), []
    read = keys._read

    def counted() -> bytes:
        reads.append(1)
        return read()

    monkeypatch.setattr(keys, "_read", counted)
    assert await asyncio.gather(*(keys.get(f"forged-{n}") for n in range(200))) == [None] * 200
    assert len(reads) == 1


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"keys": 5}', '{"keys": []}', '{"keys": [5, {"kty": "RSA", "kid": "x"}]}', "\ufffe"],
)
def test_a_set_without_usable_keys_is_refused(text: str) -> None:
    with pytest.raises(KeySetError):
        parse_jwks(text)


def test_only_ed25519_signature_keys_are_taken(issuer: LocalIssuer) -> None:
    (own,) = json.loads(issuer.jwks_path.read_text())["keys"]
    others = [
        own | {"kid": "enc", "use": "enc"},
        own | {"kid": "alg", "alg": "HS256"},
        own | {"kid": "short", "x": "AAAA"},
        own | {"kid": "448", "crv": "Ed448"},
        {"kty": "oct", "kid": "oct", "k": "AAAA"},
        {key: value for key, value in own.items() if key != "kid"},
    ]
    assert set(parse_jwks(json.dumps({"keys": [*others, own]}))) == {own["kid"]}


def test_the_private_key_is_the_owners_alone_and_stays_out_of_the_set(issuer: LocalIssuer) -> None:
    folder = issuer.jwks_path.parent
    assert stat.S_IMODE((folder / "signing_key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all("d" not in key for key in json.loads(issuer.jwks_path.read_text())["keys"])


def test_the_folder_is_found_again(issuer: LocalIssuer, clock: Clock) -> None:
    before = issuer.jwks_path.read_text()
    LocalIssuer(issuer.jwks_path.parent, now=clock)
    assert issuer.jwks_path.read_text() == before


def test_few_old_keys_are_kept(issuer: LocalIssuer) -> None:
    for _ in range(5):
        newest = issuer.rotate()
    keys = json.loads(issuer.jwks_path.read_text())["keys"]
    assert len(keys) == 3
    assert keys[0]["kid"] == newest


def test_the_issuer_refuses_nonsense(issuer: LocalIssuer) -> None:
    with pytest.raises(ValueError, match="no such scope: fly"):
        issuer.issue(subject="x", scopes=["read", "fly"])
    with pytest.raises(ValueError, match="subject is empty"):
        issuer.issue(subject="")
    with pytest.raises(ValueError, match="not a positive number"):
        issuer.issue(subject="x", account_id=0)


@given(st.sets(st.one_of(st.sampled_from(SCOPES), st.text(max_size=5))))
def test_scopes_imply_what_the_table_says(names: set[str]) -> None:
    got = expand_scopes(names)
    assert got <= set(SCOPES)
    assert ("admin" in got) == ("admin" in names)
    assert ("operate" in got) == bool(names & {"operate", "admin"})
    assert ("trade" in got) == bool(names & {"trade", "admin"})
    assert ("read" in got) == bool(names & {"read", "trade", "admin"})


@given(st.one_of(st.text(max_size=100), st.text(max_size=50).map("bEarer {}".format)))
def test_any_header_gives_a_token_or_a_refusal(header: str) -> None:
    if header[:7].lower() == "bearer ":
        assert bearer_token(header) == header[7:].strip()
        return
    with pytest.raises(Unauthenticated) as caught:
        bearer_token(header)
    assert caught.value.reason == ("TOKEN_MALFORMED" if header else "TOKEN_MISSING")


@given(st.text(max_size=200))
async def test_any_text_is_refused_as_a_token(text: str) -> None:
    verifier = TokenVerifier(KeySet("/nowhere"), issuer="x", audience="y")
    with pytest.raises((Unauthenticated, Unavailable)):
        await verifier.verify(text)


@pytest.mark.parametrize(
    "location", ["http://keys.example/x", "http://10.0.0.1/x", "http://localhost.example/x"]
)
def test_keys_do_not_come_in_the_clear(location: str) -> None:
    with pytest.raises(ValueError, match="https"):
        check_location(location)
