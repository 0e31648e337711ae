"""smartex advice …, smartex alert …"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.panel import Panel
from rich.text import Text
from smartex.positions.v1 import advice_pb2 as pb

from smartex_client import model
from smartex_client.market import Market
from smartex_client.words import word

from .markets import Rules, quantity, rules_of, suggested
from .orders import first
from .output import clock, number, table
from .reading import Limit, Whose, index, money, percent, severity, text_of, time_of
from .session import Exit, Session, session_of

app = typer.Typer(no_args_is_help=True, help="What to do, why, and what became of it.")
alerts = typer.Typer(no_args_is_help=True, help="Thresholds that were crossed.")

AdviceId = Annotated[
    str, typer.Argument(metavar="ADVICE", help="id of the advice, as `advice list` shows it")
]


@app.command("list")
def list_advice(
    context: typer.Context,
    account_id: Whose = 0,
    everything: Annotated[bool, typer.Option("--all", help="also what is closed")] = False,
    limit: Limit = 20,
) -> None:
    """List advice, newest first."""
    session = session_of(context)

    async def work(market: Market) -> list[pb.Advice]:
        return await first(market.positions.list_advice(account_id, open_only=not everything), limit)

    found = session.run(work)
    if session.as_json:
        session.say(found)
        return
    heads = ["advice", "time", "urgency", "state", "what"]
    rows = [
        (
            each.advice_id,
            clock(time_of(each.create_time)),
            severity(session, each.severity),
            _state(session, each),
            text_of(session, each.title),
        )
        for each in found
    ]
    session.console.print(table([session.word(h) for h in heads], rows) if found else session.word("nothing"))


@app.command()
def show(context: typer.Context, advice_id: AdviceId) -> None:
    """Show one piece of advice: what, why, what it would change, how."""
    session = session_of(context)

    async def work(market: Market) -> None:
        found = await market.positions.advice(advice_id)
        if session.as_json:
            session.say(found)
            return
        rules = await rules_of(market, [each.instrument_id for each in found.orders])
        session.console.print(_card(session, found, rules))

    session.run(work)


@app.command()
def accept(
    context: typer.Context,
    advice_id: AdviceId,
    place: Annotated[bool, typer.Option(help="place its orders at once")] = True,
) -> None:
    """Accept advice and place its orders. Doing it again places nothing twice."""
    session = session_of(context)

    async def work(market: Market) -> tuple[pb.Advice, list[tuple[Any, Any]], Rules]:
        answer = await market.positions.accept_advice(advice_id)
        rules = await rules_of(market, [each.instrument_id for each in answer.orders])
        placed = await market.positions.place_suggested(answer.orders) if place else []
        return answer.advice, placed or [(each, None) for each in answer.orders], rules

    advice, placed, rules = session.run(work)
    if session.as_json:
        session.say({"advice": advice, "orders": [{"order": each, "outcome": done} for each, done in placed]})
    else:
        session.console.print(f"{advice.advice_id}: {_state(session, advice)}")
        if placed:
            session.console.print(_placed(session, placed, rules))
    if any(isinstance(done, model.Report) for _, done in placed):
        raise typer.Exit(Exit.REJECTED)


@app.command()
def dismiss(
    context: typer.Context,
    advice_id: AdviceId,
    reason: Annotated[str, typer.Argument(help="why; it helps to advise better")],
) -> None:
    """Set advice aside."""
    session = session_of(context)

    async def work(market: Market) -> pb.Advice:
        return await market.positions.dismiss_advice(advice_id, reason)

    found: pb.Advice = session.run(work)
    if session.as_json:
        session.say(found)
    else:
        session.console.print(f"{found.advice_id}: {_state(session, found)}")


@app.command()
def record(context: typer.Context) -> None:
    """Show how each kind of advice did, whether it was taken or not."""
    session = session_of(context)

    async def work(market: Market) -> list[pb.AdviceRecord]:
        return list(await market.positions.advice_records())

    found = session.run(work)
    if session.as_json:
        session.say(found)
        return
    heads = ["kind", "given", "taken", "dismissed", "settled", "helped", "95 %", "what helped means"]
    rows = [
        (
            session.word(each.kind),
            each.given,
            each.taken,
            each.dismissed,
            each.settled,
            percent(each.hit_rate.value) if each.settled else "—",
            f"{percent(each.hit_rate.low)} … {percent(each.hit_rate.high)}" if each.settled else "",
            text_of(session, each.definition),
        )
        for each in found
    ]
    shown = table([session.word(head) for head in heads], rows, right=range(1, 7), whole=(7,))
    session.console.print(shown if found else session.word("nothing"))


@alerts.command("list")
def list_alerts(
    context: typer.Context,
    account_id: Whose = 0,
    everything: Annotated[bool, typer.Option("--all", help="also what is over")] = False,
    limit: Limit = 20,
) -> None:
    """List alerts, newest first."""
    session = session_of(context)

    async def work(market: Market) -> list[pb.Alert]:
        return await first(market.positions.alerts(account_id, standing_only=not everything), limit)

    found = session.run(work)
    if session.as_json:
        session.say(found)
        return
    heads = ["alert", "time", "severity", "state", "value|alert", "threshold", "what", "advice"]
    rows = [
        (
            each.alert_id,
            clock(time_of(each.raise_time)),
            severity(session, each.severity),
            session.word(word(pb.AlertState, each.state)),
            percent(each.value),
            percent(each.threshold),
            text_of(session, each.text),
            each.advice_id,
        )
        for each in found
    ]
    shown = table([session.word(head) for head in heads], rows, right=(4, 5))
    session.console.print(shown if found else session.word("nothing"))


@alerts.command("ack")
def acknowledge(
    context: typer.Context, alert_id: Annotated[str, typer.Argument(metavar="ALERT", help="id of the alert")]
) -> None:
    """Say that an alert was seen: it does not escalate then."""
    session = session_of(context)

    async def work(market: Market) -> pb.Alert:
        return await market.positions.acknowledge(alert_id)

    found: pb.Alert = session.run(work)
    if session.as_json:
        session.say(found)
    else:
        session.console.print(f"{found.alert_id}: {session.word(word(pb.AlertState, found.state))}")


def _card(session: Session, advice: pb.Advice, rules: Rules) -> Panel:
    say = session.word
    lines = [text_of(session, advice.reason), ""]
    lines += [f"{text_of(session, each.name)}: {_figure(each)}" for each in advice.what_if]
    orders = [suggested(session, rules, each) for each in advice.orders]
    lines += ["", *orders] if orders else []
    lines += ["", f"{say('until')} {clock(time_of(advice.expire_time))}"]
    if advice.record.settled:
        rate = percent(advice.record.hit_rate.value)
        lines.append(f"{say('record of this kind')}: {rate} ({advice.record.settled})")
    lines += [text_of(session, advice.caveat)] if advice.caveat.en else []
    title = Text(f"{text_of(session, advice.title)} · {_state(session, advice)}")
    body, subtitle = Text("\n".join(lines)), Text(advice.advice_id)
    return Panel(body, title=title, subtitle=subtitle, expand=False, padding=(0, 2))


def _state(session: Session, advice: pb.Advice) -> str:
    state = word(pb.AdviceState, advice.state)
    # An open order is one that rests; open advice waits for its reader.
    return session.word("to be answered" if state == "open" else state)


def _figure(each: pb.WhatIf) -> str:
    show = {"share": percent, "index": index}.get(each.unit, money)
    return f"{show(each.before)} → {show(each.after)}"


def _placed(session: Session, placed: list[tuple[Any, Any]], rules: Rules) -> Any:
    heads = [session.word(head) for head in ("order", "side", "symbol", "quantity", "status", "filled")]
    rows = []
    for each, done in placed:
        refused = isinstance(done, model.Report)
        status = "" if done is None else session.word(done.reason) if refused else session.word(done.status)
        filled = number(done.filled_quantity) if isinstance(done, model.Order) else ""
        side = session.word("buy" if each.side == 1 else "sell")
        order_id = getattr(done, "order_id", "") or each.client_order_id
        wanted = quantity(session, rules, each.instrument_id, each.quantity_lots)
        rows.append((order_id, side, each.symbol, wanted, status, filled))
    return table(heads, rows, right=(3, 5))
