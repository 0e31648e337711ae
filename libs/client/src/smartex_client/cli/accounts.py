"""smartex account …"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from smartex_client import model
from smartex_client.errors import NotFound
from smartex_client.market import Market

from .orders import first
from .output import clock, facts, number, table
from .session import session_of

app = typer.Typer(no_args_is_help=True, help="Cash, holdings and what moved them.")

AccountId = Annotated[int, typer.Argument(metavar="[ACCOUNT]", help="operators: whose; else your own")]
Whose = Annotated[int, typer.Argument(metavar="ACCOUNT", min=1, help="number of the account")]
Amount = Annotated[str, typer.Argument(help="how much")]
What = Annotated[str, typer.Argument(metavar="CURRENCY|SYMBOL", help="of what: CNY, or 609018.SH")]
RequestId = Annotated[
    int | None, typer.Option(min=1, help="number of the request; repeating one counts once")
]


@app.command()
def show(context: typer.Context, account_id: AccountId = 0) -> None:
    """Show cash and holdings."""
    session = session_of(context)

    async def work(market: Market) -> model.Account:
        return await market.account(account_id)

    found: model.Account = session.run(work)
    if session.as_json:
        session.say(found)
        return
    word = session.word
    pairs: list[tuple[str, Any]] = [
        (word("account"), found.account_id),
        (word("open orders"), number(found.open_orders)),
    ]
    if found.state == "halted":
        pairs.append((word("state"), Text(word("account halted"), style="red")))
    session.console.print(facts(pairs))
    if found.cash:
        heads = [word(head) for head in ("currency", "total", "held", "free")]
        rows: list[Any] = [
            (each.currency, number(each.total), number(each.held), number(each.free)) for each in found.cash
        ]
        session.console.print(table(heads, rows, right=(1, 2, 3)))
    if found.holdings:
        heads = [word(head) for head in ("symbol", "total", "held", "bought today", "available")]
        rows = [
            (
                each.symbol,
                number(each.total),
                number(each.held),
                number(each.bought_today),
                number(each.available),
            )
            for each in found.holdings
        ]
        session.console.print(table(heads, rows, right=(1, 2, 3, 4)))


@app.command()
def ledger(
    context: typer.Context,
    account_id: AccountId = 0,
    currency: Annotated[str, typer.Option(help="only of this currency")] = "",
    symbol: Annotated[str | None, typer.Option(help="only of this instrument")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="at most so many, newest first")] = 20,
) -> None:
    """Show what moved the balances, newest first."""
    session = session_of(context)

    async def work(market: Market) -> list[model.LedgerEntry]:
        return await first(market.ledger(account_id, currency=currency, instrument=symbol), limit)

    found = session.run(work)
    if session.as_json:
        session.say(found)
        return
    heads = [session.word(head) for head in ("sequence", "time", "kind", "amount", "", "order")]
    rows = [
        (
            each.sequence,
            clock(each.time),
            session.word(f"{each.kind}|ledger"),
            number(each.quantity if each.symbol and not each.amount else each.amount),
            each.symbol if each.symbol and not each.amount else each.currency,
            each.order_id or "",
        )
        for each in found
    ]
    session.console.print(table(heads, rows, right=(0, 3, 5)) if found else session.word("nothing"))


@app.command()
def deposit(
    context: typer.Context, account_id: Whose, amount: Amount, what: What, request_id: RequestId = None
) -> None:
    """Put cash or shares into an account (operators); a new account is opened."""
    _move(context, "deposit", account_id, amount, what, request_id)


@app.command()
def withdraw(
    context: typer.Context, account_id: Whose, amount: Amount, what: What, request_id: RequestId = None
) -> None:
    """Take free cash or shares out of an account (operators)."""
    _move(context, "withdraw", account_id, amount, what, request_id)


def _move(
    context: typer.Context, action: str, account_id: int, amount: str, what: str, request_id: int | None
) -> None:
    session = session_of(context)

    async def work(market: Market) -> model.Moved:
        venue = market.venue
        try:
            await market.instrument(what)
        except NotFound:
            cash = venue.deposit if action == "deposit" else venue.withdraw
            return await cash(account_id, amount, what.upper(), request_id=request_id)
        shares = venue.deposit_shares if action == "deposit" else venue.withdraw_shares
        return await shares(account_id, amount, what, request_id=request_id)

    moved: model.Moved = session.run(work)
    if session.as_json:
        session.say(moved)
        return
    again = f" ({session.word('repeated, nothing moved')})" if moved.repeated else ""
    session.console.print(f"{action} {amount} {what.upper()}, account {account_id}: #{moved.sequence}{again}")
