"""Runs a module beside the pod without taking the processors from it: `python -m matching.beside matching.auditor 15`.

It gives way before anything large is imported, because the imports alone take a second of a processor.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import sys
from pathlib import Path


def give_way(niceness: int) -> None:
    """Let orders have the processors first: with 15 all but wholly, with 5 for three quarters.

    Linux shares them between sessions before it looks at the niceness of processes, so the session is made nice too.
    As a batch task it does not interrupt a running process when it wakes up, however well rested it is.
    """
    with contextlib.suppress(OSError):
        os.nice(niceness)
    with contextlib.suppress(OSError, AttributeError):  # not every system has batch tasks
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(niceness))


if __name__ == "__main__":
    give_way(int(sys.argv[2]))
    runpy.run_module(sys.argv[1], run_name="__main__", alter_sys=True)
