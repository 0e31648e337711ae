"""Start a program of PostgreSQL under its guardian; see `watchdog`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import watchdog
from .binaries import RunAs

_KEPT_BYTES = 32 << 20
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LC_ALL": "C",
    "TZ": "UTC",
    # A session that takes frames of a megabyte would give its memory back to the kernel after each, and get it again
    # page by page: 25 faults for a thousand orders, a third of the time that it spends in the kernel.
    "MALLOC_MMAP_THRESHOLD_": str(_KEPT_BYTES),
    "MALLOC_TRIM_THRESHOLD_": str(_KEPT_BYTES),
}


@dataclass(frozen=True)
class Spec:
    """What to run: the command, its log, its working folder, the signal that ends it.

    `cleanup` is a folder that the guardian removes if the program that started it is gone.
    """

    argv: list[str]
    log: Path
    cwd: Path
    signal: signal.Signals
    cleanup: Path | None = None


def launch(spec: Spec, run_as: RunAs, lock: int) -> subprocess.Popen[bytes]:
    """Start the guardian, which starts the command as `run_as` and lets it inherit the lock."""
    spec.log.write_bytes(b"")
    spec.log.chmod(0o600)
    order = {
        "argv": spec.argv,
        "env": _ENVIRONMENT,
        "cwd": str(spec.cwd),
        "log": str(spec.log),
        "signal": int(spec.signal),
        "uid": run_as.uid,
        "gid": run_as.gid,
        "lock_fd": lock,
        "cleanup": str(spec.cleanup) if spec.cleanup else None,
    }
    return subprocess.Popen(
        [sys.executable, "-I", "-S", watchdog.__file__, json.dumps(order)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(lock,),
        start_new_session=True,
        cwd="/",
    )
