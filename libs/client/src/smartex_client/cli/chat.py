"""smartex chat …"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text
from smartex.matching.v1 import types_pb2 as types
from smartex.notifications.v1 import conversation_service_pb2 as pb
from smartex.positions.v1.types_pb2 import OrderSuggestion

from smartex_client.convert import to_lots, to_ticks
from smartex_client.errors import InvalidInput
from smartex_client.market import Market
from smartex_client.words import value, word

from .markets import Rules, quantity, rules_of, suggested
from .orders import first
from .output import clock, table
from .reading import Limit, time_of
from .session import Session, session_of

_PROPOSAL = {pb.PROPOSAL_STATE_OPEN: "to be answered"}

app = typer.Typer(no_args_is_help=True, help="Talk with your trader, or with your investors.")
mandate = typer.Typer(no_args_is_help=True, help="Who may advise whom.")
app.add_typer(mandate, name="mandate")

ThreadId = Annotated[str, typer.Argument(metavar="THREAD", help="id of the thread")]
ProposalId = Annotated[str, typer.Argument(metavar="PROPOSAL", help="id of the proposal")]
Words = Annotated[str, typer.Option("--say", help="words to go with it")]
Trader = Annotated[str, typer.Argument(help="the trader's name, as their token says it")]


@mandate.command("grant")
def grant(context: typer.Context, trader: Trader) -> None:
    """Let a trader see you and write to you."""
    session = session_of(context)

    async def work(market: Market) -> list[pb.Mandate]:
        return [await market.conversations.grant(trader)]

    _mandates(session, session.run(work))


@mandate.command("revoke")
def revoke(context: typer.Context, trader: Trader) -> None:
    """End it at once."""
    session = session_of(context)

    async def work(market: Market) -> list[pb.Mandate]:
        return [await market.conversations.revoke(trader)]

    _mandates(session, session.run(work))


@mandate.command("list")
def list_mandates(context: typer.Context) -> None:
    """List mandates, given or received."""
    session = session_of(context)

    async def work(market: Market) -> list[pb.Mandate]:
        return list(await market.conversations.mandates())

    _mandates(session, session.run(work))


@app.command()
def threads(context: typer.Context, limit: Limit = 20) -> None:
    """List threads, last active first."""
    session = session_of(context)

    async def work(market: Market) -> list[pb.Thread]:
        return await first(market.conversations.threads(), limit)

    found = session.run(work)
    if session.as_json:
        session.say(found)
        return
    heads = ["thread", "unread", "active", "investor", "trader", "title"]
    rows = [
        (
            each.thread_id,
            each.unread_count or "",
            clock(time_of(each.active_time)),
            each.account_id,
            each.trader,
            each.title,
        )
        for each in found
    ]
    shown = table([session.word(head) for head in heads], rows, right=(1,))
    session.console.print(shown if found else session.word("nothing"))


@app.command("open")
def open_thread(
    context: typer.Context,
    partner: Annotated[str, typer.Argument(help="investors: the trader; traders: the account's number")],
    title: Annotated[str, typer.Argument(help="first words")] = "",
) -> None:
    """Begin a thread."""
    session = session_of(context)

    async def work(market: Market) -> pb.Thread:
        if partner.isdecimal():
            return await market.conversations.open(account_id=int(partner), title=title)
        return await market.conversations.open(trader=partner, title=title)

    found = session.run(work)
    session.say(found) if session.as_json else session.console.print(found.thread_id)


@app.command()
def say(
    context: typer.Context,
    thread_id: ThreadId,
    words: Annotated[list[str], typer.Argument(help="what to say")],
) -> None:
    """Say something."""
    session = session_of(context)

    async def work(market: Market) -> None:
        await _tell(session, market, [await market.conversations.post(thread_id, " ".join(words))])

    session.run(work)


@app.command()
def propose(
    context: typer.Context,
    thread_id: ThreadId,
    orders: Annotated[list[str], typer.Argument(help="each as `buy:609018.SH:100@12.80`")],
    reason: Annotated[str, typer.Option(help="why, one line")] = "",
    say_words: Words = "",
) -> None:
    """Propose orders that the investor accepts with one answer (traders)."""
    session = session_of(context)

    async def work(market: Market) -> None:
        listed = [await _suggestion(market, each) for each in orders]
        proposal = pb.Proposal(orders=listed, reason=reason)
        posted = await market.conversations.post(thread_id, say_words, proposal=proposal)
        await _tell(session, market, [posted])

    session.run(work)


@app.command()
def accept(context: typer.Context, proposal_id: ProposalId, say_words: Words = "") -> None:
    """Accept proposed orders: they are placed at once."""
    _answer(context, proposal_id, accept=True, text=say_words)


@app.command()
def decline(context: typer.Context, proposal_id: ProposalId, say_words: Words = "") -> None:
    """Decline proposed orders."""
    _answer(context, proposal_id, accept=False, text=say_words)


@app.command()
def show(context: typer.Context, thread_id: ThreadId, limit: Limit = 50) -> None:
    """Show a thread, oldest of the last messages first."""
    session = session_of(context)

    async def work(market: Market) -> None:
        found = await first(market.conversations.messages(thread_id), limit)
        await _tell(session, market, found[::-1])

    session.run(work)


@app.command()
def watch(context: typer.Context) -> None:
    """Show what is said in all your threads, as it is said, until Ctrl-C."""
    session = session_of(context)

    async def work(market: Market) -> None:
        async for message in market.conversations.live_messages():
            await _tell(session, market, [message])

    session.run(work)


@app.command()
def search(
    context: typer.Context,
    words: Annotated[list[str], typer.Argument(help="words that must all occur")],
    limit: Limit = 20,
) -> None:
    """Find words in your threads."""
    session = session_of(context)

    async def work(market: Market) -> None:
        await _tell(session, market, await first(market.conversations.search(" ".join(words)), limit))

    session.run(work)


@app.command()
def export(
    context: typer.Context,
    thread_id: ThreadId,
    file: Annotated[Path, typer.Argument(help="where to write it: .json, .html or .txt")],
) -> None:
    """Write a thread to a file, whole."""
    session = session_of(context)
    form = {".html": "html", ".txt": "text"}.get(file.suffix, "json")

    async def work(market: Market) -> pb.ExportThreadResponse:
        return await market.conversations.export(thread_id, form)

    found: pb.ExportThreadResponse = session.run(work)
    session.write(file, found.content, "file")
    if session.as_json:
        session.say({"file": str(file), "sha256": found.sha256})
    else:
        session.console.print(f"{file}  SHA-256 {found.sha256}")


def _answer(context: typer.Context, proposal_id: str, *, accept: bool, text: str) -> None:
    session = session_of(context)

    async def work(market: Market) -> None:
        found = await market.conversations.answer(proposal_id, accept=accept, text=text)
        if session.as_json:
            session.say(found)
            return
        rules = await rules_of(market, [each.instrument_id for each in found.orders])
        _print_answer(session, found, rules)

    session.run(work)


def _print_answer(session: Session, found: pb.Proposal, rules: Rules) -> None:
    session.console.print(session.word(word(pb.ProposalState, found.state)))
    instruments = {each.client_order_id: each.instrument_id for each in found.orders}
    heads = [session.word(head) for head in ("order", "status", "filled", "why")]
    rows = [
        (
            each.order_id or each.client_order_id,
            session.word("accepted" if each.accepted else "rejected"),
            quantity(session, rules, instruments.get(each.client_order_id, 0), each.filled_lots),
            session.word(each.reason),
        )
        for each in found.results
    ]
    if rows:
        session.console.print(table(heads, rows, right=(2,)))


async def _suggestion(market: Market, text: str) -> OrderSuggestion:
    side, _, rest = text.partition(":")
    symbol, _, terms = rest.partition(":")
    amount, at, price = terms.partition("@")
    if not (side and symbol and amount and at and price):
        raise InvalidInput(f"{text!r} is no order such as buy:609018.SH:100@12.80", field="orders")
    instrument = await market.instrument(symbol)
    selling = side.lower() == "sell"
    return OrderSuggestion(
        instrument_id=instrument.instrument_id,
        symbol=instrument.symbol,
        side=value(types.Side, side, "side"),
        quantity_lots=to_lots(instrument, amount, selling=selling),
        price_ticks=to_ticks(instrument, price),
    )


def _mandates(session: Session, found: Sequence[pb.Mandate]) -> None:
    if session.as_json:
        session.say(list(found))
        return
    heads = [session.word(head) for head in ("trader", "investor", "since", "until")]
    rows = [
        (each.trader, each.account_id, clock(time_of(each.grant_time)), clock(time_of(each.revoke_time)))
        for each in found
    ]
    session.console.print(table(heads, rows) if found else session.word("nothing"))


async def _tell(session: Session, market: Market, found: Sequence[pb.Message]) -> None:
    rules = await rules_of(market, [order.instrument_id for each in found for order in each.proposal.orders])
    for each in found:
        if session.as_json:
            session.say(each)
            continue
        author = session.word(word(pb.Party, each.author))
        origin = f" ({each.origin})" if each.origin not in ("", "api") else ""
        head = f"{clock(time_of(each.create_time))}  {author}{origin}"
        session.console.print(Text(head, style="dim"), Text(each.text))
        for line in _attached(session, each, rules):
            session.console.print(Text(f"    {line}"))


def _attached(session: Session, message: pb.Message, rules: Rules) -> list[str]:
    lines: list[Any] = []
    if message.HasField("card"):
        title = message.card.title
        lines.append(f"▸ {title.zh if session.language.startswith('zh') else title.en} {message.card.id}")
    if message.HasField("proposal"):
        proposal = message.proposal
        state = session.word(_PROPOSAL.get(proposal.state) or word(pb.ProposalState, proposal.state))
        lines.append(
            f"▸ {' · '.join(each for each in (proposal.proposal_id, state, proposal.reason) if each)}"
        )
        lines += [f"  {suggested(session, rules, each)}" for each in proposal.orders]
    return lines
