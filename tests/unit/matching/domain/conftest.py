"""A small venue to talk to in words: commands as keyword arguments, events as dicts of what is not zero."""

from typing import Any

import numpy as np
import pytest
from matching.domain import COMMAND, EVENT, INSTRUMENT, Core, CoreSettings
from smartex.matching.v1 import log_pb2, types_pb2

START_NS = 1_700_000_000 * 10**9
SMALL = CoreSettings(window=64, max_orders=32, max_accounts=8, max_instruments=4, max_sessions=4)
RULES = {
    "tick_value": 10,
    "board_lot": 1,
    "odd_lot_rule": 1,
    "reference_price_ticks": 100,
    "max_price_ticks": 10_000,
    "max_order_lots": 1_000,
    "settlement": 1,
    "trading_state": 1,
}
Seen = dict[str, Any]


def value_of(name: str, prefix: str, words: Any) -> int:
    return int(words.Value(prefix + name))


class Venue:
    """A core with conservation checked after every frame, a clock that the test moves, and ids that count up."""

    def __init__(self, settings: CoreSettings = SMALL, core: Core | None = None) -> None:
        self.core = core or Core(settings, check_conservation=True)
        self.now = START_NS
        self.next_id = 1_000

    def define(
        self, instrument_id: int = 1, bands: tuple[tuple[int, int], ...] = (), **changes: int
    ) -> list[Seen]:
        rows = np.zeros(1, INSTRUMENT)
        for name, value in {**RULES, **changes}.items():
            rows[name] = value
        rows["instrument_id"] = instrument_id
        rows["band_count"] = len(bands)
        for place, (first, step) in enumerate(bands[:16]):
            rows["band_from"][0, place], rows["band_step"][0, place] = first, step
        return self.seen(self.core.apply(np.zeros(0, COMMAND), self.now, rows))

    def do(self, kind: str, **fields: int) -> list[Seen]:
        """Apply one command in a frame of its own."""
        return self.seen(self.core.apply(self.command(kind, **fields), self.now))

    def command(self, kind: str, **fields: int) -> Any:
        rows = np.zeros(1, COMMAND)
        rows["kind"] = value_of(kind, "COMMAND_KIND_", log_pb2.CommandKind)
        rows["create_time_ns"] = self.now
        for name, value in fields.items():
            rows[name] = value
        return rows

    def place(self, account_id: int, side: str, quantity: int, price: int = 0, **fields: int) -> list[Seen]:
        """A limit order, good till cancelled unless said otherwise."""
        self.next_id += 1
        usual = {"client_order_id": self.next_id, "order_type": 1, "time_in_force": 1, "instrument_id": 1}
        usual |= {"side": {"buy": 1, "sell": 2}[side], "quantity_lots": quantity, "price_ticks": price}
        return self.do("PLACE", account_id=account_id, **{**usual, **fields})

    def market(self, account_id: int, side: str, quantity: int, **fields: int) -> list[Seen]:
        return self.place(account_id, side, quantity, 0, **{"order_type": 2, "time_in_force": 4, **fields})

    def request(self, kind: str, account_id: int, **fields: int) -> list[Seen]:
        """A command with a fresh request id."""
        self.next_id += 1
        return self.do(kind, account_id=account_id, **{"request_id": self.next_id, **fields})

    def fund(self, account_id: int, cash: int = 0, lots: int = 0, instrument_id: int = 1) -> None:
        if cash:
            self.request("DEPOSIT_CASH", account_id, amount_micros=cash)
        if lots:
            self.request("DEPOSIT_SHARES", account_id, instrument_id=instrument_id, quantity_lots=lots)

    def cash(self, account_id: int) -> tuple[int, int]:
        """(total, held) of the first currency."""
        return next(((total, held) for of, total, held in self.core.cash(account_id) if of == 0), (0, 0))

    def lots(self, account_id: int, instrument_id: int = 1) -> tuple[int, int, int]:
        """(total, held, bought today)."""
        rows = {row[0]: tuple(row[1:]) for row in self.core.holdings(account_id).tolist()}
        total, held, bought = rows.get(instrument_id, (0, 0, 0))
        return total, held, bought

    @staticmethod
    def seen(events: Any) -> list[Seen]:
        shown = []
        for event in events:
            it: Seen = {name: int(event[name]) for name in EVENT.names or () if event[name]}
            it["kind"] = log_pb2.EventKind.Name(it["kind"]).removeprefix("EVENT_KIND_")
            if "reason" in it:
                it["reason"] = types_pb2.Reason.Name(it["reason"]).removeprefix("REASON_")
            shown.append(it)
        return shown


@pytest.fixture
def venue() -> Venue:
    """One instrument with tick value 10 and no fees; accounts 1 and 2 with 100,000 micros and 100 lots each."""
    made = Venue()
    made.define()
    for account in (1, 2):
        made.fund(account, 100_000, 100)
    return made


@pytest.fixture(scope="session")
def new_venue() -> type[Venue]:
    """To make venues of other sizes."""
    return Venue


@pytest.fixture(scope="session")
def small_settings() -> CoreSettings:
    return SMALL
