"""Traders that retry an order with the same number until it is acknowledged, and remember what was said."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from pods import Pod
from smartex.matching.v1 import (
    account_pb2,
    account_pb2_grpc,
    order_entry_pb2,
    order_entry_pb2_grpc,
    types_pb2,
    venue_pb2,
    venue_pb2_grpc,
)

INSTRUMENT = 7
MICROS = 1_000_000
CASH = 1_000_000_000
SHARES = 1_000_000
TRY = 3.0
"""Seconds of one attempt."""


@dataclass
class Trader:
    """One account that trades through whichever pod answers."""

    account_id: int
    pods: Sequence[Pod]
    random: random.Random
    acknowledged: dict[int, int] = field(default_factory=dict)
    """Order ids by client order id, of orders that were accepted."""
    refused: set[int] = field(default_factory=set)
    """Client order ids of orders that the market rejected."""
    _next_id: int = 1

    async def trade(self, stop: asyncio.Event) -> None:
        """Place orders, and cancel some, until told to stop."""
        while not stop.is_set():
            order_id = await self.place(stop)
            if order_id and self.random.random() < 0.3:
                await self.cancel(order_id)

    async def place(self, stop: asyncio.Event) -> int:
        """Place one order, however often it takes; its id, 0 if it was rejected."""
        request = self._order()
        while True:
            try:
                response = await self._entry().PlaceOrder(request, metadata=self._metadata, timeout=TRY)
            except grpc.aio.AioRpcError as failure:
                if failure.code() not in _RETRYABLE:
                    raise
                await asyncio.sleep(0.05)
                continue
            outcome = response.outcome
            if outcome.kind == types_pb2.REPORT_KIND_ACCEPTED:
                self.acknowledged[request.client_order_id] = outcome.order_id
                return int(outcome.order_id)
            self.refused.add(request.client_order_id)
            return 0

    async def cancel(self, order_id: int) -> None:
        """Try to cancel; a cancel may be repeated, so a lost answer does not matter."""
        try:
            await self._entry().CancelOrder(
                order_entry_pb2.CancelOrderRequest(order_id=order_id), metadata=self._metadata, timeout=TRY
            )
        except grpc.aio.AioRpcError as failure:
            if failure.code() not in _RETRYABLE:
                raise

    def _entry(self) -> order_entry_pb2_grpc.OrderEntryServiceAsyncStub:
        pod = self.random.choice(self.pods)
        return order_entry_pb2_grpc.OrderEntryServiceStub(pod.channel)

    def __post_init__(self) -> None:
        self._metadata = self.pods[0].metadata("trade", account_id=self.account_id)

    def _order(self) -> order_entry_pb2.PlaceOrderRequest:
        number, self._next_id = self._next_id, self._next_id + 1
        return order_entry_pb2.PlaceOrderRequest(
            client_order_id=number,
            instrument_id=INSTRUMENT,
            side=self.random.choice((types_pb2.SIDE_BUY, types_pb2.SIDE_SELL)),
            order_type=types_pb2.ORDER_TYPE_LIMIT,
            time_in_force=self.random.choice((types_pb2.TIME_IN_FORCE_GTC, types_pb2.TIME_IN_FORCE_IOC)),
            price_ticks=1000 + self.random.randint(-5, 5),
            quantity_lots=self.random.randint(1, 20),
            create_time_ns=time.time_ns(),
        )


_RETRYABLE = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
}


async def open_market(pod: Pod, accounts: Sequence[int]) -> None:
    """Define the instrument and fund the accounts."""
    rules = types_pb2.Instrument(
        instrument_id=INSTRUMENT,
        symbol="SIM",
        name="Simulation",
        currency_code="USD",
        tick_size="0.01",
        lot_size="1",
        board_lot=1,
        odd_lot_rule=types_pb2.ODD_LOT_RULE_NONE,
        reference_price_ticks=1000,
        max_price_ticks=100_000,
        max_order_lots=10_000,
        market_band_ppm=50_000,
        settlement=types_pb2.SETTLEMENT_T0,
        maker_fee_ppm=100,
        taker_fee_ppm=250,
        stamp_duty_ppm=500,
        trading_state=types_pb2.TRADING_STATE_OPEN,
    )
    metadata = pod.operator()
    await venue_pb2_grpc.VenueServiceStub(pod.channel).DefineInstrument(
        venue_pb2.DefineInstrumentRequest(instrument=rules, request_id=1), metadata=metadata, timeout=60
    )
    service = account_pb2_grpc.AccountServiceStub(pod.channel)
    now = Timestamp()
    now.FromNanoseconds(time.time_ns())
    for index, account in enumerate(accounts):
        cash = types_pb2.Money(currency_code="USD", amount=str(CASH))
        shares = account_pb2.ShareAmount(instrument_id=INSTRUMENT, quantity_lots=SHARES)
        for number, request in enumerate(
            (account_pb2.DepositRequest(cash=cash), account_pb2.DepositRequest(shares=shares))
        ):
            request.account_id, request.request_id = account, 2 * index + number + 1
            request.create_time.CopyFrom(now)
            await service.Deposit(request, metadata=metadata, timeout=60)
