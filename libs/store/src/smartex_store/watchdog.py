"""A small guardian process between the program and PostgreSQL; run by path, imports nothing of the package.

Why a process of its own: the program may die by `kill -9` at any moment and must not leave a server behind.
This process holds the reading end of a pipe whose only writer is the program; when the program is gone,
however it went, the pipe ends and the server is told to shut down fast. PR_SET_PDEATHSIG alone would not do
in the program itself: it fires when the *thread* that forked ends. Here the only thread lives as long as the
process, so it is a second net: should this process be killed, the kernel sends the server the signal.

It starts in a session of its own, so that Ctrl-C in a terminal reaches the program, which still needs the
database to finish its work, and not the server.

    stdin   "f": stop fast   "i": stop at once (the next start recovers)   end of file: the program is gone
    exit    the status of the command (128 + n if signal n ended it)
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import time
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_ESCALATE_AFTER = 20.0  # seconds between a fast stop and an immediate one


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _die_with_parent(parent: int, signum: int) -> None:
    """Ask the kernel for `signum` when the guardian dies; must come after setuid, which clears it."""
    _prctl(_PR_SET_PDEATHSIG, signum)
    if os.getppid() != parent:  # it died before we asked
        os._exit(125)


def _exec(spec: dict[str, Any], parent: int) -> None:
    """In the child: become the unprivileged user and the command. Does not return."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(signum, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(spec["cwd"])
    os.umask(0o077)
    if spec["uid"] is not None:
        os.setgroups([])
        os.setgid(spec["gid"])
        os.setuid(spec["uid"])
    _die_with_parent(parent, spec["signal"])
    # The lock travels with the server and every process it forks: it is free when all of them are gone.
    os.set_inheritable(spec["lock_fd"], True)
    os.execve(spec["argv"][0], spec["argv"], spec["env"])


def _spawn(spec: dict[str, Any]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        _exec(spec, parent)
    except BaseException as error:
        os.write(2, f"cannot run {spec['argv'][0]}: {error}\n".encode())
    os._exit(126)


def _remove(folder: str) -> None:
    try:
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)
    except OSError:
        pass


def _wake_on_child() -> int:
    """A descriptor that becomes readable when a child ends."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reader


def _guard(child: int, stop_signal: int, wake: int) -> tuple[int, bool]:
    """Obey the pipe until the child has ended; its wait status, and whether the program is gone."""
    watched = [0, wake]
    escalate_at: float | None = None
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status, 0 not in watched
        timeout = None if escalate_at is None else max(0.0, escalate_at - time.monotonic())
        ready, _, _ = select.select(watched, [], [], timeout)
        if wake in ready:
            os.read(wake, 512)
        if 0 in ready:
            order = os.read(0, 1)
            if not order:
                watched = [wake]
            os.kill(child, signal.SIGQUIT if order == b"i" else stop_signal)
            escalate_at = time.monotonic() + _ESCALATE_AFTER
        elif escalate_at is not None and time.monotonic() >= escalate_at:
            os.kill(child, signal.SIGQUIT)
            escalate_at = None


def _reap() -> None:
    """Collect what a crashed server left: its sessions became our children and would stay as zombies."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def main() -> int:
    """Run the command, obey the pipe, report how the command ended."""
    spec = json.loads(sys.argv[1])
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    wake = _wake_on_child()
    child = _spawn(spec)
    status, orphaned = _guard(child, spec["signal"], wake)
    _reap()
    if orphaned and spec["cleanup"]:
        _remove(spec["cleanup"])
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
