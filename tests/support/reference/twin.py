"""Core and model side by side: the same frames, and whatever differs, in words."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, replace
from typing import TypeVar

from matching.domain import Core, CoreSettings
from reference.bridge import (
    Row,
    array_rows,
    changed_fields,
    command_array,
    definition_array,
    event_of,
    event_rows,
)
from reference.flows import Frame
from reference.model import Model
from reference.records import Event, Settings
from reference.state import Instrument, Order

T = TypeVar("T")
LEVELS = 50
ORDER_NAMES = [
    "order_id",
    "account_id",
    "client_order_id",
    "instrument_id",
    "side",
    "price_ticks",
    "quantity_lots",
    "leaves_lots",
    "reserve",
    "time_in_force",
    "post_only",
    "self_trade_prevention",
    "expire_time_ns",
    "session_id",
]
OUTCOMES_SHOWN = 6


def core_settings(settings: Settings) -> CoreSettings:
    return CoreSettings(
        window=settings.window,
        max_orders=settings.max_orders,
        max_accounts=settings.max_accounts,
        max_instruments=settings.max_instruments,
        max_holdings=settings.max_holdings,
        max_sessions=settings.max_sessions,
        skew_ns=settings.skew_ns,
    )


class Twin:
    """A model and a core that are given the same frames."""

    def __init__(self, settings: Settings, model: Model | None = None) -> None:
        self.model = model or Model(settings)
        self.core = Core(core_settings(settings), check_conservation=True)

    def apply(self, frame: Frame, expected: list[Event] | None = None) -> str:
        """Apply a frame; the empty string if both said the same, else what differs.

        `expected` are the model's events if it has applied the frame already.
        """
        if expected is None:
            expected = self.model.apply(frame.commands, frame.time_ns, frame.definitions)
        rows = self.apply_to(self.core, frame)
        wanted = event_rows(expected)
        return "" if rows == wanted else difference(expected, [event_of(row) for row in rows], frame)

    @staticmethod
    def apply_to(core: Core, frame: Frame) -> list[Row]:
        """A core's events for a frame."""
        definitions = definition_array(frame.definitions) if frame.definitions else None
        return array_rows(core.apply(command_array(frame.commands), frame.time_ns, definitions))

    def compare_state(self) -> str:
        """The empty string if both are in the same state, else what differs first."""
        self.core.verify_conservation()
        for what, wanted, found in self.states():
            if wanted != found:
                return f"state differs in {what}:\n  model {wanted}\n  core  {found}"
        return ""

    def states(self) -> Iterable[tuple[str, object, object]]:
        """Everything that can be asked of both, as (what, the model's answer, the core's answer)."""
        market, core = self.model.market, self.core
        yield "sequence", market.sequence, core.sequence
        yield "now", market.now, core.now
        yield "trading day", market.trading_day, core.trading_day
        yield "open orders", len(market.orders), core.open_order_count
        yield "accounts", len(market.accounts), core.account_count
        yield "instruments", len(market.instruments), core.instrument_count
        for account in sorted(market.accounts):
            yield f"cash of {account}", self.model_cash(account), self.core_cash(account)
            yield f"holdings of {account}", self.model_holdings(account), self.core_holdings(account)
        sessions = sorted((number, *astuple(it)) for number, it in market.sessions.items())
        yield "sessions", sessions, sorted(core.sessions().tolist())
        for number, instrument in market.instruments.items():
            yield from self.instrument_states(number, instrument)

    def instrument_states(self, number: int, instrument: Instrument) -> Iterable[tuple[str, object, object]]:
        row = self.core.instrument(number)
        wanted = (instrument.trading_state, instrument.reference_price, instrument.last_price)
        found = tuple(
            int(row[name]) for name in ("trading_state", "reference_price_ticks", "last_price_ticks")
        )
        yield f"instrument {number}", wanted, found
        orders = [order_row(order) for order in instrument.bids + instrument.asks]
        yield (
            f"orders of {number}",
            orders,
            [tuple(row) for row in self.core.orders(number)[ORDER_NAMES].tolist()],
        )
        bids, asks = self.core.book(number, LEVELS)
        yield f"bids of {number}", levels(instrument.bids), [tuple(map(int, row)) for row in bids.tolist()]
        yield f"asks of {number}", levels(instrument.asks), [tuple(map(int, row)) for row in asks.tolist()]

    def model_cash(self, account: int) -> list[tuple[int, int, int]]:
        cash = self.model.market.cash.items()
        return sorted((of, it.total, it.held) for (who, of), it in cash if who == account and it.total)

    def core_cash(self, account: int) -> list[tuple[int, int, int]]:
        return sorted(
            (int(of), int(total), int(held)) for of, total, held in self.core.cash(account) if total
        )

    def model_holdings(self, account: int) -> list[tuple[int, ...]]:
        holdings = self.model.market.holdings.items()
        return sorted((of, *astuple(it)) for (who, of), it in holdings if who == account and it.total)

    def core_holdings(self, account: int) -> list[tuple[int, ...]]:
        return sorted(row for row in self.core.holdings(account).tolist() if row[1])


