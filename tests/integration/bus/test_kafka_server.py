"""The launcher: nothing outlives its owner, a cluster survives the loss of a node."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import psutil
import pytest
from processes import ended
from smartex_bus import (
    KafkaCompression,
    KafkaSettings,
    Record,
    ServerFailed,
    StoredRecord,
    Topic,
    open_bus,
)
from smartex_bus.kafka_server import KafkaCluster, KafkaServer
from waiting import until

_OWNER = """
import asyncio, sys
from pathlib import Path
from smartex_bus.kafka_server import KafkaServer

async def main():
    server = KafkaServer(Path(sys.argv[1]))
    await server.start(wait=False)
    print(server.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def gone(process: psutil.Process) -> None:
    async with asyncio.timeout(60):
        while not ended(process):
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("victim", ["owner", "guardian"])
async def test_no_broker_outlives_its_owner(tmp_path: Path, victim: str) -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _OWNER, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert owner.stdout is not None
    async with asyncio.timeout(120):
        broker = psutil.Process(int(await owner.stdout.readline()))
    guardian = broker.parent()
    assert guardian is not None
    assert guardian.ppid() == owner.pid
    (owner if victim == "owner" else guardian).send_signal(signal.SIGKILL)
    try:
        await gone(broker)
        await gone(guardian)
    finally:
        if owner.returncode is None:
            owner.kill()
        await owner.wait()


async def test_a_port_that_is_taken(kafka: object, tmp_path: Path) -> None:
    taken = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    async with taken:
        with pytest.raises(ServerFailed, match=r"ended while starting|did not answer"):
            await KafkaServer(tmp_path, port, ready_within=20).start()


@pytest.mark.parametrize("compression", get_args(KafkaCompression))
async def test_batches_packed_in_every_way(kafka: Any, compression: KafkaCompression) -> None:
    topic = f"packed-{compression}"
    given = [Record(b"order %d " % n * 1000, key=b"k", headers={"n": b"%d" % n}) for n in range(5)]
    async with await open_bus(replace(kafka.settings, compression=compression)) as writer:
        await writer.ensure_topics(Topic(topic))
        await writer.appender(topic).append(*given)
    async with await open_bus(kafka.settings) as reader:
        found = await reader.read(topic, 0, 0)
    assert [(r.value, r.key, r.headers) for r in found] == [(r.value, r.key, r.headers) for r in given]


async def test_a_cluster_survives_the_loss_of_a_node(tmp_path: Path) -> None:
    async with KafkaCluster(tmp_path) as cluster:
        servers = cluster.url.removeprefix("kafka://")
        settings = KafkaSettings(servers, replication=3, min_insync=2, request_timeout=5.0)
        impatient = KafkaSettings(servers, request_timeout=1.0)
        async with await open_bus(settings) as bus, await open_bus(impatient) as single:
            await bus.ensure_topics(Topic("orders", 3))
            await single.ensure_topics(Topic("single-copy", 3))
            lonely = [single.appender("single-copy", partition) for partition in range(3)]
            await asyncio.gather(*(appender.append(Record(b"0")) for appender in lonely))
            given: dict[tuple[int, int], bytes] = {}
            stop = asyncio.Event()

            async def write(partition: int) -> None:
                appender = bus.appender("orders", partition)
                i = 0
                while not stop.is_set():
                    value = b"%d:%d" % (partition, i)
                    given[partition, await appender.append(Record(value))] = value
                    i += 1
                    await asyncio.sleep(0.005)

            # One partition at least is led by the node that dies.
            writers = [asyncio.create_task(write(partition)) for partition in range(3)]
            await asyncio.sleep(1.0)
            await cluster.nodes[0].kill()
            # One partition has no leader now: its append waits, longer than a request may take.
            waiting = [appender.append_nowait(Record(b"1")) for appender in lonely]
            before = len(given)
            async with asyncio.timeout(60):
                while len(given) < before + 100:
                    await asyncio.sleep(0.05)
            stop.set()
            async with asyncio.timeout(60):
                await asyncio.gather(*writers)
            for partition in range(3):
                records: list[StoredRecord] = []
                while more := await bus.read("orders", partition, len(records)):
                    records += more
                expected = {offset: value for (at, offset), value in given.items() if at == partition}
                assert {record.offset: record.value for record in records} == expected
            await until(lambda: sum(future.done() for future in waiting) >= 2)
            done, pending = await asyncio.wait(waiting, timeout=3.0)
            assert [future.result() for future in done] == [1, 1]
            assert len(pending) == 1
            assert not single.fatal.is_set()
            await asyncio.gather(*(appender.close(drain=False) for appender in lonely))
