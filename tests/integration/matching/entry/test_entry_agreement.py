"""After a random session every list and every stream tells the same story, to the lot and to the micro."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from agreement import (
    COIN,
    CURRENCIES,
    REFERENCE,
    RULES,
    SHARE,
    check_candles,
    check_holds,
    check_ledger,
    check_market,
    check_orders,
    listed_fill,
    told_fill,
)
from smartex.matching.v1 import (
    account_pb2,
    log_pb2,
    market_data_pb2,
    order_entry_pb2,
    order_query_pb2,
    venue_pb2,
)
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1.market_data_pb2_grpc import MarketDataServiceStub
from smartex.matching.v1.order_query_pb2_grpc import OrderQueryServiceStub
from waiting import until

EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]
ACCOUNTS = (1, 2, 3, 4)
PLACE, AMEND, REPLACE = (
    log_pb2.COMMAND_KIND_PLACE,
    log_pb2.COMMAND_KIND_AMEND,
    log_pb2.COMMAND_KIND_REPLACE,
)


@dataclass
class Person:
    """One account: what it did, and what its stream told."""

    client: Any
    stream: Any = None
    reports: list[types.Report] = field(default_factory=list)

    async def listen(self) -> None:
        while (answer := await self.stream.read()) is not EOF:
            self.reports += answer.reports

    def command(self, choose: random.Random) -> order_entry_pb2.OrderCommand:
        """A new order, or a change of any that it ever placed."""
        kind = choose.choices((PLACE, log_pb2.COMMAND_KIND_CANCEL, AMEND, REPLACE), (16, 2, 3, 1))[0]
        instrument = choose.choice((1, 2))
        lots = choose.choice((100, 100, 200, 300, 137, 50)) if instrument == 1 else choose.randint(1, 90)
        command = order_entry_pb2.OrderCommand(
            kind=kind,
            instrument_id=instrument,
            client_order_id=next(self.client.ids) if choose.random() < 0.95 else choose.randint(1, 20),
            price_ticks=REFERENCE + choose.randint(-8, 8),
            quantity_lots=lots,
            create_time_ns=time.time_ns(),
        )
        if kind != PLACE:
            command.client_order_id = choose.randint(1, command.client_order_id)
            command.request_id = next(self.client.ids)
            return command
        command.side = choose.choice((types.SIDE_BUY, types.SIDE_SELL))
        command.order_type = types.ORDER_TYPE_LIMIT
        command.time_in_force = choose.choice(types.TimeInForce.values()[1:])
        command.self_trade_prevention = choose.choice(types.SelfTradePrevention.values())
        if command.time_in_force == types.TIME_IN_FORCE_GTD:
            command.expire_time_ns = time.time_ns() + choose.choice((3_600, 1)) * 10**9
        if command.time_in_force == types.TIME_IN_FORCE_IOC and choose.random() < 0.5:
            command.order_type, command.price_ticks = types.ORDER_TYPE_MARKET, 0
        if command.time_in_force == types.TIME_IN_FORCE_GTC:
            command.post_only = choose.choice(types.PostOnly.values())
        return command


@dataclass
class Story:
    """A session that is over: who took part, and how to ask about it."""

    running: Any
    operator: Any
    people: dict[int, Person]
    last: int
    """The market's last sequence."""
    day_began: int
    """The sequence at which the last trading day began."""

    async def _pages(self, method: Any, client: Any, request: Any, rows: str) -> list[Any]:
        found: list[Any] = []
        while True:
            answer = await method(request, metadata=client.metadata, timeout=60)
            found += getattr(answer, rows)
            if not answer.next_page_token:
                return found
            request.page_token = answer.next_page_token

    async def orders(self, account: int) -> list[types.Order]:
        queries, client = OrderQueryServiceStub(self.running.channel), self.people[account].client
        request = order_query_pb2.ListOrdersRequest(page_size=70, min_sequence=self.last)
        return await self._pages(queries.ListOrders, client, request, "orders")

    async def fills(self, account: int) -> list[types.Fill]:
        queries, client = OrderQueryServiceStub(self.running.channel), self.people[account].client
        request = order_query_pb2.ListFillsRequest(page_size=70, min_sequence=self.last)
        return await self._pages(queries.ListFills, client, request, "fills")

    async def ledger(self, account: int) -> list[account_pb2.LedgerEntry]:
        request = account_pb2.ListLedgerEntriesRequest(
            account_id=account, page_size=70, min_sequence=self.last
        )
        return await self._pages(self.operator.account.ListLedgerEntries, self.operator, request, "entries")

    async def trades(self, instrument_id: int) -> list[market_data_pb2.Trade]:
        data = MarketDataServiceStub(self.running.channel)
        request = market_data_pb2.ListTradesRequest(instrument_id=instrument_id, page_size=70)
        return await self._pages(data.ListTrades, self.operator, request, "trades")

    async def candles(self, instrument_id: int, seconds: int) -> list[market_data_pb2.Candle]:
        data = MarketDataServiceStub(self.running.channel)
        request = market_data_pb2.ListCandlesRequest(
            instrument_id=instrument_id, interval_seconds=seconds, page_size=3
        )
        return await self._pages(data.ListCandles, self.operator, request, "candles")

    async def book(self, instrument_id: int) -> market_data_pb2.BookSnapshot:
        data = MarketDataServiceStub(self.running.channel)
        request = market_data_pb2.GetBookRequest(instrument_id=instrument_id, depth=1000, orders=True)
        answer: market_data_pb2.GetBookResponse = await data.GetBook(
            request, metadata=self.operator.metadata, timeout=60
        )
        return answer.book


