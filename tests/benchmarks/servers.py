"""Processes that benchmarks measure: the exchange without its demo market, and the echo server."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from smartex_chassis import LocalIssuer

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent


def free_port() -> int:
    """A port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Exchange:
    """A running exchange: where it is and who may issue tokens for it."""

    url: str
    metrics: str
    data: Path
    process: subprocess.Popen[str]

    def loop_lag(self) -> dict[float, float]:
        """How often the event loop has been late so far: counts by upper bound in seconds, cumulative."""
        with urllib.request.urlopen(self.metrics, timeout=10) as page:
            text = page.read().decode()
        found = re.findall(r'^smartex_event_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)$', text, re.M)
        return {float(bound): float(count) for bound, count in found}

    def token(self, *scopes: str, account_id: int | None = None) -> str:
        """A token of this exchange."""
        return LocalIssuer(self.data / "keys").issue(subject="bench", account_id=account_id, scopes=scopes)


@contextlib.contextmanager
def exchange(data: Path, *options: str) -> Iterator[Exchange]:
    """Start the exchange in `data` and stop it in the end."""
    port, metrics = free_port(), free_port()
    words = [
        BIN / "smartex-up",
        "--data",
        data,
        "--port",
        port,
        "--metrics-port",
        metrics,
        "--no-demo",
        *options,
    ]
    log = (data.parent / f"{data.name}.log").open("w")
    process = subprocess.Popen(
        [str(word) for word in words],
        stdout=log,
        stderr=subprocess.STDOUT,
        text=True,
        env={
            **os.environ,
            "SMARTEX_ORDER_RATE": "1e9",
            "SMARTEX_ORDER_BURST": "1e9",
            # The market alone, as on a cluster: who reads its log runs elsewhere.
            "SMARTEX_SERVICES": "matching",
            "SMARTEX_STANDINS": "false",
            "SMARTEX_CALLBACK_PORT": "0",
        },
    )
    try:
        yield Exchange(f"127.0.0.1:{port}", f"http://127.0.0.1:{metrics}/metrics", data, process)
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()
        log.close()


@contextlib.contextmanager
def echo_server() -> Iterator[str]:
    """Start the echo server; its address."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "echo_server.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()