def order_row(order: Order) -> tuple[int, ...]:
    """An order as the core tells it: the values of `ORDER_NAMES`."""
    return (
        order.order_id,
        order.account_id,
        order.client_order_id,
        order.instrument_id,
        order.side,
        order.price,
        order.quantity,
        order.leaves,
        order.reserve,
        order.time_in_force,
        order.post_only,
        order.self_trade_prevention,
        order.expire_time_ns,
        order.session_id,
    )


def levels(queue: Sequence[Order]) -> list[tuple[int, int, int]]:
    """(price, lots, orders) of the best levels."""
    sums: dict[int, tuple[int, int]] = {}
    for order in queue:
        lots, count = sums.get(order.price, (0, 0))
        sums[order.price] = (lots + order.leaves, count + 1)
    return [(price, lots, count) for price, (lots, count) in sums.items()][:LEVELS]


def difference(wanted: list[Event], found: list[Event], frame: Frame) -> str:
    """The first event that differs, its command, and the events around it."""
    place = next(
        (i for i, pair in enumerate(zip(wanted, found, strict=False)) if pair[0] != pair[1]),
        min(len(wanted), len(found)),
    )
    lines = [f"event {place} of the frame differs (model {len(wanted)} events, core {len(found)})"]
    here = [events[place] for events in (wanted, found) if place < len(events)]
    index = min(event.command_index for event in here) - len(frame.definitions)
    if 0 <= index < len(frame.commands):
        lines.append(f"  command {changed_fields(frame.commands[index])}")
    for name, events in (("model", wanted), ("core ", found)):
        shown = events[max(0, place - 2) : place + OUTCOMES_SHOWN]
        lines += [f"  {name} {changed_fields(event)}" for event in shown]
    if place < min(len(wanted), len(found)):
        names = [
            name for name in vars(wanted[place]) if vars(wanted[place])[name] != vars(found[place])[name]
        ]
        lines.append(f"  in the fields {', '.join(names)}")
    return "\n".join(lines)


def first_difference(settings: Settings, frames: Sequence[Frame]) -> str:
    """Run frames through a fresh core and a fresh model; the empty string if they agree to the end."""
    twin = Twin(settings)
    for number, frame in enumerate(frames):
        found = twin.apply(frame)
        if found:
            return f"frame {number}: {found}"
    return twin.compare_state()


def shrink(
    frames: Sequence[Frame], fails: Callable[[Sequence[Frame]], bool], seconds: float
) -> Sequence[Frame]:
    """Leave out whatever is not needed for `fails`, until nothing can go or the time is up."""
    end = time.monotonic() + seconds
    frames = shrink_list(frames, fails, end)
    for number, frame in enumerate(frames):
        before, after = frames[:number], frames[number + 1 :]
        commands = shrink_list(
            frame.commands,
            lambda kept: fails([*before, replace(frame, commands=list(kept)), *after]),  # noqa: B023
            end,
        )
        shorter = replace(frame, commands=list(commands))
        definitions = shrink_list(
            frame.definitions,
            lambda kept: fails([*before, replace(shorter, definitions=list(kept)), *after]),  # noqa: B023
            end,
        )
        frames = [*before, replace(shorter, definitions=list(definitions)), *after]
    return frames


def shrink_list(items: Sequence[T], fails: Callable[[Sequence[T]], bool], end: float) -> Sequence[T]:
    """Leave out ever smaller pieces of a list."""
    size = max(1, len(items) // 2)
    while time.monotonic() < end and items:
        start = 0
        while start < len(items) and time.monotonic() < end:
            shorter = [*items[:start], *items[start + size :]]
            if fails(shorter):
                items = shorter
            else:
                start += size
        if size == 1:
            break
        size //= 2
    return items


def describe(frames: Sequence[Frame]) -> str:
    """Frames as text from which they can be written again."""
    lines = []
    for number, frame in enumerate(frames):
        lines.append(f"frame {number} time_ns={frame.time_ns}")
        lines += [f"  {changed_fields(definition)}" for definition in frame.definitions]
        lines += [f"  {changed_fields(command)}" for command in frame.commands]
    return "\n".join(lines)
