"""smartex portfolio …, smartex habits"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text
from smartex.positions.v1 import portfolio_pb2 as pb
from smartex.positions.v1 import position_service_pb2 as service

from smartex_client.errors import InvalidInput
from smartex_client.market import Market

from .markets import Rules, quantity, rules_of
from .orders import first
from .output import clock, facts, table
from .reading import Limit, Whose, gain, index, money, percent, text_of, time_of
from .session import Session, session_of
from .times import moment_of

app = typer.Typer(no_args_is_help=True, help="What an account has, what it is worth, what it is exposed to.")


@app.command()
def show(
    context: typer.Context,
    account_id: Whose = 0,
    lots: Annotated[bool, typer.Option("--lots", help="list what is left of each purchase")] = False,
) -> None:
    """Show holdings, profit and exposure now."""
    session = session_of(context)

    async def work(market: Market) -> pb.Portfolio:
        return await market.positions.portfolio(account_id, lots=lots)

    _print(session, work)


@app.command()
def watch(
    context: typer.Context,
    account_id: Whose = 0,
    interval: Annotated[float, typer.Option(min=0.05, help="shortest seconds between two updates")] = 0.5,
) -> None:
    """Show it live until Ctrl-C; once where the output is no terminal; with --json a line for each change."""
    session = session_of(context)

    async def work(market: Market) -> None:
        if not (session.as_json or sys.stdout.isatty()):
            await _show(session, market, await market.positions.portfolio(account_id))
            return
        following = market.positions.live_portfolio(account_id, interval=interval)
        if session.as_json:
            async for each in following:
                session.say(each)
            return
        rules: Rules = {}
        with Live(console=session.console, auto_refresh=False) as live:
            async for each in following:
                if not rules.keys() >= _numbers(each):
                    rules = await rules_of(market, _numbers(each))
                live.update(Group(*_parts(session, each, rules)), refresh=True)

    session.run(work)


@app.command("at")
def at_moment(
    context: typer.Context,
    moment: Annotated[
        str, typer.Argument(help="a time such as 2026-11-25T14:00+08:00, or a sequence of the market")
    ],
    account_id: Whose = 0,
) -> None:
    """Show it as it was."""
    session = session_of(context)

    async def work(market: Market) -> pb.Portfolio:
        return await market.positions.portfolio_at(_moment(moment), account_id)

    _print(session, work)


@app.command()
def history(
    context: typer.Context,
    account_id: Whose = 0,
    days: Annotated[bool, typer.Option("--days", help="only ends of trading days")] = False,
    limit: Limit = 20,
) -> None:
    """List equity, growth and drawdown over time, newest first."""
    session = session_of(context)

    async def work(market: Market) -> list[pb.PortfolioPoint]:
        return await first(market.positions.history(account_id, days_only=days), limit)

    found = session.run(work)
    if session.as_json:
        session.say(found)
        return
    heads = ["time", "trading day", "equity", "profit today", "growth", "drawdown"]
    rows = [
        (
            clock(time_of(each.time)),
            each.trading_day,
            money(each.totals.equity),
            gain(session, each.totals.profit_today),
            f"{each.growth:.4f}",
            percent(each.drawdown),
        )
        for each in found
    ]
    shown = table([session.word(head) for head in heads], rows, right=range(1, 6))
    session.console.print(shown if found else session.word("nothing"))


def habits(context: typer.Context, account_id: Whose = 0) -> None:
    """Show how an account trades: each habit with its interval and where it stands among others."""
    session = session_of(context)

    async def work(market: Market) -> service.ListHabitsResponse:
        return await market.positions.habits(account_id)

    found: service.ListHabitsResponse = session.run(work)
    if session.as_json:
        session.say(found)
        return
    heads = ["habit", "figure", "95 %", "unit", "among others", "finding"]
    rows = [
        (
            text_of(session, each.name),
            f"{each.estimate.value:.3g}" if each.HasField("estimate") else "—",
            f"{each.estimate.low:.3g} … {each.estimate.high:.3g}" if each.HasField("estimate") else "",
            text_of(session, each.unit_title) or each.unit,
            percent(each.percentile) if each.percentile >= 0 else "",
            Text(text_of(session, each.verdict), style="yellow" if each.harmful else ""),
        )
        for each in found.habits
    ]
    session.console.print(table([session.word(head) for head in heads], rows, right=(1, 2, 4), whole=(5,)))
    if found.expertise:
        heads = ["industry", "beats it by", "95 %", "share of turnover"]
        beaten = [
            (
                text_of(session, each.industry_title) or each.industry,
                percent(each.excess_return.value),
                f"{percent(each.excess_return.low)} … {percent(each.excess_return.high)}",
                percent(each.turnover_share),
            )
            for each in found.expertise
        ]
        session.console.print(table([session.word(head) for head in heads], beaten, right=(1, 2, 3)))


def _print(session: Session, ask: Callable[[Market], Awaitable[pb.Portfolio]]) -> None:
    async def work(market: Market) -> None:
        await _show(session, market, await ask(market))

    session.run(work)


async def _show(session: Session, market: Market, portfolio: pb.Portfolio) -> None:
    if session.as_json:
        session.say(portfolio)
        return
    rules = await rules_of(market, _numbers(portfolio))
    session.console.print(*_parts(session, portfolio, rules), sep="\n")


def _numbers(portfolio: pb.Portfolio) -> set[int]:
    return {each.instrument_id for each in portfolio.positions}


def _parts(session: Session, portfolio: pb.Portfolio, rules: Rules) -> list[Any]:
    parts: list[Any] = [_totals(session, portfolio)]
    if portfolio.positions:
        parts.append(_positions(session, portfolio.positions, rules))
    if portfolio.exposure.by_industry:
        shares = portfolio.exposure.by_industry
        rows = [
            (text_of(session, each.title) or each.name or "—", money(each.value), percent(each.weight))
            for each in shares
        ]
        heads = [session.word(head) for head in ("industry", "value|held", "weight")]
        parts.append(table(heads, rows, right=(1, 2)))
    return parts


def _totals(session: Session, portfolio: pb.Portfolio) -> Any:
    totals, exposure = portfolio.totals, portfolio.exposure
    largest = f"{percent(exposure.largest_weight)} (HHI {index(exposure.hhi)})"
    pairs: list[tuple[str, Any]] = [
        ("account", portfolio.account_id),
        ("equity", f"{money(totals.equity)} {portfolio.base_currency_code}"),
        ("cash", money(totals.cash)),
        ("profit today", gain(session, totals.profit_today)),
        ("unrealised", gain(session, totals.unrealised)),
        ("realised", gain(session, totals.realised)),
        ("fees", money(totals.fees)),
        ("leverage", f"{exposure.leverage:.2f}"),
        ("largest", largest),
    ]
    if portfolio.open_orders.order_count:
        open_orders = portfolio.open_orders
        bound = f"{money(open_orders.buy_value)} / {money(open_orders.sell_value)}"
        pairs.append(("open orders", f"{open_orders.order_count} ({bound})"))
    if totals.stale_positions or totals.unmarked_positions:
        warned = totals.stale_positions + totals.unmarked_positions
        pairs.append(("stale marks", Text(str(warned), style="yellow")))
    return facts([(session.word(name), value) for name, value in pairs])


def _positions(session: Session, positions: Iterable[pb.Position], rules: Rules) -> Any:
    heads = ["symbol", "quantity", "available", "average cost", "mark", "value|held", "unrealised", "weight"]
    rows = [
        (
            each.symbol,
            quantity(session, rules, each.instrument_id, each.quantity_lots),
            quantity(session, rules, each.instrument_id, each.available_lots),
            each.average_cost,
            Text(each.mark.price or "—", style="yellow" if each.mark.stale else ""),
            money(each.value.amount),
            gain(session, each.unrealised.amount),
            percent(each.weight),
        )
        for each in positions
    ]
    return table([session.word(head) for head in heads], rows, right=range(1, 8))


def _moment(text: str) -> datetime | int:
    if text.isdecimal():
        return int(text)
    try:
        return moment_of(text, "moment")
    except ValueError:
        raise InvalidInput(
            f"{text!r} is neither a sequence nor a time such as 2026-11-25T14:00+08:00", field="moment"
        ) from None
