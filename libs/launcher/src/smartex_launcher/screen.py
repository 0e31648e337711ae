"""What the terminal shows: steps with their time while starting, then one panel, then one line."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, cast

from rich.console import Console
from rich.panel import Panel
from rich.status import Status
from smartex_chassis.printing import complain, mute

from .compiling import CompileCounter

_TICK_SECONDS = 0.2
_PLAIN_EVERY_SECONDS = 10.0


class _Paper:
    """A stream to draw on. The exchange goes on when nobody reads it (`make up | head`), or its disk is full."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or give up writing."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """Send what was written, or give up writing."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def _give_up(self, error: OSError) -> None:
        mute(self._stream)
        if not isinstance(error, BrokenPipeError):
            complain(f"the screen cannot be written ({error.strerror}): the exchange goes on without")


class Screen:
    """The terminal of `make up`. Quiet shows nothing (`--json-logs`)."""

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        paper = cast(TextIO, _Paper(sys.stdout))
        self.console = console or Console(file=paper, quiet=quiet, highlight=False)
        self.compiled = CompileCounter()

    @contextmanager
    def step(self, what: str, done: str | None = None) -> Iterator[StepNote]:
        """Show a step while it is under way, and a line with its time when it is done."""
        note, began, kernels = StepNote(done or what), time.monotonic(), self.compiled.count
        ended = threading.Event()
        with self.console.status(what) as status:
            # A thread, because compilation holds the event loop up.
            ticker = threading.Thread(
                target=self._tick, args=(ended, status, what, began, kernels), name="screen", daemon=True
            )
            ticker.start()
            try:
                yield note
            finally:
                ended.set()
                ticker.join()
        self.console.print(f"[green]✓[/] {note.text} [dim]{time.monotonic() - began:.1f} s[/]")

    def panel(self, title: str, lines: list[str]) -> None:
        """Show the panel of a running exchange."""
        self.console.print(Panel("\n".join(lines), title=title, expand=False, padding=(0, 2)))

    def say(self, text: str) -> None:
        """Show one line."""
        self.console.print(text)

    def _tick(self, ended: threading.Event, status: Status, what: str, began: float, kernels: int) -> None:
        plain_at = began + _PLAIN_EVERY_SECONDS
        while not ended.wait(_TICK_SECONDS):
            now = time.monotonic()
            text = f"{what} … {now - began:.0f} s" + _kernels(self.compiled.count - kernels)
            status.update(text)
            if not self.console.is_terminal and now >= plain_at:
                plain_at = now + _PLAIN_EVERY_SECONDS
                self.console.print(text)


class StepNote:
    """The words that a step ends with; the step may change them."""

    def __init__(self, text: str) -> None:
        self.text = text


def _kernels(count: int) -> str:
    return f", {count} functions compiled (first start only)" if count else ""
