"""What the garbage collector need not look at."""

from __future__ import annotations

import gc


def settle_garbage() -> None:
    """Exempt from the collector what is there once all services run: modules, kernels, wiring.

    They live as long as the process, and a full collection would walk hundreds of thousands of them, which takes a
    seventh of a second, while callers wait.
    """
    gc.collect()
    gc.freeze()


def settle_imports() -> None:
    """Exempt what was imported since, in a process that has settled."""
    if gc.get_freeze_count():
        gc.freeze()