async def set_up(operator: Any) -> None:
    for number, rules in enumerate((SHARE, COIN), start=1):
        request = venue_pb2.DefineInstrumentRequest(
            instrument=types.Instrument(**(RULES | rules)), request_id=number
        )
        await operator.venue.DefineInstrument(request, metadata=operator.metadata, timeout=60)
    assets: list[dict[str, Any]] = [
        {"cash": types.Money(currency_code="CNY", amount="300000")},
        {"cash": types.Money(currency_code="USD", amount="90.5")},
        {"shares": account_pb2.ShareAmount(instrument_id=1, quantity_lots=12_337)},
        {"shares": account_pb2.ShareAmount(instrument_id=2, quantity_lots=9_000)},
    ]
    for account in ACCOUNTS:
        for number, asset in enumerate(assets):
            deposit = account_pb2.DepositRequest(
                account_id=account, request_id=10 * account + number, **asset
            )
            deposit.create_time.GetCurrentTime()
            await operator.account.Deposit(deposit, metadata=operator.metadata, timeout=60)
    withdrawal = account_pb2.WithdrawRequest(
        account_id=1, request_id=99, cash=types.Money(currency_code="CNY", amount="0.000001")
    )
    withdrawal.create_time.GetCurrentTime()
    await operator.account.Withdraw(withdrawal, metadata=operator.metadata, timeout=60)


async def trade(people: Iterable[Person], choose: random.Random, rounds: int) -> None:
    """Each sends a batch a round: they meet in frames as it happens."""
    for _ in range(rounds):
        for person in people:
            commands = [person.command(choose) for _ in range(8)]
            await person.stream.write(order_entry_pb2.TradeRequest(commands=commands))


async def heard(person: Person, fits: Callable[[types.Report], bool]) -> None:
    """Wait until the stream told such a report."""
    await until(lambda: any(map(fits, person.reports)))


async def until_one_expired(person: Person) -> None:
    number = next(person.client.ids)
    await person.client.place(
        types.SIDE_BUY,
        REFERENCE // 2,
        1,
        instrument_id=2,
        client_order_id=number,
        time_in_force=types.TIME_IN_FORCE_GTD,
        expire_time_ns=time.time_ns() + 10**9,
    )
    await heard(
        person,
        lambda report: report.client_order_id == number and report.reason == types.REASON_EXPIRED,
    )


