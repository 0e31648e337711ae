"""Order flows for the core: read from a file or made by a seed, and what the core says of them as report lines.

A flow is a dict of arrays as in the .npz files: `type` (0 new, 1 cancel, 2 modify), `side` (0 buy, 1 sell), `ioc`,
`quantity`, `order_id`, `price_ticks`; the row is the sequence number.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from matching.domain import COMMAND, INSTRUMENT, Core, CoreSettings
from matching.prefault import populate
from smartex.matching.v1 import log_pb2, types_pb2

Flow = dict[str, np.ndarray[Any, Any]]
Rows = np.ndarray[Any, np.dtype[np.void]]
NEW, CANCEL, MODIFY = 0, 1, 2
ACCOUNTS = 1000
TIME_NS = 1_700_000_000 * 10**9
START_PRICE = 33_000


def read_flow(path: str) -> Flow:
    """The flow in an .npz file."""
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def swing_flow(swing: float, count: int = 1_000_000, seed: int = 7) -> Flow:
    """A flow whose price goes up by `swing` (0.25: 25 %), down by as much, and back to where it began.

    Half of the messages are new orders around the moving price, a tenth of them immediate-or-cancel; most rest within
    some fifty ticks, some lie thousands of ticks away, so between them there are empty levels. Cancels and modifies
    mean orders of the last few thousand messages, and some that are gone.
    """
    random = np.random.default_rng(seed)
    middle = START_PRICE * (1 + swing * np.interp(np.arange(count), path_times(count), (0, 1, 0, -1, 0)))
    kind = random.choice(np.array([NEW, CANCEL, MODIFY], np.uint8), count, p=(0.5, 0.41, 0.09))
    kind[:100] = NEW
    side = random.integers(0, 2, count).astype(np.uint8)
    near = random.geometric(0.04, count)
    far = random.integers(50, 5000, count)
    away = np.where(random.random(count) < 0.05, far, near)
    ioc = ((random.random(count) < 0.1) & (kind == NEW)).astype(np.uint8)
    away = np.where((ioc == 1) | (random.random(count) < 0.12), -near, away)
    price = np.maximum(1, middle.astype(np.int64) + np.where(side == 0, -away, away))
    order_id = meant_orders(random, kind)
    first = np.zeros(count + 1, np.uint8)
    first[order_id[kind == NEW]] = side[kind == NEW]
    side = first[order_id]
    return {
        "type": kind,
        "side": side,
        "ioc": ioc,
        "quantity": random.integers(1, 101, count).astype(np.uint32),
        "order_id": order_id.astype(np.uint32),
        "price_ticks": price.astype(np.int32),
    }


def path_times(count: int) -> np.ndarray[Any, Any]:
    """When the price is at its turning points."""
    return np.array([0, 0.25, 0.5, 0.75, 1]) * count


def meant_orders(random: np.random.Generator, kind: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """New orders count up from 1; others mean one of those before them, mostly recent."""
    newest = np.cumsum(kind == NEW)
    back = np.minimum(random.geometric(1 / 1500, len(kind)), newest) - 1
    return np.where(kind == NEW, newest, newest - back)


def commands_of(flow: Flow) -> Rows:
    """A flow as commands: an order's client id is the row of its last `new` plus one."""
    count = len(flow["type"])
    rows = np.zeros(count, COMMAND)
    kinds = np.array(
        [log_pb2.COMMAND_KIND_PLACE, log_pb2.COMMAND_KIND_CANCEL, log_pb2.COMMAND_KIND_REPLACE], np.uint8
    )
    rows["kind"] = kinds[flow["type"]]
    rows["account_id"] = flow["order_id"] % ACCOUNTS + 1
    rows["client_order_id"] = last_new(flow) + 1
    rows["create_time_ns"] = TIME_NS
    new, modify = flow["type"] == NEW, flow["type"] == MODIFY
    rows["instrument_id"][new] = 1
    rows["side"][new] = flow["side"][new] + 1
    rows["order_type"][new] = types_pb2.ORDER_TYPE_LIMIT
    rows["time_in_force"][new] = np.where(
        flow["ioc"][new] == 1, types_pb2.TIME_IN_FORCE_IOC, types_pb2.TIME_IN_FORCE_GTC
    )
    rows["price_ticks"][new | modify] = flow["price_ticks"][new | modify]
    rows["quantity_lots"][new | modify] = flow["quantity"][new | modify]
    rows["request_id"][modify] = np.flatnonzero(modify) + 1
    return rows


