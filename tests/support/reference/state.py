"""Everything that the market remembers, in dicts and lists."""

from bisect import insort
from collections import deque
from dataclasses import dataclass, field

from reference.records import Definition, Event, Settings
from reference.words import Reason, Side

START_FLOOR = -(2**62)


class RefusedError(Exception):
    """A check failed: why, what would be needed and what there is."""

    def __init__(self, reason: Reason, required: int = 0, available: int = 0) -> None:
        super().__init__(reason.name)
        self.reason = reason
        self.required = required
        self.available = available


@dataclass
class Order:
    """An order that was accepted. `reserve` is what it holds now: micros of a buy, lots of a sell."""

    order_id: int
    account_id: int
    client_order_id: int
    instrument_id: int
    side: int
    order_type: int
    time_in_force: int
    post_only: int
    self_trade_prevention: int
    price: int
    quantity: int
    leaves: int
    expire_time_ns: int
    session_id: int
    min_quantity: int = 0
    reserve: int = 0

    @property
    def executed(self) -> int:
        return self.quantity - self.leaves


@dataclass
class Instrument:
    """An instrument: its rules, its state and the orders that rest, best first on both sides."""

    rules: Definition
    trading_state: int
    reference_price: int
    last_price: int = 0
    traded_since: bool = False
    """Since the reference price was set."""
    bids: list[Order] = field(default_factory=list)
    asks: list[Order] = field(default_factory=list)

    def queue(self, side: int) -> list[Order]:
        return self.bids if side == Side.BUY else self.asks

    def opposite(self, side: int) -> list[Order]:
        return self.asks if side == Side.BUY else self.bids

    def rest(self, order: Order) -> None:
        """Put an order behind all that have its price or a better one."""
        better_is_less = -1 if order.side == Side.BUY else 1
        insort(self.queue(order.side), order, key=lambda resting: better_is_less * resting.price)

    def take_out(self, order: Order) -> None:
        queue = self.queue(order.side)
        del queue[next(i for i, resting in enumerate(queue) if resting is order)]


@dataclass
class Cash:
    """Money of an account in a currency, in micros."""

    total: int = 0
    held: int = 0


@dataclass
class Holding:
    """Lots of an instrument that an account has."""

    total: int = 0
    held: int = 0
    bought_today: int = 0

    @property
    def available(self) -> int:
        return self.total - self.held - self.bought_today


@dataclass
class Session:
    """A stream whose silence cancels its orders."""

    account_id: int
    grace_ns: int
    last_beat_ns: int


IdKey = tuple[str, int, int]


@dataclass
class Market:
    """The state of the venue and the events of the frame that is being applied."""

    settings: Settings
    now: int = 0
    trading_day: int = 1
    sequence: int = 0
    order_counter: int = 0
    next_slot: int = 0
    free_slots: list[int] = field(default_factory=list)
    instruments: dict[int, Instrument] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    orders_by_client_id: dict[tuple[int, int], Order] = field(default_factory=dict)
    accounts: set[int] = field(default_factory=set)
    halted_accounts: set[int] = field(default_factory=set)
    cash: dict[tuple[int, int], Cash] = field(default_factory=dict)
    holdings: dict[tuple[int, int], Holding] = field(default_factory=dict)
    sessions: dict[int, Session] = field(default_factory=dict)
    outcomes: dict[IdKey, Event] = field(default_factory=dict)
    window: deque[tuple[IdKey, int]] = field(default_factory=deque)
    floor: int = START_FLOOR
    fees: dict[int, int] = field(default_factory=dict)
    duties: dict[int, int] = field(default_factory=dict)
    cash_brought_in: dict[int, int] = field(default_factory=dict)
    shares_brought_in: dict[int, int] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    command_index: int = 0

    def say(self, event: Event) -> Event:
        """Append an event; the caller may still fill in what is known only later."""
        event.command_index = self.command_index
        self.events.append(event)
        self.sequence += 1
        return event

    def cash_of(self, account_id: int, currency_id: int) -> Cash:
        return self.cash.setdefault((account_id, currency_id), Cash())

    def holding_of(self, account_id: int, instrument_id: int) -> Holding:
        return self.holdings.setdefault((account_id, instrument_id), Holding())
