"""Commands per second of the production core on order flows: `make bench ONLY=flow FLOW=path.npz`.

Everything is on: a thousand accounts, holds, fees, idempotency with a window of four million outcomes, whose memory is
made real before, as a pod does at its start. The peer of a flow is the floor of memory, in the same run: the same
commands and events copied once in frames of the same size.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from flow_core import (
    TIME_NS,
    Flow,
    Rows,
    commands_of,
    frames_of,
    read_flow,
    ready_core,
    report_hash,
    swing_flow,
)
from matching.domain import EVENT, warm_up

FRAME = 256
PASSES = 7
SINGLES = 200_000
SWINGS = (0.25, 0.6)


def run(flow: str | None = None) -> list[dict[str, Any]]:
    """Measure the flow in a file, or the swinging flows that this project makes."""
    warm_up()
    flows = {Path(flow).stem: read_flow(flow)} if flow else {}
    flows |= {f"swing ±{swing:.0%}": swing_flow(swing) for swing in SWINGS if not flow}
    rows = []
    for name, data in flows.items():
        print(f"{name}: reports SHA-256 {report_hash(data)}", file=sys.stderr)
        rows += measure(name, data)
    return rows


def measure(name: str, flow: Flow) -> list[dict[str, Any]]:
    """Best and median of several passes, each on a new core; then frames of one command."""
    commands = commands_of(flow)
    speeds, copies = [], []
    for _ in range(PASSES):
        seconds, events = one_pass(commands, FRAME)
        speeds.append(len(commands) / seconds)
        copies.append(len(commands) / copy_seconds(commands, events))
    single = min(one_pass(commands[:SINGLES], 1)[0] for _ in range(3)) / SINGLES
    best, median, copied = max(speeds), statistics.median(speeds), max(copies)
    return [
        {
            "name": f"{name}, best",
            "value": best,
            "unit": "commands/s",
            "peer": copied,
            "ratio": best / copied,
        },
        {
            "name": f"{name}, median",
            "value": median,
            "unit": "commands/s",
            "peer": copied,
            "ratio": median / copied,
        },
        {"name": f"{name}, frame of one", "value": single * 1e9, "unit": "ns", "peer": None, "ratio": None},
    ]


def one_pass(commands: Rows, size: int) -> tuple[float, int]:
    """Seconds for all commands on a new core, and how many events there were."""
    core = ready_core()
    frames = frames_of(commands, size)
    before = core.sequence
    apply = core.apply
    start = time.perf_counter()
    for frame in frames:
        apply(frame, TIME_NS)
    return time.perf_counter() - start, core.sequence - before


def copy_seconds(commands: Rows, events: int) -> float:
    """Seconds to copy commands once and to write as many events, in frames."""
    source = commands.view(np.uint8).reshape(len(commands), -1)
    room = np.empty((FRAME, source.shape[1]), np.uint8)
    written = np.ones((FRAME * events // len(commands) + 1, EVENT.itemsize), np.uint8)
    target = np.empty_like(written)
    start = time.perf_counter()
    for place in range(0, len(commands) - FRAME, FRAME):
        room[:] = source[place : place + FRAME]
        target[:] = written
    return time.perf_counter() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run an order flow through the production core.")
    parser.add_argument("--flow", help="an .npz file; without it, flows that swing")
    for row in run(parser.parse_args().flow):
        print(f"{row['name']:32} {row['value']:>14,.0f} {row['unit']}")
