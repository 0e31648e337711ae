"""Servers that live for a whole session do so in one event loop."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest


def run_together(
    items: list[pytest.Item], conftest: str, loop_scope: Literal["session", "module"] = "session"
) -> None:
    """Run every test below a conftest in the loop of its servers."""
    folder = Path(conftest).parent
    for item in items:
        if folder in Path(item.path).parents:
            item.add_marker(pytest.mark.asyncio(loop_scope=loop_scope), append=False)
