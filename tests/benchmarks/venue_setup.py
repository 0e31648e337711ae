"""The market that entry benchmarks trade on: one instrument without limits and accounts with ample funds."""

from __future__ import annotations

import asyncio
import time

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from servers import Exchange
from smartex.matching.v1 import account_pb2, account_pb2_grpc, types_pb2, venue_pb2, venue_pb2_grpc

INSTRUMENT = 60_001
ACCOUNTS = tuple(range(5001, 5009))
READY_WITHIN = 120.0


def rules() -> types_pb2.Instrument:
    """The instrument: ticks of a cent, single lots, fees on both sides, T+0."""
    return types_pb2.Instrument(
        instrument_id=INSTRUMENT,
        symbol="BENCH",
        name="Benchmark",
        currency_code="USD",
        tick_size="0.01",
        lot_size="1",
        board_lot=1,
        odd_lot_rule=types_pb2.ODD_LOT_RULE_NONE,
        reference_price_ticks=10_000,
        max_price_ticks=1_000_000,
        max_order_lots=1_000_000,
        market_band_ppm=50_000,
        settlement=types_pb2.SETTLEMENT_T0,
        maker_fee_ppm=100,
        taker_fee_ppm=200,
        trading_state=types_pb2.TRADING_STATE_OPEN,
    )


async def open_market(venue: Exchange) -> None:
    """Define the instrument and fund the accounts."""
    metadata = (("authorization", f"Bearer {venue.token('operate', 'read')}"),)
    async with grpc.aio.insecure_channel(venue.url) as channel:
        await _until_ready(venue, channel, metadata)
        await venue_pb2_grpc.VenueServiceStub(channel).DefineInstrument(
            venue_pb2.DefineInstrumentRequest(instrument=rules(), request_id=1), metadata=metadata
        )
        accounts = account_pb2_grpc.AccountServiceStub(channel)
        now = Timestamp()
        now.FromNanoseconds(time.time_ns())
        for index, account in enumerate(ACCOUNTS):
            cash = types_pb2.Money(currency_code="USD", amount="100000000000")
            shares = account_pb2.ShareAmount(instrument_id=INSTRUMENT, quantity_lots=10**12)
            for number, asset in ((2 * index, {"cash": cash}), (2 * index + 1, {"shares": shares})):
                await accounts.Deposit(
                    account_pb2.DepositRequest(
                        account_id=account, request_id=1000 + number, create_time=now, **asset
                    ),
                    metadata=metadata,
                )


async def _until_ready(
    venue: Exchange, channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...]
) -> None:
    """Wait until the venue answers; fail if it has exited or takes too long."""
    status = venue_pb2_grpc.VenueServiceStub(channel).GetVenueStatus
    end = time.monotonic() + READY_WITHIN
    while True:
        try:
            await status(venue_pb2.GetVenueStatusRequest(), metadata=metadata, timeout=2)
        except grpc.aio.AioRpcError as failure:
            if venue.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the exchange did not start: {failure.details()}") from failure
            await asyncio.sleep(0.2)
        else:
            return
