"""The market as `services/matching/RULES.md` has it: plain, slow and obviously right.

`Model.apply` takes a frame of commands and gives the events that it brings about. The production core is held
against it; the two share no code.
"""

from collections.abc import Sequence

from reference import changing, orders, venue
from reference.money import needed_reserve
from reference.prices import day_limits
from reference.records import Command, Definition, Event, Settings
from reference.state import Market, RefusedError
from reference.words import Kind, Reason, Side


class Model:
    """A venue; `market` is its state, open to tests."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.market = Market(settings or Settings())

    def apply(
        self, commands: Sequence[Command], time_ns: int, definitions: Sequence[Definition] = ()
    ) -> list[Event]:
        """Apply a frame; return its events, in order."""
        self.begin(time_ns)
        for definition in definitions:
            self.define(definition)
        for command in commands:
            self.step(command)
        return self.market.events

    def begin(self, time_ns: int) -> None:
        """Begin a frame; its definitions and then its commands follow one by one."""
        self.market.now = max(self.market.now, time_ns)
        self.market.events = []
        self.market.command_index = 0

    def define(self, definition: Definition) -> None:
        """Apply the frame's next definition."""
        venue.define(self.market, definition)
        self.market.command_index += 1

    def step(self, command: Command) -> None:
        """Apply the frame's next command."""
        apply_command(self.market, command)
        self.market.command_index += 1

    def verify(self) -> None:
        """Check what must hold after every frame; raises AssertionError with the numbers."""
        verify_conservation(self.market)
        verify_holds(self.market)
        verify_books(self.market)


def apply_command(market: Market, command: Command) -> None:
    match command.kind:
        case Kind.PLACE:
            orders.place(market, command)
        case Kind.CANCEL:
            changing.cancel(market, command)
        case Kind.AMEND | Kind.REPLACE:
            changing.amend(market, command)
        case Kind.MASS_CANCEL:
            changing.mass_cancel(market, command)
        case Kind.CLOCK:
            venue.clock(market)
        case Kind.SESSION_OPEN:
            venue.open_session(market, command)
        case Kind.SESSION_BEAT:
            venue.beat(market, command)
        case Kind.SET_TRADING_STATE:
            venue.set_trading_state(market, command)
        case Kind.SET_REFERENCE_PRICE:
            venue.set_reference_price(market, command)
        case Kind.ROLL_DAY:
            venue.roll_day(market, command)
        case Kind.DEPOSIT_CASH | Kind.WITHDRAW_CASH | Kind.DEPOSIT_SHARES | Kind.WITHDRAW_SHARES:
            venue.move_balance(market, command)
        case Kind.CHECKPOINT:
            pass
        case Kind.CANCEL_ORDERS:
            venue.cancel_orders(market, command)
        case Kind.SET_ACCOUNT_STATE:
            venue.set_account_state(market, command)
        case _:
            venue.refuse_command(market, command, RefusedError(Reason.INVALID_COMMAND))


def verify_conservation(market: Market) -> None:
    """Money and shares only come and go by deposits and withdrawals."""
    for currency in market.cash_brought_in:
        totals = sum(cash.total for (_, of), cash in market.cash.items() if of == currency)
        collected = market.fees.get(currency, 0) + market.duties.get(currency, 0)
        assert totals + collected == market.cash_brought_in[currency], f"currency {currency}"
    for instrument_id in market.instruments:
        totals = sum(holding.total for (_, of), holding in market.holdings.items() if of == instrument_id)
        assert totals == market.shares_brought_in.get(instrument_id, 0), f"instrument {instrument_id}"


def verify_holds(market: Market) -> None:
    """What is held is what the open orders reserve: enough for each of them, and never more than there is."""
    cash_held: dict[tuple[int, int], int] = {}
    lots_held: dict[tuple[int, int], int] = {}
    for order in market.orders.values():
        rules = market.instruments[order.instrument_id].rules
        assert order.reserve >= needed_reserve(rules, order.side, order.price, order.leaves), order
        held = cash_held if order.side == Side.BUY else lots_held
        of = rules.currency_id if order.side == Side.BUY else order.instrument_id
        held[order.account_id, of] = held.get((order.account_id, of), 0) + order.reserve
    for key, cash in market.cash.items():
        assert cash.held == cash_held.get(key, 0), (key, cash)
        assert 0 <= cash.held <= cash.total, (key, cash)
    for key, holding in market.holdings.items():
        assert holding.held == lots_held.get(key, 0), (key, holding)
        assert 0 <= holding.held <= holding.total, (key, holding)
        assert 0 <= holding.bought_today <= holding.total - holding.held, (key, holding)


def verify_books(market: Market) -> None:
    """Queues are in order, no order is without lots, bids are below asks, none could trade outside the day's limits,
    slots are taken once."""
    resting = 0
    for instrument in market.instruments.values():
        bids, asks = instrument.bids, instrument.asks
        assert [order.price for order in bids] == sorted((order.price for order in bids), reverse=True)
        assert [order.price for order in asks] == sorted(order.price for order in asks)
        assert not bids or not asks or bids[0].price < asks[0].price, (bids[0], asks[0])
        assert all(0 < order.leaves <= order.quantity for order in bids + asks)
        down, up = day_limits(instrument)
        assert not bids or bids[0].price <= up, (bids[0], up)
        assert not asks or asks[0].price >= down, (asks[0], down)
        resting += len(bids) + len(asks)
    assert resting == len(market.orders) == len(market.orders_by_client_id)
    taken = [order_id % 2**24 for order_id in market.orders]
    assert sorted(taken + market.free_slots) == list(range(market.next_slot))
