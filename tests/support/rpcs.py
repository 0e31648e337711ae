"""Every RPC of every service, and a good request for each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from rpcs_people import MODULES as PEOPLE
from rpcs_people import people_fields
from smartex.matching.v1 import (
    account_pb2,
    market_data_pb2,
    order_entry_pb2,
    order_query_pb2,
    types_pb2,
    venue_pb2,
)

MODULES = (account_pb2, market_data_pb2, order_entry_pb2, order_query_pb2, venue_pb2, *PEOPLE)
INSTRUMENT = 1


@dataclass(frozen=True)
class Rpc:
    """One method of a service."""

    descriptor: MethodDescriptor
    service: ServiceDescriptor

    @property
    def path(self) -> str:
        """The path of the method."""
        return f"/{self.service.full_name}/{self.descriptor.name}"

    @property
    def streaming(self) -> bool:
        """Whether either side streams."""
        return self.descriptor.client_streaming or self.descriptor.server_streaming

    def request(self) -> Message:
        """A request that the venue takes."""
        return _request(self.descriptor.name, GetMessageClass(self.descriptor.input_type))


def rpcs() -> Iterator[Rpc]:
    """All of them."""
    for module in MODULES:
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                yield Rpc(method, service)


def instrument() -> types_pb2.Instrument:
    """An instrument of A-share style: board lots, limits, T+1."""
    return types_pb2.Instrument(
        instrument_id=INSTRUMENT,
        symbol="E2E",
        name="End to end",
        currency_code="CNY",
        tick_size="0.01",
        lot_size="1",
        board_lot=100,
        odd_lot_rule=types_pb2.ODD_LOT_RULE_SELL_REST,
        price_limit_ppm=100_000,
        reference_price_ticks=1000,
        max_price_ticks=100_000,
        max_order_lots=100_000,
        market_band_ppm=50_000,
        settlement=types_pb2.SETTLEMENT_T1,
        taker_fee_ppm=250,
        stamp_duty_ppm=500,
        trading_state=types_pb2.TRADING_STATE_OPEN,
    )


def now() -> Timestamp:
    """The time."""
    stamp = Timestamp()
    stamp.FromNanoseconds(time.time_ns())
    return stamp


_last_id = time.time_ns() // 1000


def fresh_id() -> int:
    """A number that was not used before."""
    global _last_id
    _last_id += 1
    return _last_id


def _request(name: str, kind: type[Message]) -> Message:
    cash = types_pb2.Money(currency_code="CNY", amount="1000000")
    fields: dict[str, dict[str, object]] = {
        "PlaceOrder": {
            "client_order_id": fresh_id(),
            "instrument_id": INSTRUMENT,
            "side": types_pb2.SIDE_BUY,
            "order_type": types_pb2.ORDER_TYPE_LIMIT,
            "time_in_force": types_pb2.TIME_IN_FORCE_GTC,
            "price_ticks": 1000,
            "quantity_lots": 100,
            "create_time_ns": time.time_ns(),
        },
        "CancelOrder": {"client_order_id": 1},
        "AmendOrder": {
            "client_order_id": 1,
            "request_id": fresh_id(),
            "price_ticks": 999,
            "create_time_ns": time.time_ns(),
        },
        "GetOrder": {"client_order_id": 1},
        "GetBook": {"instrument_id": INSTRUMENT},
        "ListTrades": {"instrument_id": INSTRUMENT},
        "ListCandles": {"instrument_id": INSTRUMENT, "interval_seconds": 60},
        "Subscribe": {"instrument_ids": [INSTRUMENT], "channel": market_data_pb2.CHANNEL_L1},
        "GetAccount": {"account_id": 1},
        "ListLedgerEntries": {"account_id": 1},
        "Deposit": {"account_id": 1, "cash": cash, "request_id": fresh_id(), "create_time": now()},
        "Withdraw": {"account_id": 1, "cash": cash, "request_id": fresh_id(), "create_time": now()},
        "DefineInstrument": {"instrument": instrument(), "request_id": fresh_id()},
        "SetTradingState": {
            "instrument_id": INSTRUMENT,
            "trading_state": types_pb2.TRADING_STATE_OPEN,
            "request_id": fresh_id(),
        },
        "SetReferencePrice": {"instrument_id": INSTRUMENT, "price_ticks": 1000, "request_id": fresh_id()},
        "RollTradingDay": {"trading_day": 1, "request_id": fresh_id()},
        "CancelOrders": {"account_id": 1, "instrument_id": INSTRUMENT, "request_id": fresh_id()},
        "SetAccountState": {
            "account_id": 1,
            "trading_state": types_pb2.TRADING_STATE_OPEN,
            "request_id": fresh_id(),
        },
    }
    return kind(**(fields.get(name) or people_fields(name, fresh_id())))
