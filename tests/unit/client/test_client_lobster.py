"""The method of the replay on a plain book: first a small file of our own, then the sample where it is there."""

from collections import deque
from pathlib import Path

import outside_data
import pytest
from smartex_client.errors import InvalidInput
from smartex_client.lobster import (
    BUY,
    SELL,
    Action,
    BookRow,
    Message,
    Mirror,
    Place,
    Shrink,
    Take,
    read_books,
    read_messages,
)

SAMPLES = outside_data.DATA / "lobster"
FILES = [
    (messages, Path(str(messages).replace("_message_", "_orderbook_")))
    for messages in sorted(SAMPLES.glob("*_message_10.csv"))
]


class PlainBook:
    """Price-time priority, as plainly as can be."""

    def __init__(self) -> None:
        self.queues: dict[tuple[int, int], deque[list[int]]] = {}
        self.totals: dict[int, int] = {}

    def do(self, action: Action) -> list[tuple[int, int]]:
        if isinstance(action, Place):
            self.queues.setdefault((action.side, action.price), deque()).append([action.number, action.size])
            self.totals[action.number] = action.size
            return []
        if isinstance(action, Shrink):
            self._shrink(action)
            return []
        return self._match(action)

    def _shrink(self, action: Shrink) -> None:
        for queue in self.queues.values():
            for order in list(queue):
                if order[0] == action.number:
                    order[1] -= self.totals[action.number] - action.total
                    self.totals[action.number] = action.total
                    if action.total == 0 or order[1] <= 0:
                        queue.remove(order)
                    return
        raise AssertionError(f"{action} does not rest")

    def _match(self, take: Take) -> list[tuple[int, int]]:
        other, left, hits = -take.side, take.size, []
        while left:
            prices = [price for (side, price), queue in self.queues.items() if side == other and queue]
            best = (min if other == SELL else max)(prices)
            if (best - take.price) * take.side > 0:
                break
            order = self.queues[other, best][0]
            size = min(left, order[1])
            order[1] -= size
            left -= size
            hits.append((order[0], size))
            if not order[1]:
                self.queues[other, best].popleft()
        return hits

    def levels(self, side: int, depth: int) -> tuple[tuple[int, int], ...]:
        found = {
            price: sum(size for _, size in q)
            for (which, price), q in self.queues.items()
            if which == side and q
        }
        return tuple((price, found[price]) for price in sorted(found, reverse=side == BUY)[:depth])


def replay(messages: list[Message], rows: list[BookRow]) -> tuple[int, int, int]:
    """Books that agree, executions that agree, executions."""
    mirror, market = Mirror(), PlainBook()
    books = executions = total = 0
    for action in mirror.open(rows[0], messages[0]):
        market.do(action)
    for message, row in zip(messages, rows, strict=True):
        for action in mirror.follow(message):
            hits = market.do(action)
            if isinstance(action, Take):
                total += 1
                executions += hits == [(action.expected, action.size)]
                for number, size in hits:
                    mirror.traded(number, size)
        for action in mirror.trim(row):
            market.do(action)
        books += all(market.levels(side, 9) == row.of(side)[:9] for side in (BUY, SELL))
        assert market.levels(BUY, 99) == mirror.levels(BUY, 99)
    return books, executions, total


def ladder(best: int, step: int, sizes: list[int]) -> tuple[tuple[int, int], ...]:
    return tuple((best + step * place, size) for place, size in enumerate(sizes))


def test_a_small_file_agrees() -> None:
    asks = ladder(101, 1, [5] * 10)
    first = (ladder(100, -1, [7, *[5] * 9]), asks)
    taken = (ladder(100, -1, [4, *[5] * 9]), asks)
    less = (ladder(100, -1, [2, *[5] * 9]), asks)
    # The whole best level goes: what was the eleventh, unknown until now, is the tenth.
    gone = (ladder(99, -1, [5] * 9 + [8]), asks)
    back = (ladder(100, -1, [6, *[5] * 9]), asks)
    rows = [BookRow(asks=a, bids=b) for b, a in (first, taken, less, gone, gone, back)]
    messages = [
        Message(1, 11, 2, 100, BUY),  # two of the seven at 100
        Message(4, 1, 3, 100, BUY),  # of an older order, which stands in front
        Message(2, 1, 2, 100, BUY),
        Message(3, 11, 2, 100, BUY),
        Message(5, 0, 9, 100, BUY),  # hidden: nothing is seen
        Message(1, 12, 6, 100, BUY),
    ]
    assert replay(messages, rows) == (6, 1, 1)


def test_an_execution_out_of_turn_is_told() -> None:
    row = BookRow(asks=ladder(101, 1, [5] * 10), bids=ladder(100, -1, [5] * 10))
    after = BookRow(asks=row.asks, bids=ladder(100, -1, [3, *[5] * 9]))
    # The file says that the younger order traded, though an older one stands before it.
    messages = [Message(1, 11, 2, 100, BUY), Message(4, 11, 2, 100, BUY)]
    assert replay(messages, [row, after]) == (2, 0, 1)


@outside_data.needs(SAMPLES, "a ten-level sample of lobsterdata.com (Data Samples)")
@pytest.mark.parametrize(("messages", "books"), FILES)
def test_the_sample_agrees(messages: Path, books: Path) -> None:
    recorded = read_messages(messages)
    found = replay(recorded, read_books(books))
    executed = sum(message.kind == 4 for message in recorded)
    assert found == (len(recorded), executed, executed)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1,1,x,1,1,1\n", "line 1"),
        ("1,1,1,1,1,1\n1,1,1,5,1,7\n", "line 2"),
        ("1,1,1,0,1,1\n", "positive size"),
        ("1,1\n", "line 1"),
    ],
)
def test_a_broken_file_is_told_by_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "messages.csv"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=says):
        read_messages(path)
    with pytest.raises(InvalidInput):
        read_books(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot read"):
        read_books(tmp_path / "none.csv")
