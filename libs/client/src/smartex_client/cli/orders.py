"""smartex order …"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.text import Text

from smartex_client import model
from smartex_client.errors import InvalidInput, SmartexError
from smartex_client.market import Market
from smartex_client.orders import NewOrder

from .output import clock, facts, number, table
from .session import Session, exit_code, session_of
from .times import from_now, moment_of, seconds_of

app = typer.Typer(no_args_is_help=True, help="Place, change, cancel and look up orders.")

_PATIENCE = 2.0
"""Seconds that the history gets to tell what had traded of an order."""

Symbol = Annotated[str, typer.Argument(help="symbol of the instrument, e.g. 609018.SH")]
Quantity = Annotated[str, typer.Argument(help="how much, in units (shares, coins)")]
Terms = Annotated[
    list[str] | None, typer.Argument(metavar="[@ PRICE]", help="limit price; left out: a market order")
]
Price = Annotated[str | None, typer.Option("--price", "-p", help="limit price, the same as `@ PRICE`")]
Tif = Annotated[str | None, typer.Option(help="gtc, day, gtd, ioc or fok; gtc with a price, else ioc")]
Post = Annotated[str | None, typer.Option("--post-only", help="reject or slide: never take")]
SelfTrade = Annotated[
    str | None,
    typer.Option(help="none, cancel-newest, cancel-oldest, cancel-both or decrement-and-cancel"),
]
Least = Annotated[str | None, typer.Option("--min-quantity", help="ioc: smallest quantity to trade at once")]
Expires = Annotated[str | None, typer.Option(help="gtd: when it ends, e.g. 30m or 2026-12-31T15:00+08:00")]
ClientId = Annotated[
    int | None, typer.Option("--client-id", min=1, help="your number of the order; repeating one is safe")
]


@app.command()
def buy(
    context: typer.Context,
    symbol: Symbol,
    quantity: Quantity,
    terms: Terms = None,
    price: Price = None,
    tif: Tif = None,
    post_only: Post = None,
    self_trade: SelfTrade = None,
    min_quantity: Least = None,
    expires: Expires = None,
    client_id: ClientId = None,
) -> None:
    """Buy: `smartex order buy ACME 100 @ 10.50`."""
    session = session_of(context)
    options = (tif, post_only, self_trade, min_quantity, expires, client_id)
    _place(session, "buy", symbol, quantity, terms, price, options)


@app.command()
def sell(
    context: typer.Context,
    symbol: Symbol,
    quantity: Quantity,
    terms: Terms = None,
    price: Price = None,
    tif: Tif = None,
    post_only: Post = None,
    self_trade: SelfTrade = None,
    min_quantity: Least = None,
    expires: Expires = None,
    client_id: ClientId = None,
) -> None:
    """Sell: `smartex order sell ACME 100 @ 10.50`."""
    session = session_of(context)
    options = (tif, post_only, self_trade, min_quantity, expires, client_id)
    _place(session, "sell", symbol, quantity, terms, price, options)


@app.command()
def cancel(
    context: typer.Context,
    order_ids: Annotated[list[int] | None, typer.Argument(help="numbers of the orders")] = None,
    client_id: ClientId = None,
    everything: Annotated[bool, typer.Option("--all", help="all open orders that match")] = False,
    symbol: Annotated[str | None, typer.Option(help="with --all: only of this instrument")] = None,
    side: Annotated[str | None, typer.Option(help="with --all: only buy or sell")] = None,
) -> None:
    """Cancel open orders: by number, or `--all`."""
    session = session_of(context)

    wanted: list[tuple[int, int]] = [(each, 0) for each in order_ids or ()]
    wanted += [(0, client_id)] if client_id else []

    async def work(market: Market) -> None:
        _check_which(wanted, everything, filtered=symbol is not None or side is not None)
        if not everything:
            await _cancel_each(session, market, wanted)
            return
        done = await market.mass_cancel(symbol, side)
        if session.as_json:
            session.say(done)
        else:
            session.console.print(cancelled_text(session, done.count))

    session.run(work)


@app.command()
def amend(
    context: typer.Context,
    order_id: Annotated[int, typer.Argument(help="number of the order")] = 0,
    client_id: ClientId = None,
    price: Annotated[str | None, typer.Option("--price", "-p", help="new limit price")] = None,
    quantity: Annotated[
        str | None, typer.Option("--quantity", "-q", help="new total quantity, what has traded included")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="cancel and enter anew: --quantity is what shall be open")
    ] = False,
) -> None:
    """Change an open order in one step. Less quantity keeps its place in the queue."""
    session = session_of(context)

    async def work(market: Market) -> None:
        changed = await market.amend(
            order_id, client_order_id=client_id or 0, price=price, quantity=quantity, replace=replace
        )
        show(session, await as_it_ended(market, changed))

    session.run(work)


@app.command("list")
def list_orders(
    context: typer.Context,
    symbol: Annotated[str | None, typer.Argument(help="only of this instrument")] = None,
    open_only: Annotated[bool, typer.Option("--open", help="only what still rests")] = False,
    status: Annotated[
        list[str] | None,
        typer.Option(help="only open, partially-filled, filled, cancelled or rejected; may be repeated"),
    ] = None,
    side: Annotated[str | None, typer.Option(help="only buy or sell")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="at most so many, newest first")] = 20,
) -> None:
    """List orders, newest first."""
    session = session_of(context)

    async def work(market: Market) -> list[model.Order]:
        statuses = ["open", "partially_filled"] if open_only else list(status or ())
        return await first(market.orders(symbol, side=side, status=statuses), limit)

    found = session.run(work)
    if session.as_json:
        session.say(found)
    else:
        session.console.print(orders_table(session, found) if found else session.word("nothing"))


@app.command("show")
def show_order(
    context: typer.Context,
    order_id: Annotated[int, typer.Argument(help="number of the order")] = 0,
    client_id: ClientId = None,
) -> None:
    """Show one order and its fills."""
    session = session_of(context)

    async def work(market: Market) -> tuple[model.Order, list[model.Fill]]:
        order = await market.get_order(order_id, client_order_id=client_id or 0)
        fills = market.fills(order_id=order.order_id, min_sequence=order.sequence)
        return order, await first(fills, 1000) if order.order_id else []

    order, fills = session.run(work)
    if session.as_json:
        session.say({"order": order, "fills": fills})
        return
    show(session, order)
    if fills:
        session.console.print(fills_table(session, fills))


def _check_which(wanted: list[tuple[int, int]], everything: bool, *, filtered: bool) -> None:
    if everything and wanted:
        raise InvalidInput("give either order numbers (or --client-id) or --all", field="order_id")
    if not everything and not wanted:
        raise InvalidInput("say which: order numbers, --client-id or --all", field="order_id")
    if not everything and filtered:
        raise InvalidInput("--symbol and --side go with --all", field="all")


async def _cancel_each(session: Session, market: Market, wanted: list[tuple[int, int]]) -> None:
    """Cancel all that can be. What cannot is told; the exit code is the first failure's."""
    done, codes = list[model.Order](), []
    for order_id, own in wanted:
        try:
            done.append(await market.cancel(order_id, client_order_id=own))
        except SmartexError as error:
            error.metadata["order_id" if order_id else "client_order_id"] = str(order_id or own)
            session.tell(error, about=f"{order_id or own}: " if len(wanted) > 1 else "")
            codes.append(exit_code(error))
    for each in await asyncio.gather(*(as_it_ended(market, each) for each in done)):
        show(session, each)
    if codes:
        raise typer.Exit(codes[0])


