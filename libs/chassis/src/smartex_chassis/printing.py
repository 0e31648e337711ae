"""Words for who has a terminal. That they cannot be written (a full disk, a closed pipe) stops nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO


def say(text: str) -> int:
    """Print to standard output; the exit code: 1 if it cannot be written, which a line on standard error tells.

    Who reads it (head, less) may have enough before the end: that is no failure.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        mute(sys.stdout)
    except OSError as error:
        mute(sys.stdout)
        complain(f"standard output cannot be written: {error.strerror}")
        return 1
    return 0


def complain(line: str) -> None:
    """Print a line to standard error, if that can be written."""
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:
        mute(sys.stderr)


def mute(stream: TextIO) -> None:
    """Let what was and will be written go nowhere."""
    with suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Have both while a program runs, and at its end nothing in them for which Python would change the exit code."""
    _open_missing()
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                mute(stream)


def _open_missing() -> None:
    """Open on the null device what the caller closed of 0, 1 and 2, so that no other file gets these numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - for as long as the process lives
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
