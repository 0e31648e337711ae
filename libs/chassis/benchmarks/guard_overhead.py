"""What the chassis adds to a unary call: `python libs/chassis/benchmarks/guard_overhead.py`.

First the guard alone, in one process without a socket; then echo over loopback, bare `grpc.aio` against the
chassis, on each event loop, several rounds in turn.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import grpc
import grpc.aio
import structlog
from smartex_chassis import (
    ChassisServer,
    ChassisSettings,
    KeySet,
    LocalIssuer,
    ServiceModule,
    TokenVerifier,
    run_loop,
)
from smartex_chassis.gate import Gate, Limits
from smartex_chassis.rpc import Router

METHOD = "/bench.Echo/Echo"
CALLS, WARM_UP, ROUNDS = 4_000, 500, 3
LOOPS, KINDS = ("asyncio", "uvloop"), ("bare", "chassis")


async def echo(request: bytes, _context: Any) -> bytes:
    """Answer the request."""
    return request


def register(server: Any) -> None:
    """Serve echo."""
    handlers = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", handlers),))


class Context:
    """As much of a servicer context as the guard looks at."""

    method = METHOD

    def __init__(self, token: str) -> None:
        self._metadata = (("user-agent", "bench"), ("authorization", f"Bearer {token}"))

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """Return the metadata of a call."""
        return self._metadata

    def time_remaining(self) -> float:
        """Return the seconds left."""
        return 5.0

    def code(self) -> None:
        """Return no code, as gRPC does for a call that goes well."""


async def guard_alone(folder: str) -> int:
    """Print the time that the guard takes, without gRPC."""
    issuer = LocalIssuer(folder)
    verifier = TokenVerifier(KeySet(issuer.jwks_path), issuer="smartex-local", audience="smartex")
    limits = Limits(concurrent_rpcs=1_000, default_deadline=10, public_rpcs=100, streams_per_principal=64)
    gate = Gate(limits)
    gate.open = True
    router = Router({METHOD: "trade"}, verifier, gate)
    register(router)
    context = Context(issuer.issue(subject="bench", account_id=1, scopes=["trade"]))
    guarded = router.service(context).unary_unary
    taken = [await _microseconds(guarded, context) - await _microseconds(echo, context) for _ in range(5)]
    print(f"guard alone: {statistics.median(taken):.1f} us a call (best {min(taken):.1f})")
    return 0


async def _microseconds(handler: Any, context: Context) -> float:
    started = time.perf_counter()
    for _ in range(20_000):
        await handler(b"x", context)
    return (time.perf_counter() - started) / 20_000 * 1e6


async def serve(kind: str, folder: str) -> int:
    """Serve echo and print the port; runs until killed."""
    if kind == "bare":
        bare = grpc.aio.server()
        register(bare)
        print(bare.add_insecure_port("127.0.0.1:0"), flush=True)
        await bare.start()
    else:
        module = ServiceModule("bench", register, {METHOD: "trade"})
        settings = ChassisSettings(port=0, metrics_port=None, jwks=str(LocalIssuer(folder).jwks_path))
        server = ChassisServer([module], settings)
        await server.start()
        print(server.port, flush=True)
    await asyncio.Event().wait()
    return 0


async def call(port: int, token: str, times: list[float]) -> int:
    """Call echo again and again, and note the microseconds each call took."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = channel.unary_unary(METHOD)  # type: ignore[call-arg, unused-ignore]
        metadata = (("authorization", f"Bearer {token}"),)
        for number in range(WARM_UP + CALLS):
            started = time.perf_counter()
            await stub(b"x" * 60, metadata=metadata, timeout=5)
            if number >= WARM_UP:
                times.append((time.perf_counter() - started) * 1e6)
    return 0


def over_loopback(folder: str) -> None:
    """Print p50 and p99 of each kind on each loop, the median of the rounds."""
    token = LocalIssuer(folder).issue(subject="bench", account_id=1, scopes=["trade"])
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        for loop in LOOPS:
            for kind in KINDS:
                found.setdefault((loop, kind), []).append(_round(kind, loop, folder, token))
    for (loop, kind), rounds in found.items():
        p50, p99 = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{loop:8} {kind:8} p50 {p50:.0f} us  p99 {p99:.0f} us")


def _round(kind: str, loop: str, folder: str, token: str) -> tuple[float, float]:
    server = subprocess.Popen(
        [sys.executable, __file__, kind, loop, folder], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        times: list[float] = []
        run_loop(call(int(server.stdout.readline()), token, times), loop)
        times.sort()
        return times[len(times) // 2], times[len(times) * 99 // 100]
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if len(sys.argv) > 1:
        run_loop(serve(sys.argv[1], sys.argv[3]), sys.argv[2])
    else:
        with tempfile.TemporaryDirectory() as keys:
            run_loop(guard_alone(keys), "asyncio")
            over_loopback(keys)