async def as_it_ended(market: Market, order: model.Order) -> model.Order:
    """An order with what had traded before; as the market answered if the history cannot tell now."""
    try:
        async with asyncio.timeout(_PATIENCE):
            found = await market.get_order(order.order_id, min_sequence=order.sequence)
    except (SmartexError, TimeoutError):
        return order
    return dataclasses.replace(found, fills=order.fills, kept_priority=order.kept_priority)


def _place(
    session: Session,
    side: str,
    symbol: str,
    quantity: str,
    terms: list[str] | None,
    price: str | None,
    options: tuple[Any, ...],
) -> None:
    tif, post_only, self_trade, min_quantity, expires, client_id = options

    async def work(market: Market) -> model.Order:
        return await market.place(
            NewOrder(
                symbol,
                side,
                quantity,
                limit_price(terms, price),
                tif if tif is not None or expires is None else "gtd",
                post_only,
                self_trade,
                min_quantity,
                None if expires is None else end_time(expires),
                client_id,
            )
        )

    show(session, session.run(work))


def limit_price(terms: list[str] | None, price: str | None) -> str | None:
    """The price of `@ 10.5`, `@10.5`, `10.5` or --price; None, a market order, only if nothing was said."""
    if not terms and price is None:
        return None
    words = " ".join([*(terms or ()), price or ""]).replace("@", " ").split()
    if len(words) > 1 or (terms and price is not None):
        raise InvalidInput("give one price: `@ 10.50` or --price 10.50", field="price")
    if not words:
        raise InvalidInput("the price is empty: leave `@` out for a market order", field="price")
    return words[0]


