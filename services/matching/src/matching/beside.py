"""Runs a module beside the pod without taking the processors from it: `python -m matching.beside matching.auditor`.

It gives way before anything large is imported, because the imports alone take a second of a processor.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import sys
from pathlib import Path

_NICENESS = 15


def give_way() -> None:
    """Let orders have the processors first.

    Linux shares them between sessions before it looks at the niceness of processes, so the session is made nice too.
    """
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_NICENESS))


if __name__ == "__main__":
    give_way()
    runpy.run_module(sys.argv[1], run_name="__main__", alter_sys=True)
