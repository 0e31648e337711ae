"""A market of one instrument for worked cases: short words for the usual commands."""

from dataclasses import replace

from reference.model import Model
from reference.records import Command, Definition, Event, Settings
from reference.words import EventKind, Kind, OrderType, Reason, TimeInForce

SECOND = 10**9
START_NS = 1_700_000_000 * SECOND
SHARE = Definition(
    instrument_id=1,
    currency_id=0,
    tick_value=10_000,
    board_lot=1,
    odd_lot_rule=1,
    price_limit_ppm=0,
    reference_price_ticks=1000,
    max_price_ticks=100_000,
    max_order_lots=1_000_000,
    market_band_ppm=50_000,
    settlement=1,
    trading_state=1,
)


class Scenario:
    """Two rich accounts, 1 and 2, with 1,000 lots each, and whatever else a case needs."""

    def __init__(self, settings: Settings | None = None, **rules: object) -> None:
        self.model = Model(settings)
        self.market = self.model.market
        self.time_ns = START_NS
        self.number = 0
        self.rules = replace(SHARE, **rules)  # type: ignore[arg-type]
        self.model.apply([], self.time_ns, [self.rules])
        for account in (1, 2):
            self.do(Kind.DEPOSIT_CASH, account, amount_micros=10**12)
            self.do(Kind.DEPOSIT_SHARES, account, instrument_id=1, quantity_lots=1000)

    def do(self, kind: Kind, account: int = 0, **values: int) -> list[Event]:
        """Apply one command a millisecond later; ids and times are made up unless given."""
        self.time_ns += 10**6
        self.number += 1
        made_up = {"request_id": self.number, "create_time_ns": self.time_ns}
        command = Command(kind=kind, account_id=account, **{**made_up, **values})
        events = self.model.apply([command], self.time_ns)
        self.model.verify()
        return events

    def place(self, account: int, side: int, quantity: int, price: int, **values: int) -> list[Event]:
        """A GTC limit order, or a market order if the price is 0."""
        limit = {"order_type": OrderType.LIMIT, "time_in_force": TimeInForce.GTC}
        market = {"order_type": OrderType.MARKET, "time_in_force": TimeInForce.IOC}
        form: dict[str, int] = {
            "instrument_id": 1,
            "client_order_id": self.number + 1,
            "side": side,
            "quantity_lots": quantity,
            "price_ticks": price,
            **(limit if price else market),
        }
        return self.do(Kind.PLACE, account, **{**form, **values})

    def redefine(self, **rules: object) -> list[Event]:
        self.rules = replace(self.rules, **rules)  # type: ignore[arg-type]
        events = self.model.apply([], self.time_ns, [self.rules])
        self.model.verify()
        return events

    def cash(self, account: int) -> tuple[int, int]:
        """(total, held) in micros."""
        cash = self.market.cash_of(account, 0)
        return cash.total, cash.held

    def lots(self, account: int) -> tuple[int, int, int]:
        """(total, held, bought today)."""
        holding = self.market.holding_of(account, 1)
        return holding.total, holding.held, holding.bought_today


def kinds(events: list[Event]) -> list[str]:
    """The kinds of events by name, with the reason where there is one."""
    return [
        EventKind(event.kind).name + (f" {Reason(event.reason).name}" if event.reason else "")
        for event in events
    ]


def trades(events: list[Event]) -> list[tuple[int, int, int]]:
    """(price, lots, maker's account) of the trades among events."""
    return [
        (event.price_ticks, event.quantity_lots, event.counter_account_id)
        for event in events
        if event.kind == EventKind.TRADE
    ]
