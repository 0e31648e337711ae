"""Runs this service alone: `python -m notifications`."""

from __future__ import annotations

import sys

from smartex_chassis import Service, run_all

from notifications.settings import NotificationsSettings
from notifications.wiring import build


def main() -> int:
    """Serve until SIGTERM; the exit code says how it ended."""
    return run_all([Service(build, NotificationsSettings)], name="notifications")


if __name__ == "__main__":
    sys.exit(main())
