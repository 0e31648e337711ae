"""The client against the real service: trade, amend, cancel, look back."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
import smartex_client
from smartex_client import InsufficientFunds, NotFound, OffTick, OrderRejected

Exchange = Any


async def test_five_lines_trade(exchange: Exchange) -> None:
    symbol, alice, bob = await exchange.opened()
    async with exchange.client(alice) as seller:
        resting = await seller.sell(symbol, 100, "10.50")
    assert (resting.status, resting.open_quantity, resting.tif) == ("open", 100, "gtc")

    async with exchange.client(bob) as market:
        order = await market.buy(symbol, quantity=Decimal(60), price=Decimal("10.51"))
    assert order.status == "filled"
    assert [(fill.price, fill.quantity, fill.liquidity) for fill in order.fills] == [
        (Decimal("10.50"), 60, "taker")
    ]
    assert order.value == Decimal("630.00")


async def test_plain_code_trades(exchange: Exchange) -> None:
    symbol, alice, _ = await exchange.opened()
    token = exchange.token(alice)

    def plain() -> None:
        with smartex_client.connect_sync(exchange.url, token=token) as market:
            order = market.buy(symbol, 10, "9.00")
            assert order.status == "open"
            changed = market.amend(order.order_id, quantity=5)
            assert (changed.quantity, changed.kept_priority) == (Decimal(5), True)
            assert market.cancel(order.order_id).status == "cancelled"
            found = market.get_order(order.order_id, min_sequence=changed.sequence)
            assert found.client_order_id == order.client_order_id
            assert [each.symbol for each in market.orders(symbol, min_sequence=changed.sequence)] == [symbol]
            assert market.account().open_orders == 0

    await asyncio.to_thread(plain)


async def test_a_repeated_id_returns_the_order_as_it_stands(exchange: Exchange) -> None:
    symbol, alice, bob = await exchange.opened()
    async with exchange.client(alice) as seller, exchange.client(bob) as market:
        first = await market.buy(symbol, 100, "10.00", client_order_id=77)
        sold = await seller.sell(symbol, 30, "10.00")
        again = await market.buy(symbol, 100, "10.00", client_order_id=77)
        assert again.repeated
        assert again.order_id == first.order_id
        assert sold.filled_quantity == 30
        fills = [fill async for fill in market.fills(symbol, min_sequence=sold.sequence)]
        assert [(fill.quantity, fill.liquidity) for fill in fills] == [(30, "maker")]
        found = await market.get_order(client_order_id=77, min_sequence=sold.sequence)
        assert (found.status, found.filled_quantity) == ("partially_filled", 30)


async def test_rejections_say_the_numbers_in_both_languages(exchange: Exchange) -> None:
    symbol, alice, _ = await exchange.opened(cash="1000")
    async with exchange.client(alice) as market:
        with pytest.raises(InsufficientFunds, match=r"needs 1,234\.00 CNY, free 1,000\.00") as found:
            await market.buy(symbol, 100, "12.34")
        assert (found.value.required, found.value.available) == (Decimal("1234.00"), Decimal("1000.00"))
        with pytest.raises(OffTick, match=r"10\.01 and 10\.02"):
            await market.buy(symbol, 100, "10.015")
        with pytest.raises(OrderRejected) as unknown:
            await market.cancel(12345)
        assert unknown.value.reason == "UNKNOWN_ORDER"
        with pytest.raises(NotFound):
            await market.get_order(client_order_id=999)
        with pytest.raises(NotFound, match="instrument list"):
            await market.buy("NOSUCH", 1, 1)
    async with exchange.client(alice, lang="zh-CN") as market:
        with pytest.raises(InsufficientFunds, match=r"需要 1,234\.00 CNY，可用 1,000\.00"):
            await market.buy(symbol, 100, "12.34")


async def test_an_operator_runs_the_venue(exchange: Exchange) -> None:
    symbol, alice, _ = await exchange.opened()
    async with exchange.client(None, "operate", "read") as market:
        await market.venue.halt(symbol)
        async with exchange.client(alice) as trader:
            with pytest.raises(OrderRejected, match="halted"):
                await trader.buy(symbol, 1, 1)
        await market.venue.open(symbol)
        await market.venue.withdraw(alice, "0.50", "CNY")
        with pytest.raises(smartex_client.FailedPrecondition) as refused:
            await market.venue.withdraw(alice, "99999999", "CNY")
        assert refused.value.reason == "INSUFFICIENT_FUNDS"
        account = await market.account(alice)
        assert account.cash[0].free == Decimal("999999.50")
        done = await market.venue.status()
        entries = [each async for each in market.ledger(alice, min_sequence=account.sequence)]
        assert [each.kind for each in entries] == ["withdrawal", "deposit", "deposit"]
        assert done.bus == "postgresql"
        assert (await market.venue.state_hash()).agree
