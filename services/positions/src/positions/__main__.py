"""Runs this service alone: `python -m positions`; `python -m positions rebuild` compares its rows with the log."""

from __future__ import annotations

import sys

from smartex_chassis import Service, run_all, run_loop

from positions.rebuilding import main as rebuild
from positions.settings import PositionsSettings
from positions.wiring import build


def main() -> int:
    """Serve until SIGTERM, or do what was asked for; the exit code says how it ended."""
    if sys.argv[1:2] == ["rebuild"]:
        return run_loop(rebuild(sys.argv[2:]))
    return run_all([Service(build, PositionsSettings)], name="positions")


if __name__ == "__main__":
    sys.exit(main())
