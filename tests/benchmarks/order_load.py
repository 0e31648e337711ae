"""Orders for the entry benchmarks: real ones that rest, trade and cancel, in batches, made as fast as they are sent.

Every batch of n commands of an account holds, shuffled by a seed: 40 % limit orders that rest around a wandering
price, 35 % that cross the spread and trade with what other accounts left there, 25 % cancels of the account's own
earlier orders. So books stay bounded, and every trade streams fills back to both sides.
"""

from __future__ import annotations

import time
from typing import Any, TypeAlias

import numpy as np
import smartex_wire
from smartex.matching.v1 import order_entry_pb2, types_pb2
from smartex.matching.v1.log_pb2 import COMMAND_KIND_CANCEL, COMMAND_KIND_PLACE

REQUESTS = smartex_wire.codec(order_entry_pb2.TradeRequest, ignore=("open",))
REPORTS = smartex_wire.codec(order_entry_pb2.TradeResponse, ignore=("opened",))

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.void]]

RESTING, CROSSING = 0.40, 0.35


class OrderLoad:
    """Batches of one account on one instrument; ids grow from `first_id`."""

    def __init__(
        self, instrument_id: int, batch: int, seed: int, *, mid: int = 10_000, lots: int = 100
    ) -> None:
        self._random = np.random.default_rng(seed)
        # The same walk for all accounts of an instrument, so that they meet.
        self._walk = np.random.default_rng(instrument_id)
        self._batch = batch
        self._mid = mid
        self._lots = lots
        self._next_id = 1 + (seed << 40)
        self._open = np.empty(0, np.int64)
        self._rows = np.zeros(batch, REQUESTS.row_dtype)
        self._rows["instrument_id"] = instrument_id

    def next(self) -> bytes:
        """The next batch as the bytes of a TradeRequest."""
        return REQUESTS.encode(self.rows())

    def rows(self) -> Rows:
        """The next batch as rows of OrderCommand."""
        rows, random, n = self._rows, self._random, self._batch
        cancels = min(n - int(n * (RESTING + CROSSING)), len(self._open))
        places = n - cancels
        crossing = int(n * CROSSING)
        rows["kind"][:places], rows["kind"][places:] = COMMAND_KIND_PLACE, COMMAND_KIND_CANCEL
        rows["client_order_id"][:places] = np.arange(self._next_id, self._next_id + places)
        rows["client_order_id"][places:] = self._open[:cancels]
        side = random.integers(1, 3, places)
        distance = random.integers(1, 50, places)
        distance[:crossing] *= -1
        rows["side"][:places] = side
        rows["price_ticks"][:places] = self._mid + np.where(side == types_pb2.SIDE_BUY, -distance, distance)
        rows["quantity_lots"][:places] = random.integers(1, 10, places) * self._lots
        rows["order_type"][:places] = types_pb2.ORDER_TYPE_LIMIT
        rows["time_in_force"][:places] = types_pb2.TIME_IN_FORCE_GTC
        rows["time_in_force"][:crossing] = types_pb2.TIME_IN_FORCE_IOC
        rows["create_time_ns"] = time.time_ns()
        for name in ("side", "price_ticks", "quantity_lots", "order_type", "time_in_force"):
            rows[name][places:] = 0
        self._open = np.concatenate((self._open[cancels:], rows["client_order_id"][crossing:places].copy()))
        self._next_id += places
        self._mid += int(self._walk.integers(-2, 3))
        shuffled: Rows = rows[random.permutation(n)]
        return shuffled
