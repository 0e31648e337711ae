"""Seeded random flows: frames of everything that the rules know, sound and broken, in a busy market.

A `Flow` runs its own model while it writes, so that cancels find orders, prices stay near the touch and times
stay near the edges of the window. What it yields is plain data that can be applied again, cut down and shown.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from random import Random

from reference.definitions import broken_definition, next_definition, sound_definition
from reference.model import Model
from reference.money import available_lots, free_cash
from reference.profiles import MILLISECOND, PROFILES, Profile
from reference.records import Command, Definition, Event
from reference.state import Instrument, Order
from reference.words import Kind, OrderType, Prevention, Side, State, TimeInForce

__all__ = ["INT64_EDGES", "PROFILES", "Flow", "Frame", "Profile"]

START_NS = 1_700_000_000 * 10**9
LARGEST_SUM = 4 * 10**18
RICH_CURRENCY = 14  # no instrument trades in it
INT64_EDGES = (-(2**63), -(2**62), -(10**18), -1, 0, 1, 2**31, 2**32, 2**40, 10**18, 2**62, 2**63 - 1)
UINT32_EDGES = (0, 1, 65_535, 65_536, 2**31, 2**32 - 1)
BYTE_FIELDS = frozenset(
    "kind side order_type time_in_force post_only self_trade_prevention trading_state".split()  # noqa: SIM905
)
UINT32_FIELDS = frozenset(("account_id", "instrument_id", "currency_id"))
KINDS = {
    Kind.PLACE: 560,
    Kind.CANCEL: 110,
    Kind.AMEND: 110,
    Kind.REPLACE: 60,
    Kind.MASS_CANCEL: 5,
    Kind.CLOCK: 25,
    Kind.SESSION_OPEN: 12,
    Kind.SESSION_BEAT: 14,
    Kind.SET_TRADING_STATE: 4,
    Kind.SET_REFERENCE_PRICE: 3,
    Kind.ROLL_DAY: 4,
    Kind.DEPOSIT_CASH: 18,
    Kind.WITHDRAW_CASH: 8,
    Kind.DEPOSIT_SHARES: 18,
    Kind.WITHDRAW_SHARES: 8,
    Kind.CHECKPOINT: 3,
    Kind.CANCEL_ORDERS: 3,
    Kind.SET_ACCOUNT_STATE: 3,
}


@dataclass
class Frame:
    """What `apply` takes."""

    time_ns: int
    commands: list[Command]
    definitions: list[Definition] = field(default_factory=list)


class Flow:
    """A random flow; the same seed and profile give the same frames."""

    def __init__(self, seed: int, profile: Profile) -> None:
        self.random = Random(f"{seed} {profile.name}")
        self.profile = profile
        self.model = Model(profile.settings)
        self.market = self.model.market
        self.time_ns = START_NS
        self.next_number = 1
        self.used_requests: list[tuple[int, int]] = []
        self.used_orders: list[tuple[int, int]] = []
        of_owners = (Kind.PLACE, Kind.CANCEL, Kind.AMEND, Kind.REPLACE)
        self.weights = [
            weight if kind in of_owners else weight / profile.calm for kind, weight in KINDS.items()
        ]
        self.weights[1] /= profile.depth
        self.accounts: list[int] = [*range(1, profile.accounts), 2**32 - 1]

    def frames(self, command_count: int) -> Iterator[tuple[Frame, list[Event]]]:
        """Frames with at least so many commands in all, each with the model's events for it."""
        written = 0
        for frame in self.opening():
            yield frame, self.model.apply(frame.commands, frame.time_ns, frame.definitions)
        while written < command_count:
            frame = self.random_frame()
            written += max(1, len(frame.commands))
            yield frame, self.market.events

    # -- frames ---------------------------------------------------------------------------------------------

    def opening(self) -> Iterator[Frame]:
        """Instruments, then balances."""
        numbers = [1, 65_535, *range(2, 100)][: self.profile.instruments]
        definitions = [sound_definition(self.random, number, self.profile.wide_prices) for number in numbers]
        yield Frame(self.time_ns, [], definitions)
        for account in self.accounts:
            self.pass_time()
            yield Frame(self.time_ns, [self.deposit(kind, account, number) for kind, number in self.wealth()])

    def wealth(self) -> list[tuple[Kind, int]]:
        kinds = (Kind.DEPOSIT_CASH, Kind.DEPOSIT_SHARES)
        return [(kind, number) for number in self.market.instruments for kind in kinds]

    def random_frame(self) -> Frame:
        """Write a frame; the model applies each command at once, so that the next one knows its effect."""
        self.pass_time()
        frame = Frame(self.time_ns, [])
        self.model.begin(self.time_ns)
        if self.random.random() < 0.03:
            for _ in range(self.random.choice((1, 1, 2))):
                frame.definitions.append(self.definition())
                self.model.define(frame.definitions[-1])
        for _ in range(self.random.choice(self.profile.frame_sizes)):
            frame.commands.append(self.command())
            self.model.step(frame.commands[-1])
        return frame

    def pass_time(self) -> None:
        """Mostly on by about the skew; sometimes not at all, back, or far on."""
        unit = max(self.profile.settings.skew_ns, MILLISECOND)
        steps = (0, 1, unit // 10, unit // 2, unit, 2 * unit, 5 * unit, -unit, 300 * MILLISECOND)
        weights = (2, 2, 4, 6, 6, 6, 3, 1, 1)
        self.time_ns += self.random.choices(steps, weights)[0]

    def definition(self) -> Definition:
        known = list(self.market.instruments)
        choice = self.random.random()
        if choice < 0.3:
            return broken_definition(self.random, self.random.choice([*known, 99]), self.profile.wide_prices)
        if choice < 0.45:
            return sound_definition(self.random, self.random.randint(1, 12), self.profile.wide_prices)
        return next_definition(self.random, self.market.instruments[self.random.choice(known)].rules)

    # -- commands -------------------------------------------------------------------------------------------

    def command(self) -> Command:
        command = self.sound_command()
        if self.random.random() < self.profile.broken_share:
            self.break_field(command)
        return command

    def sound_command(self) -> Command:
        closed = [i for i, it in self.market.instruments.items() if it.trading_state != State.OPEN]
        if closed and self.random.random() < 0.03:
            number = self.random.choice(closed)
            return Command(kind=Kind.SET_TRADING_STATE, instrument_id=number, trading_state=State.OPEN)
        if self.market.halted_accounts and self.random.random() < 0.03:
            halted = self.random.choice(sorted(self.market.halted_accounts))
            return Command(kind=Kind.SET_ACCOUNT_STATE, account_id=halted, trading_state=State.OPEN)
        kind = self.random.choices(list(KINDS), self.weights)[0]
        match kind:
            case Kind.PLACE:
                return self.place()
            case Kind.CANCEL | Kind.AMEND | Kind.REPLACE:
                return self.change(kind)
            case Kind.DEPOSIT_CASH | Kind.WITHDRAW_CASH | Kind.DEPOSIT_SHARES | Kind.WITHDRAW_SHARES:
                return self.deposit(kind, self.account(), self.instrument_number())
            case _:
                return self.other(kind)

    def break_field(self, command: Command) -> None:
        """Set one field to something that it should rather not be."""
        names = [item.name for item in fields(Command)]
        if self.random.random() < 0.7:
            names = [name for name in names if getattr(command, name)]
        name = self.random.choice(names)
        if name in BYTE_FIELDS:
            value = self.random.choice((0, 1, 2, 3, 4, 5, 6, 7, 27, 255))
        elif name in UINT32_FIELDS:
            value = self.random.choice(UINT32_EDGES)
        else:
            value = self.random.choice(INT64_EDGES)
        setattr(command, name, value)

    def account(self) -> int:
        return self.random.choice(self.accounts)

    def instrument_number(self) -> int:
        return self.random.choice(list(self.market.instruments))

    def number(self) -> int:
        self.next_number += self.profile.id_step
        return self.next_number

    def create_time(self) -> int:
        """Mostly just now; sometimes at an edge of what the window takes."""
        settings, floor = self.profile.settings, self.market.floor
        now = max(self.market.now, self.time_ns)
        if self.random.random() < 0.94:
            return now + self.random.randint(0, settings.skew_ns)
        edges = (floor + settings.skew_ns, now + settings.skew_ns, now - settings.skew_ns, now - 10**9)
        edge: int = self.random.choice(edges)
        return edge + self.random.choice((-1, 0, 1))

    def place(self) -> Command:
        random = self.random
        number = self.instrument_number()
        instrument = self.market.instruments[number]
        account = self.account()
        command = Command(
            kind=Kind.PLACE,
            account_id=account,
            instrument_id=number,
            client_order_id=self.number(),
            side=random.choice((Side.BUY, Side.SELL)),
            order_type=OrderType.LIMIT if random.random() < 0.88 else OrderType.MARKET,
            create_time_ns=self.create_time(),
            request_id=random.choice((0, 0, self.next_number)),
            self_trade_prevention=random.choice((0, *Prevention)),
        )
        if self.used_orders and random.random() < 0.04:
            open_ones = list(self.market.orders_by_client_id)
            recent = self.used_orders[-random.choice((5, 100, 5000)) :]
            known = random.choice(open_ones if open_ones and random.random() < 0.3 else recent)
            account, command.client_order_id = known
            command.account_id = account
        else:
            self.used_orders.append((account, command.client_order_id))
        command.quantity_lots = self.quantity(instrument, account, command.side)
        self.set_lifetime(command)
        if command.order_type == OrderType.LIMIT:
            command.price_ticks = self.price(instrument, command.side)
        own_sessions = [i for i, it in self.market.sessions.items() if it.account_id == account]
        if own_sessions and random.random() < 0.4:
            command.session_id = random.choice(own_sessions)
        return command

    def set_lifetime(self, command: Command) -> None:
        random = self.random
        takes = command.order_type == OrderType.MARKET or random.random() < 0.3
        if takes:
            command.time_in_force = random.choice((TimeInForce.IOC, TimeInForce.FOK))
            if command.time_in_force == TimeInForce.IOC and random.random() < 0.4:
                command.min_quantity_lots = random.randint(1, max(1, command.quantity_lots))
            return
        command.time_in_force = random.choice((TimeInForce.GTC, TimeInForce.DAY, TimeInForce.GTD))
        command.post_only = random.choice((0, 0, 0, 0, 1, 2))
        if command.time_in_force == TimeInForce.GTD:
            unit = max(self.profile.settings.skew_ns, MILLISECOND)
            command.expire_time_ns = self.time_ns + random.choice((1, unit, 5 * unit, 20 * unit, 100 * unit))

    def price(self, instrument: Instrument, side: int) -> int:
        """Near the middle, mostly on a step; now and then at or beyond the day's limits."""
        random, rules = self.random, instrument.rules
        middle = instrument.reference_price
        if instrument.bids and instrument.asks and random.random() < 0.7:
            middle = (instrument.bids[0].price + instrument.asks[0].price) // 2
        if self.profile.wide_prices and random.random() < 0.2:
            middle = max(1, int(middle * random.uniform(0.4, 1.6)))
        if random.random() < 0.02:
            spread = middle * (10**6 + random.choice((-1, 1)) * rules.price_limit_ppm) // 10**6
            return spread + random.randint(-2, 2)
        step = max([step for first, step in rules.bands if first <= middle], default=1)
        if random.random() < 0.02:
            return middle + random.randint(-5, 5)
        steps = round(random.gauss(0, self.profile.spread))
        if random.random() < self.profile.patience:
            steps = -abs(steps) if side == Side.BUY else abs(steps)
        return max(1, middle // step + steps) * step

    def quantity(self, instrument: Instrument, account: int, side: int) -> int:
        random, rules = self.random, instrument.rules
        whole = rules.board_lot * random.choice((1, 1, 2, 3, 5, 10))
        holding = self.market.holdings.get((account, rules.instrument_id))
        if side == Side.SELL and holding and random.random() < 0.15:
            return max(1, min(holding.available, whole + holding.available % rules.board_lot))
        choices = (whole, whole + 1, rules.max_order_lots, rules.max_order_lots + 1, whole // 2)
        return random.choices(choices, (96, 2, 1, 1, 1))[0]

    def some_order(self) -> Order | None:
        orders = self.market.orders
        return orders[self.random.choice(list(orders))] if orders else None

    def change(self, kind: Kind) -> Command:
        """CANCEL, AMEND or REPLACE, mostly of an order that is open."""
        random = self.random
        command = Command(kind=kind, account_id=self.account(), create_time_ns=self.create_time())
        command.request_id = self.number()
        if kind != Kind.CANCEL:
            self.repeat_sometimes(command)
        order = self.some_order()
        if order is None or random.random() < 0.06:
            command.client_order_id = random.randint(1, self.next_number)
            command.order_id = random.choice((0, 0, 2**24, order.order_id if order else 1))
            return command
        command.account_id = order.account_id if command.account_id != 0 else 0
        if random.random() < 0.5:
            command.order_id = order.order_id
        else:
            command.client_order_id = order.client_order_id
        if kind != Kind.CANCEL:
            self.set_change(command, order)
        return command

    def set_change(self, command: Command, order: Order) -> None:
        random = self.random
        instrument = self.market.instruments[order.instrument_id]
        if random.random() < 0.5:
            old_or_new = (order.price, self.price(instrument, order.side))
            command.price_ticks = random.choices(old_or_new, (1, 4))[0]
        what = random.random()
        if what < 0.3:
            command.quantity_lots = self.quantity(instrument, order.account_id, order.side)
        elif what < 0.5:
            command.quantity_lots = max(1, order.quantity - instrument.rules.board_lot)
        elif what < 0.6:
            command.quantity_lots = order.executed

    def repeat_sometimes(self, command: Command) -> None:
        """Now and then take the number of an earlier request instead of a new one."""
        if self.used_requests and self.random.random() < 0.04:
            back = self.random.choice((5, 100, 5000))
            command.account_id, command.request_id = self.random.choice(self.used_requests[-back:])
        else:
            self.used_requests.append((command.account_id, command.request_id))

    def deposit(self, kind: Kind, account: int, number: int) -> Command:
        random = self.random
        rules = self.market.instruments[number].rules
        command = Command(kind=kind, account_id=account, create_time_ns=self.create_time())
        command.request_id = self.number()
        self.repeat_sometimes(command)
        lots = rules.board_lot * random.randint(1, 40) + random.choice((0, 0, 1, rules.board_lot // 2))
        lots = int(lots * self.profile.depth)
        if kind in (Kind.DEPOSIT_SHARES, Kind.WITHDRAW_SHARES):
            command.instrument_id = number
            command.quantity_lots = lots
        else:
            command.currency_id = rules.currency_id
            command.amount_micros = lots * rules.reference_price_ticks * rules.tick_value
        if kind in (Kind.WITHDRAW_CASH, Kind.WITHDRAW_SHARES) and random.random() < 0.3:
            beyond = random.randint(0, 1)
            command.amount_micros = free_cash(self.market, command.account_id, rules.currency_id) + beyond
            command.quantity_lots = available_lots(self.market, command.account_id, number) + beyond
        if random.random() < 0.03:
            command.account_id = random.choice((0, 100, 101, 102, 103))
        if random.random() < 0.03:
            command.currency_id, command.instrument_id = random.choice((2, 15, 16, 200)), 77
        if random.random() < 0.02:
            room = LARGEST_SUM - self.market.cash_brought_in.get(RICH_CURRENCY, 0)
            amount = random.choice((room // 2, room, room + 1))
            command.amount_micros, command.currency_id = amount, RICH_CURRENCY
        return command

    def other(self, kind: Kind) -> Command:
        """Commands of few fields."""
        random = self.random
        account = self.account()
        number = random.choice((0, *self.market.instruments, 77))
        request_id = random.choice((0, self.next_number))
        match kind:
            case Kind.MASS_CANCEL | Kind.CANCEL_ORDERS:
                side = random.choice((0, Side.BUY, Side.SELL))
                if kind == Kind.CANCEL_ORDERS:
                    account = random.choice((0, account))
                return Command(
                    kind=kind, account_id=account, instrument_id=number, side=side, request_id=request_id
                )
            case Kind.SET_ACCOUNT_STATE:
                state = random.choice((State.OPEN, State.HALTED, State.HALTED, State.CLOSED))
                account = random.choice((account, account, account, 0, 77))
                return Command(kind=kind, account_id=account, trading_state=state, request_id=request_id)
            case Kind.SESSION_OPEN | Kind.SESSION_BEAT:
                grace = random.choice((10**8 - 1, 10**8, 2 * 10**8, 10**9, 2**63 - 1))
                session = random.randint(1, self.profile.settings.max_sessions + 2)
                return Command(
                    kind=kind,
                    account_id=self.accounts[session % len(self.accounts)]
                    if random.random() < 0.9
                    else account,
                    session_id=session,
                    grace_ns=grace,
                    request_id=request_id,
                )
            case Kind.SET_TRADING_STATE:
                state = random.choice(list(State))
                return Command(kind=kind, instrument_id=number, trading_state=state, request_id=request_id)
            case Kind.SET_REFERENCE_PRICE:
                known = self.market.instruments.get(number)
                middle = known.reference_price if known else 100
                price = max(1, int(middle * random.uniform(0.9, 1.1)))
                return Command(kind=kind, instrument_id=number, price_ticks=price, request_id=request_id)
            case Kind.ROLL_DAY:
                day = self.market.trading_day + random.choice((0, 0, 0, 0, 1, -1))
                return Command(kind=kind, trading_day=day, request_id=request_id)
            case _:
                return Command(kind=kind, request_id=request_id)
