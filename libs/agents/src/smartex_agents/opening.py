"""Opening the demo market by an operator: instruments, first balances, and the daily roll.

Everything may be repeated. What exists is looked up first; what is missing is asked for under numbers that depend
only on what is asked for, so that a start that was cut off half-way neither doubles nor forgets anything.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from decimal import Decimal

import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from smartex.matching.v1 import account_pb2, market_data_pb2, venue_pb2
from smartex.matching.v1 import types_pb2 as pb
from smartex_client.connection import Connection
from smartex_client.errors import FailedPrecondition

from .roster import Endowment

_log = structlog.get_logger("smartex.agents")


async def open_market(
    operator: Connection, instruments: Iterable[pb.Instrument], endowments: Iterable[Endowment]
) -> tuple[pb.Instrument, ...]:
    """Define the instruments that are missing, pay in what accounts have not got yet; the instruments as defined.

    An account that has any balance was endowed before and is left alone, but for what a cut-off start left out.
    """
    defined = tuple([await _define(operator, each) for each in instruments])
    for endowment in endowments:
        await _endow(operator, endowment, defined)
    return defined


async def roll_day(operator: Connection) -> int:
    """End the trading day and begin the next; its number. Harmless if somebody else just did so."""
    status = await operator.read(
        "VenueService/GetVenueStatus", venue_pb2.GetVenueStatusRequest(), venue_pb2.GetVenueStatusResponse
    )
    request = venue_pb2.RollTradingDayRequest(
        trading_day=status.trading_day, request_id=number_of("roll", status.trading_day)
    )
    try:
        answer = await operator.write(
            "VenueService/RollTradingDay", request, venue_pb2.RollTradingDayResponse
        )
    except FailedPrecondition as error:
        if error.reason != "DAY_ALREADY_ROLLED":
            raise
        return status.trading_day + 1
    return answer.trading_day


def number_of(*what: object) -> int:
    """A positive request number that is the same whenever the same is asked for."""
    digest = hashlib.sha256("/".join(map(str, ("smartex-demo", *what))).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1 | 1


def lots_worth(instrument: pb.Instrument, worth: Decimal) -> int:
    """Whole board lots that are worth about so much at the reference price; at least one."""
    price = instrument.reference_price_ticks * Decimal(instrument.tick_size)
    board = Decimal(instrument.lot_size) * instrument.board_lot
    return max(1, int(worth / (price * board))) * instrument.board_lot


async def _define(operator: Connection, instrument: pb.Instrument) -> pb.Instrument:
    listed = await operator.read(
        "MarketDataService/ListInstruments",
        market_data_pb2.ListInstrumentsRequest(symbol=instrument.symbol),
        market_data_pb2.ListInstrumentsResponse,
    )
    if listed.instruments:
        return listed.instruments[0]
    wanted = pb.Instrument()
    wanted.CopyFrom(instrument)
    # The next free number: somebody may have defined instruments of their own before.
    wanted.instrument_id = 0
    answer = await operator.write(
        "VenueService/DefineInstrument",
        venue_pb2.DefineInstrumentRequest(
            instrument=wanted, request_id=number_of("define", instrument.symbol)
        ),
        venue_pb2.DefineInstrumentResponse,
    )
    return answer.instrument


async def _endow(operator: Connection, wanted: Endowment, instruments: tuple[pb.Instrument, ...]) -> None:
    has = await operator.read(
        "AccountService/GetAccount",
        account_pb2.GetAccountRequest(account_id=wanted.account_id),
        account_pb2.GetAccountResponse,
    )
    # Shares come first and cash last: an account with all its cash has everything.
    currencies = {balance.total.currency_code for balance in has.cash}
    if set(wanted.cash) <= currencies:
        return
    held = {holding.instrument_id for holding in has.holdings}
    for instrument in instruments:
        worth = wanted.worth_of_shares.get(instrument.currency_code)
        if worth is not None and instrument.instrument_id not in held:
            shares = account_pb2.ShareAmount(
                instrument_id=instrument.instrument_id, quantity_lots=lots_worth(instrument, worth)
            )
            await _deposit(operator, wanted.account_id, instrument.symbol, shares=shares)
    for code, amount in wanted.cash.items():
        if code not in currencies:
            cash = pb.Money(currency_code=code, amount=f"{amount:f}")
            await _deposit(operator, wanted.account_id, code, cash=cash)
    _log.info("account endowed", account=wanted.account_id)


async def _deposit(
    operator: Connection,
    account_id: int,
    what: str,
    *,
    shares: account_pb2.ShareAmount | None = None,
    cash: pb.Money | None = None,
) -> None:
    created = Timestamp()
    created.FromNanoseconds(time.time_ns())
    request = account_pb2.DepositRequest(
        account_id=account_id,
        shares=shares,
        cash=cash,
        request_id=number_of("deposit", account_id, what),
        create_time=created,
    )
    await operator.write("AccountService/Deposit", request, account_pb2.DepositResponse)
