"""Queries over gRPC on a real database: right, paged while rows arrive, and nobody sees another's orders."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from matching import marketdata
from matching.history.queries import FillFilter, OrderFilter
from plain_history import PlainHistory
from readside import CURRENCIES, ModelMarket
from smartex.matching.v1.account_pb2 import ListLedgerEntriesRequest
from smartex.matching.v1.market_data_pb2 import ListCandlesRequest, ListTradesRequest
from smartex.matching.v1.order_query_pb2 import GetOrderRequest, ListFillsRequest, ListOrdersRequest
from smartex_chassis import InvalidInput, PermissionDenied, Principal, call
from smartex_chassis.pages import make_token

ACCOUNTS = (1, 2, 3)


@pytest.fixture
async def market(place: Any, served: Any) -> Any:
    """A market whose events go to the bus and to the feed, half of them now."""
    flow = ModelMarket(71, 1)
    past = place.history(flow)
    data = marketdata.build(market=lambda: flow, instruments=flow, past=past.past)
    await served.start(past, data)
    appender = place.bus.appender(place.topic)

    class Running:
        def __init__(self) -> None:
            self.flow, self.past, self.plain = flow, past, PlainHistory()
            self.frames = list(enumerate(flow.frames(1500)))

        async def go(self, share: float) -> None:
            count = int(len(self.frames) * share)
            now, self.frames = self.frames[:count], self.frames[count:]
            for at in range(0, len(now), 20):
                records = []
                for number, (first, time_ns, events) in now[at : at + 20]:
                    if len(events):
                        self.plain.apply(first, time_ns, events)
                        data.on_applied(number, first, time_ns, events)
                        records.append(place.record(first, time_ns, events, number))
                if records:
                    await appender.append(*records)

        async def settle(self) -> None:
            await place.reached(data.feed.sequence)

    return Running()


async def _pages(caller: Any, name: str, request: Any, rows: str) -> list[Any]:
    found: list[Any] = []
    while True:
        answer = await caller.ask(name, request)
        found += getattr(answer, rows)
        if not answer.next_page_token:
            return found
        request.page_token = answer.next_page_token


async def test_everybody_sees_all_of_their_own_and_nothing_else(market: Any, served: Any) -> None:
    await market.go(1.0)
    await market.settle()
    for account in ACCOUNTS:
        caller = await served.caller(account)
        expected = [order for order in market.plain.all() if order.account_id == account]
        orders = await _pages(caller, "ListOrders", ListOrdersRequest(page_size=7), "orders")
        assert [order.sequence for order in orders] == [order.sequence for order in expected]
        for order, plain in zip(orders, expected, strict=True):
            assert (order.status, order.reason, order.leaves_lots, order.executed_lots) == (
                plain.status,
                plain.reason,
                plain.leaves_lots,
                plain.executed_lots,
            )
        fills = await _pages(caller, "ListFills", ListFillsRequest(page_size=3), "fills")
        own = sorted(
            (fill for fill in market.plain.fills if fill[0] == account), key=lambda fill: (-fill[1], -fill[2])
        )
        assert [
            (fill.trade_id, fill.liquidity, fill.order_id, fill.side, fill.quantity_lots) for fill in fills
        ] == [fill[1:6] for fill in own]
        assert own


async def test_an_order_of_another_answers_like_one_that_is_not(market: Any, served: Any) -> None:
    await market.go(1.0)
    await market.settle()
    order = next(order for order in market.plain.all() if order.account_id == 1 and order.order_id)
    mine, other = await served.caller(1), await served.caller(2)
    answer = await mine.ask("GetOrder", GetOrderRequest(order_id=order.order_id))
    assert answer.order.client_order_id == order.client_order_id
    again = await mine.ask("GetOrder", GetOrderRequest(client_order_id=order.client_order_id))
    assert again.order.order_id != 0
    unknown = await other.refused("GetOrder", GetOrderRequest(order_id=2**62))
    assert unknown == ("NOT_FOUND", "ORDER_NOT_FOUND", [])
    assert await other.refused("GetOrder", GetOrderRequest(order_id=order.order_id)) == unknown


async def test_a_rejected_order_is_found_by_its_owners_number(market: Any, served: Any) -> None:
    await market.go(1.0)
    await market.settle()
    taken = {(order.account_id, order.client_order_id) for order in market.plain.orders.values()}
    rejected = next(
        order
        for order in market.plain.rejected
        if (order.account_id, order.client_order_id) not in taken and order.client_order_id > 0
    )
    caller = await served.caller(rejected.account_id)
    answer = await caller.ask("GetOrder", GetOrderRequest(client_order_id=rejected.client_order_id))
    assert (answer.order.order_id, answer.order.status) == (0, 5)
    assert answer.order.reason != 0


async def test_pages_neither_skip_nor_repeat_while_rows_arrive(market: Any, served: Any) -> None:
    await market.go(0.5)
    await market.settle()
    caller = await served.caller(1)
    known = [order.created_sequence for order in market.plain.all() if order.account_id == 1]
    arriving = asyncio.create_task(market.go(1.0))
    found = []
    request = ListOrdersRequest(page_size=5)
    while True:
        answer = await caller.ask("ListOrders", request)
        found += [
            (order.order_id, order.client_order_id, order.create_time.ToNanoseconds())
            for order in answer.orders
        ]
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    await arriving
    assert len(set(found)) >= len(known)
    ids = [order_id for order_id, _, _ in found if order_id]
    assert len(set(ids)) == len(ids)
    own = [order.order_id for order in market.plain.all() if order.account_id == 1 and order.order_id]
    assert [order_id for order_id in own if order_id in set(ids)] == ids
    assert ids[-1] == own[-1]


def orders_request(**fields: Any) -> ListOrdersRequest:
    """Numbers for enums too."""
    return ListOrdersRequest(**fields)


FILTERS: list[tuple[ListOrdersRequest, Any]] = [
    (orders_request(statuses=[1, 2]), lambda order: order.status in (1, 2)),
    (orders_request(statuses=[5]), lambda order: order.status == 5),
    (orders_request(side=2), lambda order: order.side == 2),
    (
        orders_request(instrument_id=1, statuses=[3]),
        lambda order: order.instrument_id == 1 and order.status == 3,
    ),
    (orders_request(instrument_id=2**32 - 1), lambda order: order.instrument_id == 2**32 - 1),
]


async def test_filters(market: Any, served: Any) -> None:
    await market.go(1.0)
    await market.settle()
    caller = await served.caller(2)
    for wanted, fits in FILTERS:
        expected = [order for order in market.plain.all() if order.account_id == 2 and fits(order)]
        request = ListOrdersRequest(page_size=4)
        request.MergeFrom(wanted)
        found = await _pages(caller, "ListOrders", request, "orders")
        assert [order.sequence for order in found] == [order.sequence for order in expected], wanted


async def test_min_sequence_waits_for_the_history_and_then_gives_up(market: Any, served: Any) -> None:
    await market.go(0.5)
    await market.settle()
    caller = await served.caller(1)
    aim = market.past.queries
    ahead = await aim.position() + 1
    asking = asyncio.create_task(caller.ask("ListOrders", ListOrdersRequest(min_sequence=ahead)))
    await asyncio.sleep(0.05)
    assert not asking.done()
    await market.go(1.0)
    assert (await asking).sequence >= ahead
    refused = await caller.refused("GetOrder", GetOrderRequest(order_id=1, min_sequence=2**62))
    assert refused == ("UNAVAILABLE", "HISTORY_BEHIND", [])


WRONG: list[tuple[str, Any, str]] = [
    ("GetOrder", GetOrderRequest(), "order_id"),
    ("GetOrder", GetOrderRequest(order_id=1, client_order_id=1), "order_id"),
    ("GetOrder", GetOrderRequest(order_id=-1), "order_id"),
    ("GetOrder", GetOrderRequest(client_order_id=-(2**63)), "client_order_id"),
    ("GetOrder", GetOrderRequest(order_id=1, min_sequence=-1), "min_sequence"),
    ("ListOrders", ListOrdersRequest(side=3), "side"),  # type: ignore[arg-type]
    ("ListOrders", ListOrdersRequest(statuses=[1, 0]), "statuses[1]"),  # type: ignore[list-item]
    ("ListOrders", ListOrdersRequest(statuses=[99]), "statuses[0]"),  # type: ignore[list-item]
    ("ListOrders", ListOrdersRequest(statuses=[1] * 33), "statuses"),  # type: ignore[list-item]
    ("ListOrders", ListOrdersRequest(page_size=-1), "page_size"),
    ("ListOrders", ListOrdersRequest(page_size=1001), "page_size"),
    ("ListOrders", ListOrdersRequest(page_token="x"), "page_token"),
    ("ListFills", ListFillsRequest(order_id=-1), "order_id"),
    ("ListFills", ListFillsRequest(page_token="AAAA"), "page_token"),
    ("ListTrades", ListTradesRequest(), "instrument_id"),
    ("ListCandles", ListCandlesRequest(instrument_id=1), "interval_seconds"),
    ("ListCandles", ListCandlesRequest(instrument_id=1, interval_seconds=2), "interval_seconds"),
]


async def test_wrong_requests_name_the_field(market: Any, served: Any) -> None:
    await market.go(0.2)
    caller = await served.caller(1)
    for name, request, field in WRONG:
        refused = await caller.refused(name, request)
        assert refused == ("INVALID_ARGUMENT", "INVALID_INPUT", [field]), request


async def test_tokens_hold_for_their_account_and_filters_only(market: Any, served: Any) -> None:
    await market.go(1.0)
    await market.settle()
    mine, other = await served.caller(1), await served.caller(2)
    token = (await mine.ask("ListOrders", ListOrdersRequest(page_size=1))).next_page_token
    wrong = ("INVALID_ARGUMENT", "INVALID_INPUT", ["page_token"])
    assert await other.refused("ListOrders", ListOrdersRequest(page_size=1, page_token=token)) == wrong
    assert await mine.refused("ListOrders", orders_request(side=1, page_token=token)) == wrong
    assert await mine.refused("ListFills", ListFillsRequest(page_token=token)) == wrong
    assert await other.refused("ListTrades", ListTradesRequest(instrument_id=1, page_token=token)) == wrong


@pytest.mark.parametrize("second", [-(2**63), -1, 25, 2**31, 2**63 - 1])
async def test_a_made_up_key_is_a_wrong_page_token(market: Any, served: Any, second: int) -> None:
    await market.go(0.2)
    caller = await served.caller(1)
    token = make_token(("fills", 1, FillFilter()), 1, second)
    refused = await caller.refused("ListFills", ListFillsRequest(page_token=token))
    assert refused == ("INVALID_ARGUMENT", "INVALID_INPUT", ["page_token"])
    with pytest.raises(InvalidInput) as caught:
        await _ledger(market, 1, 1, page_token=make_token(("ledger", 1, "", 0), 1, second))
    assert caught.value.field_violations[0].field == "page_token"


@pytest.mark.parametrize("first", [-(2**63), -1, 0, 2**63 - 1])
async def test_any_sequence_in_a_key_gives_a_page(market: Any, served: Any, first: int) -> None:
    await market.go(0.2)
    await market.settle()
    caller = await served.caller(1)
    await caller.ask(
        "ListOrders", ListOrdersRequest(page_token=make_token(("orders", 1, OrderFilter()), first))
    )
    await caller.ask(
        "ListFills", ListFillsRequest(page_token=make_token(("fills", 1, FillFilter()), first, 2))
    )
    await caller.ask(
        "ListTrades", ListTradesRequest(instrument_id=1, page_token=make_token(("trades", 1), first))
    )
    await _ledger(market, 1, 1, page_token=make_token(("ledger", 1, "", 0), first, 24))


async def test_lists_of_trades_and_candles_are_complete_wherever_the_history_stands(
    market: Any, served: Any
) -> None:
    """Rows that are not yet in the tables come from the feed."""
    await market.go(0.6)
    caller = await served.caller(1)
    for _ in range(3):
        trades = await _pages(caller, "ListTrades", ListTradesRequest(instrument_id=1, page_size=6), "trades")
        ids = [fill[1] for fill in market.plain.fills if fill[2] == 1]
        own = {order.order_id for order in market.plain.orders.values() if order.instrument_id == 1}
        expected = [fill[1] for fill in market.plain.fills if fill[2] == 1 and fill[3] in own]
        assert [trade.trade_id for trade in trades] == expected[::-1]
        for seconds in (1, 60, 86_400):
            request = ListCandlesRequest(instrument_id=1, interval_seconds=seconds, page_size=2)
            candles = await _pages(caller, "ListCandles", request, "candles")
            assert sum(candle.trade_count for candle in candles) == len(expected)
            starts = [candle.start_time.ToNanoseconds() for candle in candles]
            assert starts == sorted(set(starts), reverse=True)
        assert len(ids) >= len(expected) > 0
        await market.go(0.5)


async def test_the_ledger_tells_every_movement_of_cash_and_shares(market: Any) -> None:
    await market.go(1.0)
    await market.settle()
    for account in ACCOUNTS:
        found = await _ledger(market, account, account, page_size=7)
        expected = sorted(
            (entry for entry in market.plain.ledger if entry[0] == account), key=lambda entry: -entry[1]
        )
        assert sorted((entry.sequence, entry.kind, entry.quantity_lots) for entry in found) == sorted(
            (sequence, kind, lots) for _, sequence, kind, _, lots, _ in expected
        )
        assert [entry.sequence for entry in found] == [entry[1] for entry in expected]
        for code in CURRENCIES[:2]:
            cash = await _ledger(market, account, account, page_size=5, currency_code=code)
            assert cash == [entry for entry in found if entry.cash.currency_code == code]


async def test_the_ledger_adds_up_to_the_balances(market: Any) -> None:
    await market.go(1.0)
    await market.settle()
    for account in ACCOUNTS:
        found = await _ledger(market, account, account)
        for number, code in enumerate(CURRENCIES[:2]):
            moved = sum(Decimal(entry.cash.amount) for entry in found if entry.cash.currency_code == code)
            assert moved * 1_000_000 == market.flow.flow.market.cash_of(account, number).total
        for instrument in market.flow.all():
            lots = sum(
                entry.quantity_lots for entry in found if entry.instrument_id == instrument.instrument_id
            )
            holding = market.flow.flow.market.holding_of(account, instrument.instrument_id)
            assert lots == holding.total


async def test_an_operator_sees_any_ledger_and_an_investor_only_their_own(market: Any) -> None:
    await market.go(1.0)
    await market.settle()
    operator = frozenset(("operate", "read"))
    assert await _ledger(market, None, 2, scopes=operator) == await _ledger(market, 2, 2)
    with pytest.raises(PermissionDenied):
        await _ledger(market, 1, 2)


async def _ledger(
    market: Any,
    caller: int | None,
    account: int,
    scopes: frozenset[str] = frozenset(("read",)),
    **fields: Any,
) -> list[Any]:
    """Every entry, asked for as that caller."""
    api, found = market.past.api, []
    request = ListLedgerEntriesRequest(account_id=account, **fields)
    loop = asyncio.get_running_loop()
    serving = call.Call("/test", asyncio.current_task(), asyncio.Event())  # type: ignore[arg-type]
    serving.principal = Principal("tester", caller, scopes, loop.time() + 60)
    call.set_current(serving)
    while True:
        answer = await api.list_ledger_entries(request, None)
        found += answer.entries
        if not answer.next_page_token:
            return found
        request.page_token = answer.next_page_token
