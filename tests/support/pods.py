"""Matching pods as real processes that a test can kill, stop and start again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from isolated import free_port
from matching.settings import MatchingSettings
from smartex.matching.v1 import venue_pb2, venue_pb2_grpc
from smartex_chassis import ChassisSettings, LocalIssuer
from smartex_chassis.settings import unknown_variables

READY_WITHIN = 300.0
"""Seconds for a start, which may have to compile, on a busy machine."""


@dataclass
class Pod:
    """One `python -m matching`."""

    name: str
    folder: Path
    database_url: str
    bus_url: str
    issuer: LocalIssuer
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None
    _channel: grpc.aio.Channel | None = None

    def start(self) -> None:
        """Start the process; it appends to `<folder>/<name>.log`."""
        environment = {
            "SMARTEX_PORT": str(self.port),
            "SMARTEX_METRICS_PORT": str(free_port()),
            "SMARTEX_POD": self.name,
            "SMARTEX_DATABASE_URL": self.database_url,
            "SMARTEX_BUS_URL": self.bus_url,
            "SMARTEX_MATCHING_DATA": str(self.folder / self.name),
            "SMARTEX_JWKS": str(self.issuer.jwks_path),
            "SMARTEX_IDEMPOTENCY_WINDOW": "100000",
            "SMARTEX_MAX_ORDERS": "200000",
            "SMARTEX_MAX_ACCOUNTS": "1000",
            "SMARTEX_SNAPSHOT_EVENTS": "200",
            "SMARTEX_CHECKPOINT_SECONDS": "2",
            "SMARTEX_LEASE_SECONDS": "1",
            "SMARTEX_LOG_FORMAT": "json",
        }
        if unknown := unknown_variables((ChassisSettings, MatchingSettings), environment):
            raise ValueError(f"there are no such settings: {unknown}")
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "matching"],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def alive(self) -> bool:
        """Whether the process runs (or is stopped by a signal)."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(120)

    @property
    def channel(self) -> grpc.aio.Channel:
        """A channel to it, which reconnects quickly."""
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(
                f"127.0.0.1:{self.port}",
                options=[("grpc.max_reconnect_backoff_ms", 300), ("grpc.initial_reconnect_backoff_ms", 100)],
            )
        return self._channel

    async def close(self) -> None:
        """Close the channel."""
        if self._channel is not None:
            await self._channel.close(None)
            self._channel = None

    async def status(self) -> venue_pb2.GetVenueStatusResponse:
        """Its status."""
        stub = venue_pb2_grpc.VenueServiceStub(self.channel)
        response: venue_pb2.GetVenueStatusResponse = await stub.GetVenueStatus(
            venue_pb2.GetVenueStatusRequest(), metadata=self.operator(), timeout=2
        )
        return response

    async def ready(self) -> None:
        """Wait until it answers; restart it if it left, as an orchestrator would."""
        end = time.monotonic() + READY_WITHIN
        while time.monotonic() < end:
            if not self.alive:
                self.start()
            with contextlib.suppress(grpc.aio.AioRpcError):
                await self.status()
                return
            await asyncio.sleep(0.1)
        raise TimeoutError(f"{self.name} is not ready; its last lines:\n{self.last_lines()}")

    def last_lines(self, count: int = 15) -> str:
        """The end of its log."""
        text = (self.folder / f"{self.name}.log").read_text("utf-8", "replace")
        return "\n".join(text.splitlines()[-count:])

    @property
    def snapshots(self) -> list[Path]:
        """The snapshots that it has."""
        return list((self.folder / self.name).glob("*.snapshot"))

    def operator(self) -> tuple[tuple[str, str], ...]:
        """Metadata of an operator."""
        return self.metadata("operate", "read")

    def metadata(self, *scopes: str, account_id: int | None = None) -> tuple[tuple[str, str], ...]:
        """Metadata with a fresh token."""
        token = self.issuer.issue(subject="simulation", account_id=account_id, scopes=scopes)
        return (("authorization", f"Bearer {token}"),)


async def orchestrate(pods: Sequence[Pod]) -> None:
    """Start again what left by itself, for ever; cancel to end."""
    while True:
        for pod in pods:
            if not pod.alive:
                pod.start()
        await asyncio.sleep(0.3)
