"""Run the benchmarks, print a table and write build/bench.json.

A module `bench_<name>.py` beside this file has `run() -> list[Row]` (or a coroutine); a row has name, value,
unit, peer and ratio. Product and peer are measured in the same run, since the machines are shared and absolute
figures wander; the ratio is what counts.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import inspect
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import smartex_chassis.grpc_setup  # noqa: F401  # before anything loads gRPC
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
OUTPUT = HERE.parents[1] / "build/bench.json"

Row = dict[str, Any]


def names() -> list[str]:
    """Every benchmark there is."""
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def measure(name: str, flow: str | None) -> list[Row]:
    """Run one benchmark; `flow` goes to those that take a file."""
    run: Callable[..., Any] = importlib.import_module(f"bench_{name}").run
    options = {"flow": flow} if "flow" in inspect.signature(run).parameters else {}
    result = run(**options)
    rows = asyncio.run(result) if inspect.iscoroutine(result) else result
    return [{"benchmark": name, **row} for row in rows]


def table(rows: list[Row]) -> Table:
    """The rows for people."""
    shown = Table("benchmark", "measure", title=f"{platform.machine()}, Python {platform.python_version()}")
    for column in ("value", "unit", "peer", "ratio"):
        shown.add_column(column, justify="left" if column == "unit" else "right")
    for row in rows:
        shown.add_row(
            row["benchmark"],
            row["name"],
            number(row["value"]),
            row["unit"],
            number(row.get("peer")),
            number(row.get("ratio")),
        )
    return shown


def number(value: object) -> str:
    """A figure with as many digits as help."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description="Measure product and peers in one run.")
    parser.add_argument("--only", help="comma-separated names; there are: " + ", ".join(names()))
    parser.add_argument("--flow", help="file of an order flow for the benchmark `flow`")
    arguments = parser.parse_args()
    wanted = arguments.only.split(",") if arguments.only else names()
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are: {', '.join(names())}")
    sys.path.insert(0, str(HERE))
    console = Console(stderr=True)
    rows: list[Row] = []
    failed = []
    for name in wanted:
        began = time.monotonic()
        try:
            rows += measure(name, arguments.flow)
        except Exception:
            failed.append(name)
            console.print_exception()
        console.print(f"{name}: {time.monotonic() - began:.0f} s", style="dim")
    Console(width=None if sys.stdout.isatty() else 140).print(table(rows))
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    if failed:
        console.print(f"failed: {', '.join(failed)}", style="red")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
