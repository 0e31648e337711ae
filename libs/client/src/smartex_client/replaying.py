"""A LOBSTER file through a running exchange, compared after every message."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from smartex.matching.v1 import log_pb2 as log
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1.types_pb2 import Instrument

from .commands import COMMAND_DTYPE, Rows
from .connection import RetryPolicy
from .convert import from_lots, from_ticks
from .errors import InvalidInput, Unavailable
from .lobster import BUY, SELL, Action, BookRow, Levels, Message, Mirror, Place, Shrink, Take
from .market import Market, connect
from .model import Level, Order
from .orders import NewOrder
from .streams import TradeStream
from .tokens import issue

COMPARED = 9
"""Levels a side that the file says enough of."""
_NUMBERS = 1 << 22
_FILL_SECONDS = 10.0
_REFUSED = (
    types.REPORT_KIND_REJECTED,
    types.REPORT_KIND_AMEND_REJECTED,
    types.REPORT_KIND_CANCEL_REJECTED,
)


@dataclass
class Result:
    """How much agreed."""

    symbol: str
    messages: int
    books: int = 0
    """Rows of the file after which nine levels a side were the same."""
    executions: int = 0
    """Executions that hit the order that the file says, and no other."""
    executions_total: int = 0
    refused: int = 0
    """Commands that the market refused."""
    seconds: float = 0.0
    first_difference: str = ""

    @property
    def agrees(self) -> bool:
        """Whether all did."""
        return (self.books, self.executions, self.refused) == (self.messages, self.executions_total, 0)

    def differs(self, what: str) -> None:
        """Note a difference."""
        self.first_difference = self.first_difference or what


def lobster_instrument(symbol: str) -> Instrument:
    """An instrument without limits whose tick is the file's unit of price."""
    return Instrument(
        symbol=symbol,
        name="LOBSTER replay",
        currency_code="USD",
        tick_size="0.0001",
        lot_size="1",
        board_lot=1,
        odd_lot_rule=types.ODD_LOT_RULE_NONE,
        reference_price_ticks=1_000_000,
        max_price_ticks=1_000_000_000,
        max_order_lots=1_000_000,
        settlement=types.SETTLEMENT_T0,
        trading_state=types.TRADING_STATE_OPEN,
    )


async def replay(
    operator: Market,
    url: str,
    keys: Path,
    messages: list[Message],
    books: list[BookRow],
    on_message: Callable[[int], None] = lambda _: None,
) -> Result:
    """Define an instrument, open two accounts and replay; `on_message` is told how many are done.

    InvalidInput if the files do not fit each other; the errors of the exchange otherwise.
    """
    if not messages or len(messages) != len(books):
        raise InvalidInput(
            f"{len(messages)} messages and {len(books)} books: the files do not belong together", field="path"
        )
    symbol = f"LOB{secrets.token_hex(5)}".upper()
    instrument = await operator.venue.define(lobster_instrument(symbol))
    tokens = []
    for _ in range(2):
        account = 2**31 + secrets.randbits(30)
        await operator.venue.deposit(account, 1_000_000_000_000, "USD")
        await operator.venue.deposit_shares(account, 1_000_000_000, symbol)
        tokens.append(issue(keys, subject="replay", account_id=account))
    retry = RetryPolicy(deadline=30)
    async with (
        connect(url, token=tokens[0], retry=retry) as maker,
        connect(url, token=tokens[1], retry=retry) as taker,
        maker.trade_stream() as stream,
    ):
        replayer = _Replay(stream, taker, instrument, maker.fresh_ids(_NUMBERS))
        return await replayer.run(messages, books, on_message)


