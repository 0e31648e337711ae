"""`kill -9`, SIGSTOP, and restarts of the log's server, under load, on both bus engines, with two pods.

SMARTEX_KILL_ROUNDS sets the rounds (default 3 in CI; 50 for a release), SMARTEX_KILL_SEED the seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from audit import TradeWatcher, check_balances, check_hashes, check_orders, check_trades, read_events
from pods import Pod, orchestrate
from smartex_bus.kafka_server import KafkaServer
from smartex_chassis import LocalIssuer
from smartex_store import EmbeddedPostgres
from traders import Trader, open_market
from waiting import until

ROUNDS = int(os.environ.get("SMARTEX_KILL_ROUNDS", "3"))
SEED = int(os.environ.get("SMARTEX_KILL_SEED", "20261123"))
ACCOUNTS = range(1, 9)


@dataclass
class World:
    """Two pods on one log."""

    pods: list[Pod]
    bus_url: str
    restart_bus: Callable[[], Awaitable[None]]


@contextlib.asynccontextmanager
async def world(engine: str, folder: Path) -> AsyncIterator[World]:
    """Real servers and two pods, all stopped in the end."""
    async with contextlib.AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(EmbeddedPostgres(folder / "postgres"))
        bus_url, restart = postgres.url, postgres.restart
        if engine == "kafka":
            kafka = await stack.enter_async_context(KafkaServer(folder / "kafka"))
            bus_url = kafka.url

            async def restart() -> None:
                await kafka.kill()
                await kafka.restart()

        issuer = LocalIssuer(folder / "keys")
        pods = [Pod(name, folder, postgres.url, bus_url, issuer) for name in ("pod-a", "pod-b")]
        try:
            for pod in pods:
                pod.start()
            for pod in pods:
                await pod.ready()
            yield World(pods, bus_url, restart)
        finally:
            for pod in pods:
                pod.kill()
                await pod.close()


@contextlib.asynccontextmanager
async def load(pods: list[Pod], traders: list[Trader], watcher: TradeWatcher) -> AsyncIterator[None]:
    """Traders and a watcher at work; a failure of one of them fails the test."""
    stop = asyncio.Event()
    keeper = asyncio.create_task(orchestrate(pods))
    follower = asyncio.create_task(watcher.watch())
    workers = [asyncio.create_task(trader.trade(stop)) for trader in traders]
    try:
        yield
        stop.set()
        await asyncio.wait_for(asyncio.gather(*workers), 90)
        await asyncio.sleep(1.0)  # let the watcher see the last trades
    finally:
        for task in (keeper, follower, *workers):
            task.cancel()
        await asyncio.gather(keeper, follower, *workers, return_exceptions=True)


async def audit(place: World, traders: list[Trader], watcher: TradeWatcher) -> None:
    """All that must be true, whatever happened."""
    for pod in place.pods:
        await pod.ready()
    await check_hashes(place.pods)
    status = await place.pods[0].status()
    events = await asyncio.wait_for(read_events(place.bus_url, status.sequence), 60)
    check_orders(events, traders)
    await check_balances(events, place.pods[0], ACCOUNTS)
    await check_balances(events, place.pods[1], ACCOUNTS)
    check_trades(events, watcher)
    assert acknowledged(traders) > 100
    assert await snapshots_of(place.pods), "no pod made a snapshot to start from"


def acknowledged(traders: list[Trader]) -> int:
    """Orders that were acknowledged."""
    return sum(len(trader.acknowledged) for trader in traders)


async def snapshots_of(pods: list[Pod]) -> list[Path]:
    """The snapshots of the pods; waits for the first, which an auditor makes beside them and takes its time."""
    for _ in range(600):
        if found := [path for pod in pods for path in pod.snapshots]:
            return found
        await asyncio.sleep(0.1)
    return []


async def publisher_of(pods: list[Pod]) -> Pod:
    """The pod that publishes the event log."""
    for _ in range(300):
        for pod in pods:
            with contextlib.suppress(grpc.aio.AioRpcError):
                if (await pod.status()).publisher:
                    return pod
        await asyncio.sleep(0.1)
    raise TimeoutError("nobody publishes")


@pytest.mark.timeout(600 + 60 * ROUNDS)
@pytest.mark.parametrize("engine", ["postgresql", "kafka"])
async def test_nothing_acknowledged_is_lost(engine: str, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    async with world(engine, tmp_path) as place:
        await open_market(place.pods[0], ACCOUNTS)
        traders = [Trader(account, place.pods, random.Random(SEED + account)) for account in ACCOUNTS]
        watcher = TradeWatcher(place.pods)
        async with load(place.pods, traders, watcher):
            for _ in range(ROUNDS):
                await asyncio.sleep(chance.uniform(0.5, 2.0))
                chance.choice(place.pods).kill()
            await asyncio.sleep(1.0)
            await place.restart_bus()
            await asyncio.sleep(1.0)
            publisher = await publisher_of(place.pods)
            publisher.signal(signal.SIGSTOP)
            await asyncio.sleep(3.0)  # longer than its lease
            publisher.signal(signal.SIGCONT)
            await asyncio.sleep(2.0)
            await until(lambda: acknowledged(traders) > 100, "a hundred acknowledged orders", 120)
        await audit(place, traders, watcher)
