"""One house for the tests of each file; every test has an investor of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from one_loop import run_together
from talk_house import House, serve


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    run_together(items, __file__, loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with serve(tmp_path_factory.mktemp("talk")) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="module")
async def account(house: House) -> int:
    """An investor with money whose trader zhang has a mandate."""
    return await house.new_investor(cash=100_000)