class _Replay:
    """One replay: a maker's stream for what rests, a taker for what trades."""

    def __init__(self, stream: TradeStream, taker: Market, instrument: Instrument, first_id: int) -> None:
        self._stream, self._taker, self._instrument = stream, taker, instrument
        self._first_id = first_id
        self._mirror = Mirror()
        self._makers: dict[int, int] = {}
        self._news = asyncio.Condition()
        self._sequence = 0
        self._result = Result(instrument.symbol, 0)

    async def run(
        self, messages: list[Message], books: list[BookRow], on_message: Callable[[int], None]
    ) -> Result:
        self._result.messages = len(messages)
        reader = asyncio.create_task(self._read(), name="replay-reports")
        started = time.monotonic()
        try:
            await self._send(self._mirror.open(books[0], messages[0]))
            for done, (message, book) in enumerate(zip(messages, books, strict=True), 1):
                await self._step(message, book)
                await self._compare(done, book)
                on_message(done)
        finally:
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reader
        self._result.seconds = time.monotonic() - started
        return self._result

    async def _step(self, message: Message, book: BookRow) -> None:
        actions = self._mirror.follow(message)
        for action in actions:
            if isinstance(action, Take):
                await self._take(action)
                actions = []
        await self._send([*actions, *self._mirror.trim(book)])

    async def _take(self, take: Take) -> None:
        result = self._result
        result.executions_total += 1
        side = "buy" if take.side == BUY else "sell"
        order = NewOrder(
            self._instrument.instrument_id,
            side,
            from_lots(self._instrument, take.size),
            from_ticks(self._instrument, take.price),
            "ioc",
        )
        done = await self._taker.place(order)
        hits = await self._hits(done)
        self._sequence = max(self._sequence, done.sequence)
        for number, size in hits:
            self._mirror.traded(number, size)
        if hits == [(take.expected, take.size)]:
            result.executions += 1
        else:
            result.differs(f"{side} {take.size} at {take.price} hit {hits}, expected {take.expected}")

    async def _hits(self, order: Order) -> list[tuple[int, int]]:
        """Which resting orders an order hit, and with how much: the maker's reports tell."""
        trades = [fill.trade_id for fill in order.fills]
        async with self._news:
            try:
                async with asyncio.timeout(_FILL_SECONDS):
                    await self._news.wait_for(lambda: all(each in self._makers for each in trades))
            except TimeoutError:
                raise Unavailable(
                    "the maker's stream does not tell of a trade: run the replay again", reason="FILL_MISSING"
                ) from None
        return [(self._makers.pop(fill.trade_id), int(fill.quantity)) for fill in order.fills]

    async def _send(self, actions: Iterable[Action]) -> None:
        rows = self._rows([each for each in actions if not isinstance(each, Take)])
        if len(rows):
            await self._stream.send(rows)
            await self._stream.drain()
            self._sequence = max(self._sequence, self._stream.last_sequence)

    def _rows(self, actions: list[Place | Shrink]) -> Rows:
        rows = np.zeros(len(actions), COMMAND_DTYPE)
        for row, action in zip(rows, actions, strict=True):
            row["client_order_id"] = self._first_id + action.number
            if isinstance(action, Place):
                row["kind"] = log.COMMAND_KIND_PLACE
                row["instrument_id"] = self._instrument.instrument_id
                row["side"] = types.SIDE_BUY if action.side == BUY else types.SIDE_SELL
                row["order_type"], row["time_in_force"] = types.ORDER_TYPE_LIMIT, types.TIME_IN_FORCE_GTC
                row["price_ticks"], row["quantity_lots"] = action.price, action.size
            elif action.total:
                row["kind"], row["quantity_lots"] = log.COMMAND_KIND_AMEND, action.total
            else:
                row["kind"] = log.COMMAND_KIND_CANCEL
        return rows

    async def _read(self) -> None:
        async for rows in self._stream.batches():
            fills = rows[rows["kind"] == types.REPORT_KIND_FILLED]
            self._result.refused += int(np.isin(rows["kind"], _REFUSED).sum())
            if len(fills):
                async with self._news:
                    for fill in fills:
                        self._makers[int(fill["trade_id"])] = int(fill["client_order_id"]) - self._first_id
                    self._news.notify_all()

    async def _compare(self, done: int, row: BookRow) -> None:
        book = await self._taker.book(self._instrument.instrument_id, COMPARED)
        while book.sequence < self._sequence:
            # Another pod may answer, a moment behind the one that took the orders.
            await asyncio.sleep(0.002)
            book = await self._taker.book(self._instrument.instrument_id, COMPARED)
        found = BookRow(self._levels(book.asks), self._levels(book.bids))
        if all(found.of(side) == row.of(side)[:COMPARED] for side in (BUY, SELL)):
            self._result.books += 1
        else:
            self._result.differs(f"after message {done}: {found}, expected {row}")

    def _levels(self, levels: Iterable[Level]) -> Levels:
        return tuple((int(each.price * 10_000), int(each.quantity)) for each in levels)
