import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from processes import ended

ROOT = Path(__file__).resolve().parents[3]
PUSH_PORTS = ("--standins-port", "0", "--callback-port", "0")
PATIENCE = 300.0
"""Seconds for a start, which may have to compile, on a busy machine."""


def wait_until(condition: Callable[[], bool], what: str, within: float = 60.0) -> None:
    end = time.monotonic() + within
    while not condition():
        assert time.monotonic() < end, f"still waiting for: {what}"
        time.sleep(0.05)


class Launched:
    """A running `smartex-up`."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        words = ["--data", str(data), "--port", "0", "--metrics-port", "0", *PUSH_PORTS, *options]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "smartex_launcher", *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "160"},
        )
        self.said: list[str] = []
        self.complained: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._threads = [
            threading.Thread(target=self._read_out, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read_out(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip())
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.complained.extend(line.rstrip() for line in self.process.stderr)

    def until_said(self, text: str) -> "Launched":
        end = time.monotonic() + PATIENCE
        while not any(text in line for line in self.said):
            line = self._lines.get(timeout=max(0.1, end - time.monotonic()))
            assert line is not None, f"ended early: {self.said} {self.complained}"
            self.said.append(line)
        return self

    def commands(self) -> list[str]:
        """The commands of the panel."""
        shown = [line.strip("│ ").strip() for line in self.said]
        return [line for line in shown if line.startswith((".venv/bin/smartex", "export "))]

    def family(self) -> list[psutil.Process]:
        """The processes that it started, theirs included."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(120)
        for thread in self._threads:
            thread.join(60)
        while (line := self._lines.get(timeout=60)) is not None:
            self.said.append(line)
        return status

    def cli(self, words: str) -> subprocess.CompletedProcess[str]:
        """Run a command line as a person would in the project's folder, who is patient."""
        patient = f"{Path(sys.executable).parent}/smartex --timeout 90"
        command = re.sub(r"^\.venv/bin/smartex", patient, words)
        return subprocess.run(
            command,
            shell=True,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "SMARTEX_HOME": str(self.data)},
        )


@pytest.fixture
def none_left() -> Callable[[list[psutil.Process]], None]:
    return lambda processes: wait_until(lambda: all(map(ended, processes)), "every process is gone")


@pytest.fixture
def launch() -> Iterator[Callable[..., Launched]]:
    started: list[Launched] = []

    def start(data: Path, *options: str) -> Launched:
        started.append(Launched(data, *options))
        return started[-1]

    yield start
    for item in started:
        if item.process.poll() is None:
            item.kill()
        for stream in (item.process.stdout, item.process.stderr):
            assert stream is not None
            stream.close()