async def until_all_is_told(people: Iterable[Person]) -> None:
    """Behind a last command, whose outcome is told after all that the market did before."""
    mark = order_entry_pb2.OrderCommand(
        kind=log_pb2.COMMAND_KIND_CANCEL, client_order_id=2**60, request_id=2**60
    )
    for person in people:
        await person.stream.write(order_entry_pb2.TradeRequest(commands=[mark]))
    for person in people:
        await heard(person, lambda report: report.request_id == 2**60)
    for person in people:
        await person.stream.done_writing()


async def session(running: Any, seed: int) -> Story:
    """A day and a half of trading; in the end nothing moves any more."""
    operator, choose = running.operator(), random.Random(seed)
    await set_up(operator)
    people = {account: Person(running.trader(account)) for account in ACCOUNTS}
    for person in people.values():
        person.stream = person.client.trade()
        await person.stream.write(order_entry_pb2.TradeRequest(open=order_entry_pb2.TradeOpen()))
        assert (await person.stream.read()).HasField("opened")
    listening = [asyncio.create_task(person.listen()) for person in people.values()]
    await trade(people.values(), choose, 12)
    await until_one_expired(people[1])
    roll = venue_pb2.RollTradingDayRequest(trading_day=1, request_id=3)
    rolled = await operator.venue.RollTradingDay(roll, metadata=operator.metadata, timeout=60)
    await trade(people.values(), choose, 12)
    await running.pod.ticker.stop()  # from here on no order expires
    cancel = venue_pb2.CancelOrdersRequest(account_id=4, instrument_id=1, request_id=4)
    await operator.venue.CancelOrders(cancel, metadata=operator.metadata, timeout=60)
    await until_all_is_told(people.values())
    async with asyncio.timeout(60):
        await asyncio.gather(*listening)
    last = (await operator.status()).sequence
    return Story(running, operator, people, last, rolled.sequence)


async def check_resumed(story: Story, person: Person) -> None:
    """A stream that resumes tells again what the first one told, and nothing else."""
    seen = person.reports[len(person.reports) // 3].sequence
    expected = [report for report in person.reports if report.sequence > seen]
    stream = person.client.trade()
    await stream.write(order_entry_pb2.TradeRequest(open=order_entry_pb2.TradeOpen(resume_sequence=seen)))
    assert (await stream.read()).opened.sequence == story.last
    again: list[types.Report] = []
    async with asyncio.timeout(60):
        while len(again) < len(expected):
            again += (await stream.read()).reports
    assert again == expected
    stream.cancel()


@pytest.mark.parametrize("engine", [{}])
async def test_every_list_and_stream_tells_the_same(venue: Any) -> None:
    async with venue.pod(kept_events=100) as running:
        story = await session(running, 23)
        orders = {account: await story.orders(account) for account in ACCOUNTS}
        fills = {account: await story.fills(account) for account in ACCOUNTS}
        for account, person in story.people.items():
            balances = await person.client.get_account()
            told = [told_fill(each) for each in person.reports if each.kind == types.REPORT_KIND_FILLED]
            assert sorted(told) == sorted(map(listed_fill, fills[account]))
            check_orders(orders[account], fills[account], person.reports)
            check_ledger(await story.ledger(account), fills[account], balances)
            check_holds(balances, orders[account], fills[account], story.day_began)
            await check_resumed(story, person)
        everybodys = [fill for account in ACCOUNTS for fill in fills[account]]
        all_orders = [order for account in ACCOUNTS for order in orders[account]]
        assert len(everybodys) > 50
        for instrument_id in CURRENCIES:
            trades, book = await story.trades(instrument_id), await story.book(instrument_id)
            check_market(instrument_id, trades, book, everybodys, all_orders)
            for seconds in (1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400):
                check_candles(await story.candles(instrument_id, seconds), trades, seconds)
