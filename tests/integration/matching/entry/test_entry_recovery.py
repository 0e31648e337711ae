"""Snapshots made beside a running pod, and pods that are killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from matching.snapshots import SnapshotFolder
from smartex.matching.v1 import order_entry_pb2 as pb
from smartex.matching.v1 import types_pb2 as types
from smartex_store import Database
from waiting import until


async def test_the_auditor_saves_what_it_agrees_with(venue: Any, open_market: Any) -> None:
    async with venue.pod("a", snapshot_events=1000, checkpoint_seconds=0.3) as running:
        await open_market(running)
        alice = running.trader(1)
        call = alice.trade()
        await call.write(pb.TradeRequest(open=pb.TradeOpen()))
        await call.read()
        sent = 0
        folder = venue.folder / "a"
        while not list(folder.glob("*.snapshot")) and sent < 1_000_000:
            commands = [
                pb.OrderCommand(
                    kind=1,  # type: ignore[arg-type]
                    instrument_id=1,
                    client_order_id=sent + i,
                    side=types.SIDE_BUY,
                    order_type=types.ORDER_TYPE_LIMIT,
                    time_in_force=types.TIME_IN_FORCE_IOC,
                    price_ticks=900,
                    quantity_lots=1,
                    create_time_ns=running.pod.replica.core.now,
                )
                for i in range(1, 201)
            ]
            await call.write(pb.TradeRequest(commands=commands))
            sent += 200
            await asyncio.sleep(0.05)
        (path,) = folder.glob("*.snapshot")
        info = SnapshotFolder(folder, running.pod.settings.shard, 3).newest_first()[0]
        assert info.path == path
        checkpoint = running.pod.checkpoints.get(info.offset)
        assert checkpoint is not None
        assert checkpoint.own == info.state_hash
        call.cancel()


async def test_a_killed_pod_comes_back_with_everything(venue: Any, open_market: Any, tmp_path: Path) -> None:
    """Acknowledged orders of a process that is killed are there in the next one, each once."""
    async with venue.pod("first") as running:
        await open_market(running)
    port = tmp_path / "port"
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from smartex_chassis import Service, run_all\n"
        "from matching.settings import MatchingSettings\n"
        "from matching.wiring import build\n"
        "sys.exit(run_all([Service(build, MatchingSettings)], argv=[],\n"
        f"    on_ready=lambda server: Path({str(port)!r}).write_text(str(server.port))))\n"
    )
    settings = {
        "SMARTEX_DATABASE_URL": venue.settings["database_url"],
        "SMARTEX_SHARD": str(venue.settings.get("shard", 0)),
        "SMARTEX_POD": "victim",
        "SMARTEX_MATCHING_DATA": str(venue.folder / "victim"),
        "SMARTEX_JWKS": str(venue.issuer.jwks_path),
        "SMARTEX_PORT": "0",
        "SMARTEX_METRICS_PORT": "none",
        "SMARTEX_IDEMPOTENCY_WINDOW": str(1 << 16),
        "SMARTEX_MAX_ORDERS": str(1 << 16),
        "SMARTEX_MAX_ACCOUNTS": str(1 << 12),
    }
    if "bus_url" in venue.settings:
        settings["SMARTEX_BUS_URL"] = venue.settings["bus_url"]
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, env=os.environ | settings)
    try:
        # The file is there a moment before it says anything.
        await until(lambda: port.exists() and port.read_text())
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port.read_text()}") as channel:
            alice = running.trader(1)
            alice.__init__(channel, alice.token, 1)
            acknowledged: list[int] = []

            async def trade() -> None:
                while True:
                    outcome = (await alice.place(types.SIDE_BUY, 900, 1)).outcome
                    acknowledged.append(outcome.client_order_id)

            trading = asyncio.create_task(trade())
            await until(lambda: len(acknowledged) > 50 or trading.done())
            assert not trading.done(), trading.exception()
            process.send_signal(signal.SIGKILL)
            await asyncio.gather(trading, return_exceptions=True)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    async with venue.pod("victim") as again:
        alice = again.trader(1)
        there = (await alice.get_account()).open_order_count
        assert len(acknowledged) <= there <= len(acknowledged) + 1
        for client_order_id in acknowledged:
            outcome = (await alice.place(types.SIDE_BUY, 900, 1, client_order_id=client_order_id)).outcome
            assert outcome.repeated
        assert (await alice.get_account()).open_order_count == there


@pytest.mark.parametrize("engine", [{}])
async def test_a_pod_does_not_believe_snapshots_of_what_a_restored_backup_does_not_have(
    venue: Any, open_market: Any, postgres: Any
) -> None:
    """Not even when the log has grown past them again: orders of the one or the other would be lost silently."""
    async with venue.pod("a") as running:
        await open_market(running)
    place = venue.settings["database_url"]
    name = place.partition("?")[0].rpartition("/")[2]
    async with Database.connect(postgres.url) as admin:
        await admin.execute(f"create database {name}b template {name}")
    restored = replace(venue, settings=venue.settings | {"database_url": place.replace(name, f"{name}b")})

    async with venue.pod("a") as running:
        alice = running.trader(1)
        for _ in range(10):
            await alice.place(types.SIDE_SELL, 1100, 1)
    async with restored.pod("b") as running:
        bob = running.trader(2)
        for _ in range(30):
            await bob.place(types.SIDE_BUY, 900, 1)
    async with restored.pod("a") as running:
        assert (await running.trader(1).get_account()).open_order_count == 0
        assert (await running.trader(2).get_account()).open_order_count == 30
        await until(lambda: running.pod.publisher.leading)
        outcome = (await running.trader(2).place(types.SIDE_BUY, 900, 1, client_order_id=30)).outcome
        assert outcome.repeated
    folder = SnapshotFolder(venue.folder / "a", running.pod.settings.shard, 3)
    assert len(list(folder.folder.glob("*.aside"))) == 1
    newest = folder.newest_first()[0]
    assert newest.offset == running.pod.replica.next_offset - 1
    assert newest.frame is not None
