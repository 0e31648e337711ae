"""Whether a process has ended."""

from __future__ import annotations

import psutil


def ended(process: psutil.Process) -> bool:
    """Gone, or dead and only not yet waited for. It may go between two questions about it."""
    try:
        return not process.is_running() or bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
