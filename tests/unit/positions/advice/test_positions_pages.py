"""Pages of reports are drawn one at a time, and no more wait than can be drawn soon."""

from __future__ import annotations

import asyncio
import threading

import pytest
from positions.api.risk import MOST_PAGES, RiskApi
from smartex_chassis import Overloaded


async def test_pages_are_drawn_one_at_a_time_and_too_many_are_refused() -> None:
    api = RiskApi(*([None] * 3))  # type: ignore[arg-type]
    go_on, at_once, most = threading.Event(), 0, 0

    def page(report: object, names: object, language: str) -> str:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        go_on.wait(60)
        at_once -= 1
        return "page"

    api._page = page  # type: ignore[method-assign]
    waiting = [asyncio.create_task(api._draw(None, [], "en")) for _ in range(MOST_PAGES)]  # type: ignore[arg-type]
    await asyncio.sleep(0.05)
    with pytest.raises(Overloaded) as refused:
        await api._draw(None, [], "en")  # type: ignore[arg-type]
    assert refused.value.reason == "TOO_MANY_PAGES"
    go_on.set()
    assert await asyncio.gather(*waiting) == ["page"] * MOST_PAGES
    assert most == 1
    assert await api._draw(None, [], "en") == "page"  # type: ignore[arg-type]
