"""Runs this service alone: `python -m matching`."""

from __future__ import annotations

import sys

from smartex_chassis import Service, run_all

from matching.settings import MatchingSettings
from matching.wiring import build


def main() -> int:
    """Serve until SIGTERM; the exit code says how it ended."""
    return run_all([Service(build, MatchingSettings)], name="matching")


if __name__ == "__main__":
    sys.exit(main())
