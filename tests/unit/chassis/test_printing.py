"""A full disk or a reader that has enough: one line at most, the right exit code, and nothing stops."""

from __future__ import annotations

import errno
import io
import logging as stdlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import TextIO

import pytest
import structlog
from smartex_chassis import logging
from smartex_chassis.printing import complain, say

PROGRAM = """
import os, signal, sys
from smartex_chassis import ChassisSettings, Service, ServiceModule, run_all

async def start():
    os.kill(os.getpid(), signal.SIGTERM)

def build(settings):
    return ServiceModule("t", lambda server: None, {}, start)

sys.exit(run_all([Service(build, ChassisSettings)], name="t"))
"""
FULL = "standard output cannot be written: No space left on device\n"


@pytest.fixture
def full() -> Iterator[TextIO]:
    with open("/dev/full", "w") as stream:
        yield stream


def test_what_cannot_be_said_is_one_line_and_a_code(
    full: TextIO, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", full)
    assert say("good") == 1
    assert capsys.readouterr().err == FULL
    assert say("muted since") == 0


def test_a_reader_that_has_enough_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert say("good") == 0
    assert capsys.readouterr().err == ""


def test_a_complaint_that_cannot_be_written_is_none(full: TextIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", full)
    complain("bad")


@pytest.mark.parametrize("redirected", [">/dev/full", ">&-", "2>/dev/full", "2>&-", ">&- 2>&- <&-"])
def test_a_service_runs_and_ends_without_its_streams(redirected: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" {redirected}', sys.executable, PROGRAM],
        env={"SMARTEX_PORT": "0", "SMARTEX_METRICS_PORT": "0", "SMARTEX_LOG_FORMAT": "json"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert ("stopped" in done.stderr) == ("2>" not in redirected)


@pytest.fixture
def own_logging() -> Iterator[None]:
    root = stdlib.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


class Disk(io.StringIO):
    """Full at times."""

    full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(text)


@pytest.mark.usefixtures("own_logging")
def test_a_log_that_cannot_be_written_is_told_once_and_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    disk = Disk()
    logging.configure(service="t", form="json", stream=disk)
    log = structlog.get_logger("t")
    told = "the log cannot be written (No space left on device): it goes on without\n"
    for _ in range(2):
        disk.full = True
        log.info("lost")
        log.info("lost")
        assert capsys.readouterr().err == told
        disk.full = False
        log.info("written")
    assert disk.getvalue().count("written") == 2
    assert "lost" not in disk.getvalue()
