"""Waiting for what comes about by itself, in place of sleeping and hoping."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any


async def until(look: Callable[[], Any], what: str = "", seconds: float = 45.0) -> Any:
    """What `look`, which may be a coroutine function, gives once it is true; AssertionError if it never is."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        late = asyncio.get_running_loop().time() > end
        found = look()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert not late, f"still waiting for {what or inspect.getsource(look).strip()}"
        await asyncio.sleep(0.01)
