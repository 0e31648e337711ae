"""Events folded per second into the live book of 100,000 accounts: `make bench ONLY=positions`.

The events come from the production core, which is given orders, replacements and cancels of 100,000 accounts in sixteen
instruments, four for each account, frame by frame, as records of the event log. The peer is the same decoding alone,
and one pass that adds up the same bytes: what reading the log costs whoever does nothing with it.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from flow_core import NEW, START_PRICE, TIME_NS, Rows, commands_of, frames_of, swing_flow
from matching.domain import COMMAND, INSTRUMENT, Core, CoreSettings
from matching.frames import encode_events
from positions.domain.book import Book, Listing, Rules, warm_up
from positions.domain.book.valuing import Freshness
from smartex.matching.v1 import log_pb2
from smartex_wire import codec

EVENTS = codec(log_pb2.EventBatch)
ACCOUNTS = 100_000
INSTRUMENTS = 16
EACH = 4
"""Instruments that an account trades."""
MESSAGES = 1_000_000
FRAME = 256
PASSES = 3


def run() -> list[dict[str, Any]]:
    """Fold the whole log several times, each into a new book; the best pass counts, as do those of the peers."""
    warm_up(EVENTS.row_dtype)
    deposits, log = records()
    count = sum(EVENTS.count(value) for value in log)
    folded, decoded, added = [], [], []
    for _ in range(PASSES):
        book = ready_book(deposits)
        folded.append(count / fold_seconds(book, log))
        decoded.append(count / decode_seconds(log))
        added.append(count / add_seconds(log))
    places = np.arange(book.accounts)
    freshness = Freshness(TIME_NS, 0, 2**62)
    began = time.perf_counter()
    book.figures(places, freshness)
    valued = len(places) / (time.perf_counter() - began)
    return [
        row("decode and fold, 100,000 accounts", max(folded), "events/s", max(decoded)),
        row("decode alone over adding the bytes", max(decoded), "events/s", max(added)),
        row("figures of all accounts", valued, "accounts/s", None),
    ]


def row(name: str, value: float, unit: str, peer: float | None) -> dict[str, Any]:
    """A line of the table."""
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "peer": peer,
        "ratio": value / peer if peer else None,
    }


def records() -> tuple[list[bytes], list[bytes]]:
    """The log of the deposits, and that of the trading."""
    core = Core(CoreSettings())
    commands = trading()
    opening = [encoded(core, frame, definitions) for frame, definitions in openings()]
    trades = [encoded(core, frame, None) for frame in frames_of(commands, FRAME)]
    return [value for part in opening for value in part], [value for part in trades for value in part]


def encoded(core: Core, frame: Rows, definitions: Rows | None) -> list[bytes]:
    """What the publisher would append of a frame."""
    first = core.sequence + 1
    events = core.apply(frame, TIME_NS) if definitions is None else core.apply(frame, TIME_NS, definitions)
    return [value for _, _, value in encode_events(0, first, first, TIME_NS, events)]


def openings() -> list[tuple[Rows, Rows | None]]:
    """Definitions, cash for everybody, and shares of what each trades."""
    rules = np.zeros(INSTRUMENTS, INSTRUMENT)
    for name in ("tick_value", "board_lot", "odd_lot_rule", "settlement", "trading_state"):
        rules[name] = 1
    rules["instrument_id"] = np.arange(1, INSTRUMENTS + 1)
    rules["reference_price_ticks"] = START_PRICE
    rules["max_price_ticks"] = rules["max_order_lots"] = 1 << 29
    rules["maker_fee_ppm"], rules["taker_fee_ppm"], rules["stamp_duty_ppm"] = 100, 300, 500
    deposits = np.zeros(ACCOUNTS * (1 + EACH), COMMAND)
    deposits["kind"] = log_pb2.COMMAND_KIND_DEPOSIT_SHARES
    deposits["kind"][:ACCOUNTS] = log_pb2.COMMAND_KIND_DEPOSIT_CASH
    accounts = np.arange(1, ACCOUNTS + 1)
    deposits["account_id"] = np.tile(accounts, 1 + EACH)
    deposits["request_id"] = np.arange(1, len(deposits) + 1)
    deposits["create_time_ns"] = TIME_NS
    deposits["amount_micros"][:ACCOUNTS] = 10**13
    deposits["quantity_lots"][ACCOUNTS:] = 10**6
    turns = np.repeat(np.arange(EACH), ACCOUNTS)
    deposits["instrument_id"][ACCOUNTS:] = instrument_of(np.tile(accounts, EACH), turns)
    frames = frames_of(deposits, 50_000)
    return [(frames[0], rules), *((frame, None) for frame in frames[1:])]


def instrument_of(account: Any, turn: Any) -> Any:
    """The instrument that an account trades at one of its turns."""
    return (account * EACH + turn % EACH) % INSTRUMENTS + 1


def trading() -> Rows:
    """A flow of orders, replacements and cancels, dealt out to all accounts in turn."""
    flow = swing_flow(0.02, MESSAGES)
    commands = commands_of(flow)
    orders = flow["order_id"].astype(np.int64)
    commands["account_id"] = orders % ACCOUNTS + 1
    new = flow["type"] == NEW
    commands["instrument_id"][new] = instrument_of(orders % ACCOUNTS + 1, orders // ACCOUNTS)[new]
    return commands


def ready_book(deposits: list[bytes]) -> Book:
    """A book that knows the instruments and the deposits."""
    book = Book(Listing(["CNY"], {}, "CNY"))
    book.learn(
        Rules(number, f"S{number}", "CNY", 1, False, 300, f"Industry {number % 5}", START_PRICE)
        for number in range(1, INSTRUMENTS + 1)
    )
    fold_seconds(book, deposits)
    return book


def fold_seconds(book: Book, log: list[bytes]) -> float:
    """Seconds to decode and fold records."""
    began = time.perf_counter()
    for value in log:
        header, events = EVENTS.decode(value)
        book.fold(events, int(header["first_sequence"]), int(header["time_ns"]))
    return time.perf_counter() - began


def decode_seconds(log: list[bytes]) -> float:
    """Seconds to decode records and leave it at that."""
    began = time.perf_counter()
    for value in log:
        EVENTS.decode(value)
    return time.perf_counter() - began


def add_seconds(log: list[bytes]) -> float:
    """Seconds to add up the bytes of records, eight at a time."""
    began = time.perf_counter()
    for value in log:
        np.frombuffer(value, np.int64, count=len(value) // 8).sum()
    return time.perf_counter() - began


if __name__ == "__main__":
    for each in run():
        print(f"{each['name']:40} {each['value']:>14,.0f} {each['unit']}  peer {each['peer']}")
