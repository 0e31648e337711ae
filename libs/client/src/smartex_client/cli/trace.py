"""smartex trace: the whole chain from a cause to what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text
from smartex.positions.v1.types_pb2 import Step

from smartex_client.errors import NotFound
from smartex_client.market import Market

from .output import clock
from .reading import time_of
from .session import session_of

_STYLES = {
    "event": "cyan",
    "alert": "yellow",
    "advice": "yellow",
    "order": "green",
    "fill": "bold green",
    "attempt": "magenta",
    "receipt": "magenta",
}


def trace(
    context: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="ID", help="of a trace, alert, advice, notice or delivery")],
) -> None:
    """Show cause, decision, attempts, receipt, reading, answer, orders and fills of one chain."""
    session = session_of(context)

    async def work(market: Market) -> tuple[str, list[Step]]:
        return await chain(market, id_)

    found, steps = session.run(work)
    if session.as_json:
        session.say({"trace_id": found, "steps": steps})
        return
    session.console.print(Text(found, style="bold"))
    began = steps[0].time.ToNanoseconds()
    for step in steps:
        after = (step.time.ToNanoseconds() - began) / 1e9
        head = f"{clock(time_of(step.time))}  {after:+9.3f} s  {step.service:<13}  "
        kind = Text(f"{step.kind:<10}", style=_STYLES.get(step.kind, ""))
        session.console.print(
            Text(head, style="dim"), kind, Text(f"{step.subject_id}  {step.detail}"), sep=""
        )


async def chain(market: Market, id_: str) -> tuple[str, list[Step]]:
    """The trace's id and its steps by time, of every service. NotFound if none knows the id."""
    asked, steps = id_, list[Step]()
    own = [market.positions.steps, market.notifications.steps]
    for ask in own:
        found, _ = await ask(asked)
        asked = found or asked
    for ask in own:
        steps += (await ask(asked))[1]
    if not steps:
        raise NotFound(f"nothing is known of {id_}", reason="TRACE_UNKNOWN")
    return asked, by_time(steps)


_ORDER = (
    "event",
    "alert",
    "advice",
    "proposal",
    "notice",
    "delivery",
    "attempt",
    "receipt",
    "read",
    "accepted",
    "order",
)


def by_time(steps: Sequence[Step]) -> list[Step]:
    """Steps in the order in which they happened; of one moment, causes come before what they caused."""
    rank = {kind: at for at, kind in enumerate(_ORDER)}
    return sorted(steps, key=lambda step: (step.time.ToNanoseconds(), rank.get(step.kind, len(rank))))