def end_time(text: str) -> datetime:
    """A time from now on (30m, 2h) or a moment in ISO 8601."""
    try:
        return moment_of(text, "expires")
    except ValueError:
        return from_now(seconds_of(text, "expires"), "expires")


async def first(items: AsyncIterator[Any], limit: int) -> list[Any]:
    """The first items of a list."""
    found = []
    async for item in items:
        found.append(item)
        if len(found) >= limit:
            break
    return found


def show(session: Session, order: model.Order) -> None:
    """One order, with the fills that came at once."""
    if session.as_json:
        session.say(order)
        return
    state = session.word(order.status) + (f" ({session.word(order.reason)})" if order.reason else "")
    session.console.print(
        facts(
            [
                (session.word("order"), order.order_id),
                (session.word("client id"), order.client_order_id),
                (session.word("side"), side_text(session, order.side) + f" {order.symbol}"),
                (session.word("quantity"), f"{number(order.quantity)} @ {number(order.price)}"),
                (session.word("filled"), number(order.filled_quantity)),
                (session.word("open"), number(order.open_quantity)),
                (
                    session.word("status"),
                    state + (f" ({session.word('repeated')})" if order.repeated else ""),
                ),
            ]
        )
    )
    if order.fills:
        session.console.print(fills_table(session, list(order.fills)))


def cancelled_text(session: Session, count: int) -> str:
    """How many orders were cancelled."""
    return f"{number(count)} {session.word('order cancelled' if count == 1 else 'orders cancelled')}"


def side_text(session: Session, side: str) -> Text:
    """Buy or sell in its colour."""
    return Text(session.word(side), style=session.colours.side(side))


def orders_table(session: Session, orders: list[model.Order]) -> Any:
    """Orders below each other."""
    heads = ["order", "time", "symbol", "side", "price", "quantity", "filled", "open", "tif", "status", "why"]
    rows = [
        (
            each.order_id,
            clock(each.create_time),
            each.symbol,
            side_text(session, each.side),
            number(each.price),
            number(each.quantity),
            number(each.filled_quantity),
            number(each.open_quantity),
            each.tif,
            session.word(each.status),
            session.word(each.reason),
        )
        for each in orders
    ]
    return table([session.word(head) for head in heads], rows, right=(0, 4, 5, 6, 7))


def fills_table(session: Session, fills: list[model.Fill]) -> Any:
    """Fills below each other."""
    heads = ["trade", "time", "side", "price", "quantity", "fee", "role"]
    rows = [
        (
            each.trade_id,
            clock(each.time),
            side_text(session, each.side),
            number(each.price),
            number(each.quantity),
            number(each.fee + each.tax),
            session.word(each.liquidity),
        )
        for each in fills
    ]
    return table([session.word(head) for head in heads], rows, right=(0, 3, 4, 5))
