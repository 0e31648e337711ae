"""What must be true after any fault: checked against the event log and the pods themselves."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import grpc
from pods import Pod
from smartex.matching.v1 import (
    account_pb2,
    account_pb2_grpc,
    log_pb2,
    market_data_pb2,
    market_data_pb2_grpc,
    venue_pb2,
    venue_pb2_grpc,
)
from smartex_bus import open_bus
from traders import CASH, INSTRUMENT, MICROS, SHARES, Trader

EVENTS = "matching.events.v1"


async def read_events(bus_url: str, until: int) -> list[log_pb2.Event]:
    """Events 1 to `until` of the log, repeats dropped. Fails on a gap, or if a repeat says something else."""
    events: list[log_pb2.Event] = []
    bus = await open_bus(bus_url)
    try:
        offset = 0
        while len(events) < until:
            records = await bus.read(EVENTS, 0, offset)
            if not records:
                await asyncio.sleep(0.1)
            for record in records:
                offset = record.offset + 1
                _take(events, log_pb2.EventBatch.FromString(record.value))
    finally:
        await bus.close()
    return events


def _take(events: list[log_pb2.Event], batch: log_pb2.EventBatch) -> None:
    assert batch.first_sequence <= len(events) + 1, f"gap before sequence {batch.first_sequence}"
    for sequence, event in enumerate(batch.events, batch.first_sequence):
        if sequence > len(events):
            events.append(event)
        else:
            assert events[sequence - 1] == event, f"sequence {sequence} was published twice, differently"


def check_orders(events: Sequence[log_pb2.Event], traders: Sequence[Trader]) -> None:
    """Every acknowledged order is in the log once, under the id that was said; none is there twice."""
    accepted = Counter(
        (event.account_id, event.client_order_id)
        for event in events
        if event.kind == log_pb2.EVENT_KIND_ACCEPTED
    )
    assert max(accepted.values()) == 1
    ids = {
        (event.account_id, event.client_order_id): event.order_id
        for event in events
        if event.kind == log_pb2.EVENT_KIND_ACCEPTED
    }
    for trader in traders:
        for client_order_id, order_id in trader.acknowledged.items():
            assert ids.get((trader.account_id, client_order_id)) == order_id
        for client_order_id in trader.refused:
            assert (trader.account_id, client_order_id) not in ids


@dataclass
class Balances:
    """Cash in micros and lots by account, folded from events."""

    cash: Counter[int] = field(default_factory=Counter)
    lots: Counter[int] = field(default_factory=Counter)
    taken: int = 0
    """Fees and duties collected."""

    def fold(self, events: Sequence[log_pb2.Event]) -> None:
        """Apply events."""
        for event in events:
            if event.kind == log_pb2.EVENT_KIND_CASH_DEPOSITED:
                self.cash[event.account_id] += event.required
            elif event.kind == log_pb2.EVENT_KIND_SHARES_DEPOSITED:
                self.lots[event.account_id] += event.quantity_lots
            elif event.kind == log_pb2.EVENT_KIND_TRADE:
                self._trade(event)

    def _trade(self, event: log_pb2.Event) -> None:
        value = event.price_ticks * event.quantity_lots * (MICROS // 100)
        taker_buys = event.side == 1
        buyer, seller = event.account_id, event.counter_account_id
        buyer_fee, seller_fee = event.fee_micros, event.counter_fee_micros
        if not taker_buys:
            buyer, seller, buyer_fee, seller_fee = seller, buyer, seller_fee, buyer_fee
        self.cash[buyer] -= value + buyer_fee
        self.cash[seller] += value - seller_fee - event.tax_micros
        self.lots[buyer] += event.quantity_lots
        self.lots[seller] -= event.quantity_lots
        self.taken += buyer_fee + seller_fee + event.tax_micros


async def check_balances(events: Sequence[log_pb2.Event], pod: Pod, accounts: Sequence[int]) -> None:
    """Balances of the pod equal the fold of the events, and money and shares are conserved."""
    folded = Balances()
    folded.fold(events)
    assert sum(folded.cash.values()) + folded.taken == len(accounts) * CASH * MICROS
    assert sum(folded.lots.values()) == len(accounts) * SHARES
    service = account_pb2_grpc.AccountServiceStub(pod.channel)
    for account in accounts:
        answer = await service.GetAccount(
            account_pb2.GetAccountRequest(account_id=account), metadata=pod.operator(), timeout=60
        )
        assert Decimal(answer.cash[0].total.amount) * MICROS == folded.cash[account]
        assert answer.holdings[0].total_lots == folded.lots[account]


async def check_hashes(pods: Sequence[Pod]) -> None:
    """All pods have the same hash at the same place of the log."""
    first, *others = pods
    hashed = await _hash(first, 0)
    for pod in others:
        assert (await _hash(pod, hashed.offset)).state_hash == hashed.state_hash


async def _hash(pod: Pod, offset: int) -> venue_pb2.GetStateHashResponse:
    stub = venue_pb2_grpc.VenueServiceStub(pod.channel)
    for _ in range(600):
        try:
            answer: venue_pb2.GetStateHashResponse = await stub.GetStateHash(
                venue_pb2.GetStateHashRequest(offset=offset), metadata=pod.operator(), timeout=60
            )
        except grpc.aio.AioRpcError as failure:
            if failure.code() not in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE):
                raise
            await asyncio.sleep(0.1)
        else:
            return answer
    raise TimeoutError(f"{pod.name} does not reach offset {offset}")


class TradeWatcher:
    """A subscriber that goes from pod to pod, resumes by sequence, and keeps every trade it saw."""

    def __init__(self, pods: Sequence[Pod]) -> None:
        self._pods = pods
        self.trades: list[int] = []
        """Numbers of the trades, in the order in which they came."""
        self.last = 0
        self.restarts: list[tuple[str, int, int]] = []
        """Snapshots sent where trades were asked for: the pod, the sequence asked for, and the snapshot's."""

    async def watch(self) -> None:
        """Follow until cancelled."""
        turn = 0
        while True:
            pod, turn = self._pods[turn % len(self._pods)], turn + 1
            try:
                async for message in self._subscribe(pod):
                    self._take(pod, message)
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.1)

    async def _subscribe(self, pod: Pod) -> AsyncIterator[market_data_pb2.SubscribeResponse]:
        request = market_data_pb2.SubscribeRequest(
            instrument_ids=[INSTRUMENT], channel=market_data_pb2.CHANNEL_TRADES, resume_sequence=self.last
        )
        stub = market_data_pb2_grpc.MarketDataServiceStub(pod.channel)
        async for message in stub.Subscribe(request, metadata=pod.metadata("read", account_id=1)):
            yield message

    def _take(self, pod: Pod, message: market_data_pb2.SubscribeResponse) -> None:
        if message.HasField("snapshot"):
            self.restarts.append((pod.name, self.last, message.snapshot.sequence))
            self.last = max(self.last, message.snapshot.sequence)
        for trade in message.trades.trades:
            if trade.trade_id > self.last:
                self.trades.append(trade.trade_id)
                self.last = trade.trade_id


def check_trades(events: Sequence[log_pb2.Event], watcher: TradeWatcher) -> None:
    """The watcher saw every trade from its first to its last, once, in order."""
    assert watcher.trades
    first, last = watcher.trades[0], watcher.trades[-1]
    expected = [
        sequence
        for sequence, event in enumerate(events, 1)
        if event.kind == log_pb2.EVENT_KIND_TRADE and first <= sequence <= last
    ]
    missed = sorted(set(expected) - set(watcher.trades))
    assert not missed, (
        f"missed {len(missed)} of {len(expected)}, the first {missed[:3]}; restarts {watcher.restarts}"
    )
    assert watcher.trades == expected
