"""The history as one would write it by hand: event by event, into dicts."""

from dataclasses import dataclass, field

from matching.sources import Rows

ACCEPTED, REJECTED, TRADE, CANCELLED, AMENDED, REDUCED = 1, 2, 3, 4, 5, 9
OPEN, PARTIALLY_FILLED, FILLED, WAS_CANCELLED, WAS_REJECTED = 1, 2, 3, 4, 5
SELL = 2


@dataclass
class PlainOrder:
    created_sequence: int
    order_id: int
    client_order_id: int
    account_id: int
    instrument_id: int
    side: int
    price_ticks: int
    quantity_lots: int
    leaves_lots: int = 0
    executed_lots: int = 0
    executed_value: int = 0
    fees_micros: int = 0
    status: int = OPEN
    reason: int = 0
    sequence: int = 0
    create_time_ns: int = 0
    update_time_ns: int = 0


@dataclass
class PlainHistory:
    orders: dict[int, PlainOrder] = field(default_factory=dict)
    rejected: list[PlainOrder] = field(default_factory=list)
    fills: list[tuple[int, ...]] = field(default_factory=list)
    ledger: list[tuple[int, ...]] = field(default_factory=list)

    def apply(self, first: int, time_ns: int, events: Rows) -> None:
        for at, row in enumerate(events):
            event = {name: int(row[name]) for name in row.dtype.names or ()}
            self.step(first + at, time_ns, event)

    def step(self, sequence: int, time_ns: int, e: dict[str, int]) -> None:
        kind = e["kind"]
        if kind in (ACCEPTED, REJECTED):
            order = PlainOrder(
                sequence,
                e["order_id"] if kind == ACCEPTED else 0,
                e["client_order_id"],
                e["account_id"],
                e["instrument_id"],
                e["side"],
                e["price_ticks"],
                e["quantity_lots"],
                e["leaves_lots"],
                sequence=sequence,
                create_time_ns=time_ns,
                update_time_ns=time_ns,
            )
            if kind == ACCEPTED:
                self.orders[order.order_id] = order
            else:
                order.status, order.reason = WAS_REJECTED, e["reason"]
                self.rejected.append(order)
        elif kind == TRADE:
            buys = e["side"] != SELL
            for role, order_id, leaves, fee, buyer in (
                (2, e["order_id"], e["leaves_lots"], e["fee_micros"], buys),
                (1, e["counter_order_id"], e["counter_leaves_lots"], e["counter_fee_micros"], not buys),
            ):
                self.fill(sequence, time_ns, e, self.orders[order_id], role, leaves, fee, buyer)
        elif kind in (CANCELLED, AMENDED, REDUCED):
            order = self.orders[e["order_id"]]
            order.leaves_lots = e["leaves_lots"]
            if kind == AMENDED:
                order.price_ticks, order.quantity_lots = e["price_ticks"], e["quantity_lots"]
            if kind == REDUCED:
                order.quantity_lots -= e["quantity_lots"]
            self.touch(order, sequence, time_ns)
            if kind == CANCELLED:
                order.status, order.reason = WAS_CANCELLED, e["reason"]
        elif 20 <= kind <= 23:
            sign = 1 if kind in (20, 22) else -1
            cash = sign * e["required"] if kind < 22 else 0
            lots = sign * e["quantity_lots"] if kind >= 22 else 0
            entry = 1 if sign > 0 else 2
            self.ledger.append((e["account_id"], sequence, entry, cash, lots, e["request_id"]))

    def fill(
        self,
        sequence: int,
        time_ns: int,
        e: dict[str, int],
        order: PlainOrder,
        role: int,
        leaves: int,
        fee: int,
        buys: bool,
    ) -> None:
        lots, value = e["quantity_lots"], e["price_ticks"] * e["quantity_lots"]
        tax = 0 if buys else e["tax_micros"]
        order.executed_lots += lots
        order.executed_value += value
        order.fees_micros += fee + tax
        order.leaves_lots = leaves
        self.touch(order, sequence, time_ns)
        self.fills.append((order.account_id, sequence, role, order.order_id, order.side, lots, fee, tax))
        sign = 1 if buys else -1
        # Cash of trades is in ticks × lots here, as the tables have it.
        for entry, cash, moved in ((3, -sign * value, 0), (3, 0, sign * lots), (4, -fee, 0), (5, -tax, 0)):
            if cash or moved:
                self.ledger.append((order.account_id, sequence, entry, cash, moved, 0))

    def touch(self, order: PlainOrder, sequence: int, time_ns: int) -> None:
        order.sequence, order.update_time_ns = sequence, time_ns
        if order.leaves_lots:
            order.status = PARTIALLY_FILLED if order.executed_lots else OPEN
        else:
            order.status = FILLED

    def all(self) -> list[PlainOrder]:
        """Every order, newest first."""
        return sorted([*self.orders.values(), *self.rejected], key=lambda order: -order.created_sequence)
