"""Opening the demo market by an operator: instruments, first balances.

Everything may be repeated. What exists is looked up first; what is missing is asked for under numbers that depend
only on what is asked for, so that a start that was cut off half-way neither doubles nor forgets anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from decimal import Decimal

import structlog
from smartex.matching.v1.types_pb2 import Instrument
from smartex_client import Market

from .roster import Endowment

_log = structlog.get_logger("smartex.agents")


async def open_market(
    operator: Market, instruments: Iterable[Instrument], endowments: Iterable[Endowment]
) -> tuple[Instrument, ...]:
    """Define the instruments that are missing, pay in what accounts have not got yet; the instruments as defined.

    An account that has all its currencies was endowed before and is left alone.
    """
    existing = {each.symbol: each for each in await operator.instruments()}
    defined = tuple([existing.get(each.symbol) or await _define(operator, each) for each in instruments])
    for endowment in endowments:
        await _endow(operator, endowment, defined)
    return defined


def number_of(*what: object) -> int:
    """A positive request number that is the same whenever the same is asked for."""
    digest = hashlib.sha256("/".join(map(str, ("smartex-demo", *what))).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1 | 1


def quantity_worth(instrument: Instrument, worth: Decimal) -> Decimal:
    """Whole board lots, in units, that are worth about so much at the reference price; at least one."""
    price = instrument.reference_price_ticks * Decimal(instrument.tick_size)
    board = Decimal(instrument.lot_size) * instrument.board_lot
    return max(1, int(worth / (price * board))) * board


def endowed_lots(instrument: Instrument, endowment: Endowment) -> int:
    """The lots of an instrument that an endowment gives."""
    worth = endowment.worth_of_shares.get(instrument.currency_code)
    return 0 if worth is None else int(quantity_worth(instrument, worth) / Decimal(instrument.lot_size))


async def _define(operator: Market, instrument: Instrument) -> Instrument:
    wanted = Instrument()
    wanted.CopyFrom(instrument)
    # The next free number: somebody may have defined instruments of their own before.
    wanted.instrument_id = 0
    return await operator.venue.define(wanted, request_id=number_of("define", instrument.symbol))


async def _endow(operator: Market, wanted: Endowment, instruments: tuple[Instrument, ...]) -> None:
    account = wanted.account_id
    has = await operator.account(account)
    # Shares come first and cash last: an account with all its cash has everything.
    currencies = {cash.currency for cash in has.cash}
    if set(wanted.cash) <= currencies:
        return
    held = {holding.symbol for holding in has.holdings}
    for instrument in instruments:
        worth = wanted.worth_of_shares.get(instrument.currency_code)
        if worth is not None and instrument.symbol not in held:
            await operator.venue.deposit_shares(
                account,
                quantity_worth(instrument, worth),
                instrument.symbol,
                request_id=number_of("deposit", account, instrument.symbol),
            )
    for code, amount in wanted.cash.items():
        if code not in currencies:
            await operator.venue.deposit(
                account, amount, code, request_id=number_of("deposit", account, code)
            )
    _log.info("account endowed", account=account)
