"""Counts what Numba compiles, so that the first start shows that it gets on."""

from __future__ import annotations

import sys
from typing import Any

_EVENT = "numba:compile"


class CompileCounter:
    """`count` functions were compiled since `watch`."""

    def __init__(self) -> None:
        self.count = 0
        self._watching = False

    def watch(self) -> None:
        """Begin to count. Does nothing where no service has loaded Numba."""
        if self._watching or "numba" not in sys.modules:
            return
        from numba.core import event  # only there if a service depends on it

        counter = self

        class Listener(event.Listener):  # type: ignore[misc, unused-ignore]
            def on_start(self, event: Any) -> None:
                pass

            def on_end(self, event: Any) -> None:
                counter.count += 1

        register: Any = event.register
        register(_EVENT, Listener())
        self._watching = True