def last_new(flow: Flow) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Row of the last `new` of each row's order, -1 if there was none."""
    rows: dict[int, int] = {}
    found = np.empty(len(flow["type"]), np.int64)
    for row, (kind, order) in enumerate(zip(flow["type"].tolist(), flow["order_id"].tolist(), strict=True)):
        if kind == NEW:
            rows[order] = row
        found[row] = rows.get(order, -1)
    return found


def ready_core() -> Core:
    """A venue with one instrument, fees, and a thousand accounts with ample cash and shares."""
    core = Core(CoreSettings())
    for address, size in core.filled_by_orders():
        populate(address, size)  # as a pod does when it starts
    rules = np.zeros(1, INSTRUMENT)
    for name in ("instrument_id", "tick_value", "board_lot", "odd_lot_rule", "settlement", "trading_state"):
        rules[name] = 1
    rules["reference_price_ticks"] = START_PRICE
    rules["max_price_ticks"] = rules["max_order_lots"] = 1 << 29
    rules["maker_fee_ppm"], rules["taker_fee_ppm"], rules["stamp_duty_ppm"] = 100, 300, 500
    deposits = np.zeros(2 * ACCOUNTS, COMMAND)
    deposits["kind"] = np.repeat(
        [log_pb2.COMMAND_KIND_DEPOSIT_CASH, log_pb2.COMMAND_KIND_DEPOSIT_SHARES], ACCOUNTS
    )
    deposits["account_id"] = np.tile(np.arange(1, ACCOUNTS + 1), 2)
    deposits["instrument_id"][ACCOUNTS:] = 1
    deposits["request_id"] = np.arange(1, 2 * ACCOUNTS + 1)
    deposits["create_time_ns"] = TIME_NS
    deposits["amount_micros"][:ACCOUNTS] = 10**15
    deposits["quantity_lots"][ACCOUNTS:] = 10**12
    core.apply(deposits, TIME_NS, rules)
    return core


def frames_of(commands: Rows, size: int) -> list[Rows]:
    """Commands cut into frames."""
    return [commands[start : start + size] for start in range(0, len(commands), size)]


def report_hash(flow: Flow, frame: int = 256) -> str:
    """SHA-256 of what the core reports of a flow, by the rule of the flow's consensus."""
    lines = sorted(report_lines(flow, frame), key=lambda line: line[:2])
    return hashlib.sha256("\n".join(text for _, _, text in lines).encode()).hexdigest()


def report_lines(flow: Flow, frame: int) -> Iterator[tuple[int, int, str]]:
    """(sequence, type of report, line), in the order of events."""
    core = ready_core()
    orders, sent = flow["order_id"].tolist(), flow["quantity"].tolist()
    commands = commands_of(flow)
    names = ["kind", "command_index", "client_order_id", "side", "price_ticks", "quantity_lots"]
    for start, rows in zip(range(0, len(commands), frame), frames_of(commands, frame), strict=True):
        events = core.apply(rows, TIME_NS)
        makers = events["counter_client_order_id"].tolist()
        for maker, *values in zip(makers, *(events[name].tolist() for name in names), strict=True):
            kind, index, client, side, price, quantity = values
            row = start + index
            order = orders[row]
            if kind == log_pb2.EVENT_KIND_ACCEPTED:
                yield row, 0, f"0,{row},{side - 1},{order},{price},{quantity}"
            elif kind == log_pb2.EVENT_KIND_TRADE:
                yield row, 1, f"1,{row},{price},{quantity},{orders[maker - 1]},{orders[client - 1]}"
            elif kind == log_pb2.EVENT_KIND_CANCELLED:
                yield row, 2, f"2,{row},{side - 1},{order},{price}"
            elif kind == log_pb2.EVENT_KIND_AMENDED:
                yield row, 3, f"3,{row},{side - 1},{order},{price},{sent[row]}"
            elif kind == log_pb2.EVENT_KIND_CANCEL_REJECTED:
                yield row, 4, f"4,{row},{order}"
            elif kind == log_pb2.EVENT_KIND_AMEND_REJECTED:
                yield row, 5, f"5,{row},{order}"
            else:
                raise AssertionError(f"an event of kind {kind} in row {row}: the flow is not as it should be")
