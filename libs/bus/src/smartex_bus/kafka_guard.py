"""A small guardian process between the program and Kafka; run by path, imports nothing of the package.

The program may die by `kill -9` at any moment and must not leave a broker behind. This process holds the
reading end of a pipe whose only writer is the program: when the pipe ends, the broker is asked to stop,
then killed. Should the guardian itself be killed, the kernel kills the broker (PR_SET_PDEATHSIG; this
process has one thread, so the signal comes when the process ends and not before).

    argv    log file, then the command
    stdout  one line: the process id of the broker
    exit    when the broker has ended
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time

_PR_SET_PDEATHSIG = 1
_GRACE_SECONDS = 5.0


def _die_with_guardian() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _start(log: str, command: list[str]) -> subprocess.Popen[bytes]:
    with open(log, "ab") as out:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            preexec_fn=_die_with_guardian,
        )


def _owner_is_gone(seconds: float) -> bool:
    ready, _, _ = select.select([0], [], [], seconds)
    return bool(ready) and os.read(0, 1) == b""


def _end(broker: subprocess.Popen[bytes]) -> None:
    broker.terminate()
    # A broker that was stopped by a signal has to run again to hear that it should end.
    broker.send_signal(signal.SIGCONT)
    deadline = time.monotonic() + _GRACE_SECONDS
    while broker.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    broker.kill()


def main() -> None:
    """Start the broker and stay until it or the program has ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    broker = _start(sys.argv[1], sys.argv[2:])
    print(broker.pid, flush=True)
    while broker.poll() is None:
        if _owner_is_gone(0.1):
            _end(broker)
            break
    broker.wait()


if __name__ == "__main__":
    main()
