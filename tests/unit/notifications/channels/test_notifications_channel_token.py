"""An access token is fetched once for all who wait, and its failure is shared."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from notifications.channels.http_token import Token, TokenCache
from notifications.domain.sending import Failed, Refused


class Provider:
    """Gives tokens `t1`, `t2`, … that live an hour."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
        self.asked = 0
        self.answer: Token | Failed | Refused | None = None
        self.go = asyncio.Event()
        self.go.set()
        self.cache = TokenCache(self.fetch, lambda: self.now)

    async def fetch(self) -> Token | Failed | Refused:
        self.asked += 1
        await self.go.wait()
        return self.answer or Token(f"t{self.asked}", timedelta(hours=1))


async def test_all_who_wait_share_one_fetch() -> None:
    provider = Provider()
    provider.go.clear()
    waiting = [asyncio.create_task(provider.cache.get()) for _ in range(100)]
    await asyncio.sleep(0)
    provider.go.set()
    assert set(await asyncio.gather(*waiting)) == {"t1"}
    assert provider.asked == 1


async def test_a_failure_is_shared_and_not_kept() -> None:
    provider = Provider()
    provider.answer = Failed("TIMEOUT", maybe_sent=True)
    got = await asyncio.gather(*(provider.cache.get() for _ in range(10)))
    # Only the token was asked for: the message cannot have been sent.
    assert set(got) == {Failed("TIMEOUT")}
    assert provider.asked == 1
    provider.answer = Refused("REFUSED 400")
    assert await provider.cache.get() == Failed("REFUSED 400")
    provider.answer = None
    assert await provider.cache.get() == "t3"


async def test_renewed_a_minute_before_it_ends() -> None:
    provider = Provider()
    assert await provider.cache.get() == "t1"
    provider.now += timedelta(minutes=58, seconds=59)
    assert await provider.cache.get() == "t1"
    provider.now += timedelta(seconds=1)
    assert await provider.cache.get() == "t2"


async def test_a_short_life_is_halved() -> None:
    provider = Provider()
    provider.answer = Token("short", timedelta(seconds=10))
    await provider.cache.get()
    provider.now += timedelta(seconds=4)
    await provider.cache.get()
    assert provider.asked == 1
    provider.now += timedelta(seconds=1)
    await provider.cache.get()
    assert provider.asked == 2


async def test_many_who_were_refused_renew_once() -> None:
    provider = Provider()
    await provider.cache.get()
    got = await asyncio.gather(*(provider.cache.get(refused="t1") for _ in range(10)))
    assert set(got) == {"t2"}
    assert await provider.cache.get(refused="t1") == "t2"
    assert provider.asked == 2


async def test_one_who_leaves_does_not_take_the_token_from_the_others() -> None:
    provider = Provider()
    provider.go.clear()
    leaving, staying = (asyncio.create_task(provider.cache.get()) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    provider.go.set()
    assert await staying == "t1"
    assert provider.asked == 1


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(Token("secret", timedelta(hours=1)))
