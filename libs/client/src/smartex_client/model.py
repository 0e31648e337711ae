"""What the exchange answers, in people's units: symbols, words, `Decimal`, times in UTC. Immutable."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Fill:
    """One side of a trade."""

    trade_id: int
    """The trade's number, the same on both sides."""
    order_id: int
    client_order_id: int
    symbol: str
    side: str
    """"buy" or "sell"."""
    price: Decimal
    quantity: Decimal
    liquidity: str
    """"maker" (the order rested) or "taker" (it arrived)."""
    fee: Decimal
    """Fee paid in the instrument's currency, stamp duty apart."""
    tax: Decimal
    """Stamp duty paid."""
    time: datetime


@dataclass(frozen=True, slots=True)
class Order:
    """An order as it stands."""

    order_id: int
    """The venue's number."""
    client_order_id: int
    """The owner's number."""
    symbol: str
    side: str
    type: str
    """"limit" or "market"; empty where the exchange does not say."""
    tif: str
    """How long it stays: "gtc", "day", "gtd", "ioc", "fok"."""
    price: Decimal
    """Limit price; of a market order the protecting price."""
    quantity: Decimal | None
    """All of it, what was traded included. None where the answer does not tell: `get_order` does."""
    open_quantity: Decimal
    """What still rests in the book."""
    filled_quantity: Decimal | None
    """None where the answer does not tell: `get_order` does."""
    status: str
    """"open", "partially_filled", "filled", "cancelled", "rejected"; "accepted": taken, more is not known yet."""
    reason: str
    """Why it was cancelled or rejected, UPPER_SNAKE; empty otherwise."""
    sequence: int
    """Sequence of the market that this is as of."""
    fills: tuple[Fill, ...] = ()
    """Trades that happened at once (the answer to an order); empty in lists."""
    currency: str = ""
    value: Decimal | None = Decimal(0)
    """Value traded so far, before fees. None where the answer does not tell: `get_order` does."""
    fees: Decimal | None = Decimal(0)
    """Fees and duties so far. None where the answer does not tell."""
    repeated: bool = False
    """True if the id had been used before and nothing new was done."""
    kept_priority: bool = False
    """Of an amendment: whether the order kept its place in the queue."""
    create_time: datetime | None = None
    update_time: datetime | None = None
    expire_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a command, or happened to an order, on a trade stream."""

    kind: str
    """"accepted", "rejected", "filled", "cancelled", "amended", "amend_rejected", "cancel_rejected", …"""
    sequence: int
    symbol: str
    client_order_id: int
    order_id: int
    request_id: int
    side: str
    price: Decimal
    quantity: Decimal
    open_quantity: Decimal
    reason: str
    """UPPER_SNAKE; empty if it went well."""
    message: str
    """The reason in words, with its numbers; empty if it went well."""
    fee: Decimal
    tax: Decimal
    trade_id: int
    liquidity: str
    repeated: bool
    kept_priority: bool
    time: datetime


@dataclass(frozen=True, slots=True)
class Level:
    """A price with all that rests there."""

    price: Decimal
    quantity: Decimal
    orders: int
    """How many orders rest there."""


@dataclass(frozen=True, slots=True)
class Book:
    """A book of levels, best first."""

    symbol: str
    sequence: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    last_price: Decimal | None
    """Price of the last trade."""
    state: str
    """"open", "halted" or "closed"."""
    time: datetime


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade as everybody sees it."""

    trade_id: int
    symbol: str
    price: Decimal
    quantity: Decimal
    taker_side: str
    time: datetime
    maker_order_id: int
    taker_order_id: int


@dataclass(frozen=True, slots=True)
class Candle:
    """What traded in a span of time."""

    symbol: str
    start_time: datetime
    seconds: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    value: Decimal
    trades: int
    closed: bool
    """Whether its time is over."""


@dataclass(frozen=True, slots=True)
class Cash:
    """Cash of one currency."""

    currency: str
    total: Decimal
    held: Decimal
    """Reserved by open orders."""
    free: Decimal


@dataclass(frozen=True, slots=True)
class Holding:
    """What an account has of one instrument."""

    symbol: str
    total: Decimal
    held: Decimal
    """Reserved by open sells."""
    bought_today: Decimal
    """Not sellable before the next trading day (T+1 only)."""
    available: Decimal


@dataclass(frozen=True, slots=True)
class Account:
    """Cash and holdings of an account."""

    account_id: int
    cash: tuple[Cash, ...]
    holdings: tuple[Holding, ...]
    open_orders: int
    sequence: int
    state: str = ""
    """"open" or "halted"; "" if there is no such account yet."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One movement of cash or of holdings."""

    sequence: int
    kind: str
    """"deposit", "withdrawal", "trade", "fee" or "tax"."""
    currency: str
    amount: Decimal
    """Cash moved, signed; 0 when holdings moved."""
    symbol: str
    quantity: Decimal
    """Holdings moved, signed; 0 when cash moved."""
    order_id: int
    request_id: int
    time: datetime


@dataclass(frozen=True, slots=True)
class Moved:
    """A deposit or withdrawal is done."""

    sequence: int
    repeated: bool
    """Its request had been carried out before: nothing moved now."""


@dataclass(frozen=True, slots=True)
class MassCancelled:
    """A mass cancel is done."""

    count: int
    """How many orders it cancelled."""
    sequence: int


@dataclass(frozen=True, slots=True)
class VenueStatus:
    """How the venue is, seen from the pod that answers."""

    pod: str
    shard: int
    offset: int
    sequence: int
    published_sequence: int
    projected_sequence: int
    open_orders: int
    accounts: int
    instruments: int
    trading_day: int
    publisher: bool
    halt_reason: str
    bus: str
    version: str
    market_time: datetime
    start_time: datetime


@dataclass(frozen=True, slots=True)
class StateHash:
    """Hash of a pod's state at a checkpoint; equal on all pods that hold the same log."""

    pod: str
    offset: int
    sequence: int
    state_hash: str
    pods: tuple[tuple[str, str], ...]
    """(pod, hash) of the other pods so far."""

    @property
    def agree(self) -> bool:
        """Whether all pods that answered have the same hash."""
        return all(found == self.state_hash for _, found in self.pods)
