"""Orders for the entry benchmarks: real ones that rest, trade and cancel, in batches, cheap to make while sending.

Every batch of n commands of an account holds, shuffled by a seed: 40 % limit orders that rest around a wandering
price, 35 % that cross the spread and trade with what other accounts left there, 25 % cancels of the account's own
earlier orders. So books stay bounded, and every trade streams fills back to both sides. The batches are made before
and used again in a cycle with new ids and times, so that the client does not outweigh what it measures.
"""

from __future__ import annotations

import time
from typing import Any, TypeAlias

import numpy as np
import smartex_wire
from smartex.matching.v1 import order_entry_pb2, types_pb2
from smartex.matching.v1.log_pb2 import COMMAND_KIND_CANCEL, COMMAND_KIND_PLACE

REQUESTS = smartex_wire.codec(order_entry_pb2.TradeRequest, ignore=("open",), dedicated=True)
REPORTS = smartex_wire.codec(order_entry_pb2.TradeResponse, ignore=("opened",), dedicated=True)

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]

RESTING, CROSSING = 0.40, 0.35
CYCLE = 64
"""Batches before they are used again."""
IDS_OF_A_SEED = 1 << 40


class OrderLoad:
    """Batches of one account on one instrument; ids grow without repeating."""

    def __init__(
        self, instrument_id: int, batch: int, seed: int, *, mid: int = 10_000, lots: int = 100
    ) -> None:
        maker = _Maker(instrument_id, batch, seed, mid, lots)
        first = [maker.make() for _ in range(CYCLE)]
        begin = maker.next_id
        steady = [maker.make() for _ in range(CYCLE)]
        self._span = maker.next_id - begin
        self._steady = steady
        self._next = [*first, *steady][::-1]

    def next(self) -> bytes:
        """The next batch as the bytes of a TradeRequest."""
        return REQUESTS.encode(self.rows())

    def rows(self) -> Rows:
        """The next batch as rows of OrderCommand; valid until the cycle comes around."""
        if not self._next:
            for rows in self._steady:
                rows["client_order_id"] += self._span  # orders and the cancels of them move together
            self._next = self._steady[::-1]
        batch = self._next.pop()
        batch["create_time_ns"] = time.time_ns()
        return batch


class _Maker:
    """Makes batches from a seed."""

    def __init__(self, instrument_id: int, batch: int, seed: int, mid: int, lots: int) -> None:
        self._random = np.random.default_rng(seed)
        # The same walk for all accounts of an instrument, so that they meet.
        self._walk = np.random.default_rng(instrument_id)
        self._instrument_id, self._batch, self._mid, self._lots = instrument_id, batch, mid, lots
        self._open = np.empty(0, np.int64)
        self.next_id = 1 + seed * IDS_OF_A_SEED

    def make(self) -> Rows:
        """One batch."""
        random, n = self._random, self._batch
        cancels = min(n - int(n * (RESTING + CROSSING)), len(self._open))
        places = n - cancels
        crossing = int(n * CROSSING)
        ids = np.arange(self.next_id, self.next_id + places)
        side = random.integers(1, 3, places)
        distance = random.integers(1, 50, places)
        distance[:crossing] *= -1
        rows = np.zeros(n, REQUESTS.row_dtype)
        rows["instrument_id"] = self._instrument_id
        rows["kind"][:places], rows["kind"][places:] = COMMAND_KIND_PLACE, COMMAND_KIND_CANCEL
        rows["client_order_id"][:places], rows["client_order_id"][places:] = ids, self._open[:cancels]
        rows["side"][:places] = side
        rows["price_ticks"][:places] = self._mid + np.where(side == types_pb2.SIDE_BUY, -distance, distance)
        rows["quantity_lots"][:places] = random.integers(1, 10, places) * self._lots
        rows["order_type"][:places] = types_pb2.ORDER_TYPE_LIMIT
        rows["time_in_force"][:places] = types_pb2.TIME_IN_FORCE_GTC
        rows["time_in_force"][:crossing] = types_pb2.TIME_IN_FORCE_IOC
        self._open = np.concatenate((self._open[cancels:], ids[crossing:]))
        self.next_id += places
        self._mid += int(self._walk.integers(-2, 3))
        shuffled: Rows = rows[random.permutation(n)]
        return shuffled
