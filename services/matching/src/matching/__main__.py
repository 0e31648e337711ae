"""Runs this service alone: `python -m matching`; `python -m matching rebuild` writes its history anew."""

from __future__ import annotations

import sys

from smartex_chassis import Service, run_all, run_loop

from matching.history.rebuilding import main as rebuild
from matching.settings import MatchingSettings
from matching.wiring import build


def main() -> int:
    """Serve until SIGTERM, or do what was asked for; the exit code says how it ended."""
    if sys.argv[1:2] == ["rebuild"]:
        return run_loop(rebuild(sys.argv[2:]))
    return run_all([Service(build, MatchingSettings)], name="matching")


if __name__ == "__main__":
    sys.exit(main())
