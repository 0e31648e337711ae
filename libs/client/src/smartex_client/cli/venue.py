"""smartex venue …, smartex status"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from smartex_client import model
from smartex_client.market import Market
from smartex_client.profile import resolve

from .orders import cancelled_text
from .output import clock, facts, number
from .session import Exit, Session, session_of

app = typer.Typer(no_args_is_help=True, help="Run the market (operators).")

Which = Annotated[str | None, typer.Argument(metavar="[SYMBOL]", help="one instrument; left out: all")]

Account = Annotated[int, typer.Argument(metavar="ACCOUNT", min=1, help="number of the account")]


@app.command("status")
def venue_status(context: typer.Context) -> None:
    """Show how the venue is."""
    session = session_of(context)

    async def work(market: Market) -> model.VenueStatus:
        return await market.venue.status()

    _show(session, session.run(work), [])


def status(context: typer.Context) -> None:
    """Show which exchange this is and how it is."""
    session = session_of(context)

    async def work(market: Market) -> tuple[str, str, model.VenueStatus]:
        found = resolve(
            url=session.url, token=session.token, token_file=session.token_file, profile=session.profile
        )
        return found.url, found.source, await market.venue.status()

    url, source, found = session.run(work)
    _show(session, found, [(session.word("exchange"), url), (session.word("profile"), source)])


@app.command("hash")
def state_hash(
    context: typer.Context,
    offset: Annotated[int, typer.Option(min=0, help="offset of a checkpoint; 0 makes one now")] = 0,
) -> None:
    """Show the hash of the state; exit code 7 if pods disagree."""
    session = session_of(context)

    async def work(market: Market) -> model.StateHash:
        return await market.venue.state_hash(offset)

    found: model.StateHash = session.run(work)
    if session.as_json:
        session.say({"agree": found.agree, **_fields(found)})
    else:
        pairs: list[tuple[str, Any]] = [
            ("offset", found.offset),
            (session.word("sequence"), found.sequence),
            (found.pod, found.state_hash),
        ]
        pairs += [
            (pod, Text(each, style="" if each == found.state_hash else "red"))
            for pod, each in found.pods
            if pod != found.pod
        ]
        session.console.print(facts(pairs))
    if not found.agree:
        raise typer.Exit(Exit.DISAGREES)


@app.command("open")
def open_(context: typer.Context, symbol: Which = None) -> None:
    """Open trading."""
    _set(context, "open", symbol)


@app.command()
def resume(context: typer.Context, symbol: Which = None) -> None:
    """Resume trading after a halt."""
    _set(context, "open", symbol)


@app.command()
def halt(context: typer.Context, symbol: Which = None) -> None:
    """Halt trading: only cancels work."""
    _set(context, "halted", symbol)


@app.command()
def close(context: typer.Context, symbol: Which = None) -> None:
    """Close trading: only cancels work."""
    _set(context, "closed", symbol)


@app.command()
def roll(
    context: typer.Context,
    day: Annotated[
        int | None, typer.Option(min=1, help="the day that ends; guards against rolling twice")
    ] = None,
) -> None:
    """End the trading day and begin the next."""
    session = session_of(context)

    async def work(market: Market) -> int:
        return await market.venue.roll_day(day)

    began = session.run(work)
    if session.as_json:
        session.say({"trading_day": began})
    else:
        session.console.print(f"{session.word('trading day')} {began}")


@app.command()
def cancel(
    context: typer.Context,
    account_id: Annotated[int | None, typer.Option("--account", min=1, help="whose orders")] = None,
    symbol: Annotated[str | None, typer.Option(help="only of this instrument")] = None,
    side: Annotated[str | None, typer.Option(help="only buy or sell")] = None,
) -> None:
    """Take off the orders of an account, of an instrument, or both."""
    session = session_of(context)

    async def work(market: Market) -> model.MassCancelled:
        return await market.venue.cancel_orders(account_id, instrument=symbol, side=side)

    done = session.run(work)
    if session.as_json:
        session.say(done)
    else:
        session.console.print(cancelled_text(session, done.count))


@app.command("halt-account")
def halt_account(context: typer.Context, account_id: Account) -> None:
    """Let an account place and change no orders; `venue cancel` takes off what rests."""
    _set_account(context, account_id, "halted")


@app.command("resume-account")
def resume_account(context: typer.Context, account_id: Account) -> None:
    """Let an account trade again after a halt."""
    _set_account(context, account_id, "open")


def _set_account(context: typer.Context, account_id: int, state: str) -> None:
    session = session_of(context)

    async def work(market: Market) -> int:
        change = market.venue.halt_account if state == "halted" else market.venue.open_account
        return await change(account_id)

    sequence = session.run(work)
    if session.as_json:
        session.say({"sequence": sequence, "state": state, "account_id": account_id})
    else:
        session.console.print(f"{session.word('account')} {account_id}: {session.word(f'account {state}')}")


def _set(context: typer.Context, state: str, symbol: str | None) -> None:
    session = session_of(context)

    async def work(market: Market) -> int:
        return await market.venue.set_state(state, symbol)

    sequence = session.run(work)
    if session.as_json:
        session.say({"sequence": sequence, "state": state, "symbol": symbol})
    else:
        session.console.print(
            f"{symbol.upper() if symbol else session.word('instruments')}: {session.word(trading_state(state))}"
        )


def trading_state(state: str) -> str:
    """The word of a trading state: an instrument that is open trades, an order that is open does not yet."""
    return "open|trading" if state == "open" else state


def _show(session: Session, found: model.VenueStatus, more: list[tuple[str, Any]]) -> None:
    if session.as_json:
        session.say(_fields(found) | dict(zip(("url", "profile"), (each for _, each in more), strict=False)))
        return
    word = session.word
    pairs = [
        *more,
        (word("pod"), f"{found.pod} (shard {found.shard}{', publisher' if found.publisher else ''})"),
        (word("bus"), found.bus),
        (word("sequence"), number(found.sequence)),
        (word("published"), number(found.published_sequence)),
        (word("projected"), number(found.projected_sequence)),
        (word("open orders"), number(found.open_orders)),
        (word("accounts"), number(found.accounts)),
        (word("instruments"), number(found.instruments)),
        (word("trading day"), found.trading_day),
        (word("market time"), clock(found.market_time)),
        (word("version"), found.version),
    ]
    if found.halt_reason:
        pairs.append((word("halted because"), Text(found.halt_reason, style="red")))
    session.console.print(facts(pairs))


def _fields(found: Any) -> dict[str, Any]:
    return {name: getattr(found, name) for name in found.__slots__}
