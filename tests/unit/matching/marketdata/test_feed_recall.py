"""How much of the past a new feed reads."""

from types import SimpleNamespace
from typing import Any

import pytest
from matching.marketdata.recall import _newest


class Log:
    """A bus with so many records of one size, from an offset on."""

    def __init__(self, earliest: int, end: int, size: int) -> None:
        self._span, self._value = (earliest, end), bytes(size)

    async def offsets(self, topic: str, shard: int) -> tuple[int, int]:
        return self._span

    async def read(self, topic: str, shard: int, offset: int, *, max_records: int) -> list[Any]:
        few = min(max_records, 50)  # as a bus may answer
        return [SimpleNamespace(offset=offset + place, value=self._value) for place in range(few)]


@pytest.mark.parametrize(
    ("earliest", "end", "size", "read"),
    [
        (0, 10_000, 100, 4_032),  # whole steps
        (9_000, 10_000, 100, 1_000),
        (0, 10_000, 400_000, 128),  # 32 MiB of records of many events
        (7, 7, 1, 0),
    ],
)
async def test_few_large_records_are_read_back(earliest: int, end: int, size: int, read: int) -> None:
    records = await _newest(Log(earliest, end, size), 0)  # type: ignore[arg-type]
    assert [record.offset for record in records] == list(range(end - read, end))
