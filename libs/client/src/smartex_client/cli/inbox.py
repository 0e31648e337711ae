"""smartex inbox …"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text
from smartex.notifications.v1 import notice_pb2 as notice_pb
from smartex.notifications.v1 import notification_service_pb2 as pb

from smartex_client.market import Market
from smartex_client.words import word

from .orders import first
from .output import clock, table
from .reading import Limit, text_of, time_of
from .session import Session, session_of

app = typer.Typer(no_args_is_help=True, help="What reached you.")

_STYLES = {notice_pb.URGENCY_CRITICAL: "bold red", notice_pb.URGENCY_HIGH: "yellow"}


@app.command("list")
def list_inbox(
    context: typer.Context,
    unread: Annotated[bool, typer.Option("--unread", help="only what is unread")] = False,
    limit: Limit = 20,
) -> None:
    """List what arrived, newest first."""
    session = session_of(context)

    async def work(market: Market) -> list[pb.InboxEntry]:
        return await first(market.notifications.inbox(unread_only=unread), limit)

    found = session.run(work)
    if session.as_json:
        session.say(found)
        return
    heads = ["notice", "", "time", "title", "opens"]
    rows = [
        (
            each.notice_id,
            "" if each.HasField("read_time") else "●",
            clock(time_of(each.create_time)),
            Text(each.title, style="dim" if each.superseded else _STYLES.get(each.urgency, "")),
            _opens(session, each.card),
        )
        for each in found
    ]
    session.console.print(table([session.word(h) for h in heads], rows) if found else session.word("nothing"))


@app.command()
def watch(
    context: typer.Context,
    after: Annotated[int, typer.Option(min=0, help="from after this position on; else what comes now")] = 0,
) -> None:
    """Show what comes, as it comes, until Ctrl-C."""
    session = session_of(context)

    async def work(market: Market) -> None:
        async for message in market.notifications.live_inbox(after):
            if not message.HasField("entry"):
                continue
            if session.as_json:
                session.say(message)
            else:
                _print(session, message.entry)

    session.run(work)


@app.command()
def show(
    context: typer.Context, notice_id: Annotated[str, typer.Argument(metavar="NOTICE", help="its id")]
) -> None:
    """Show one entry whole; it counts as read then."""
    session = session_of(context)

    async def work(market: Market) -> pb.InboxEntry | None:
        async for entry in market.notifications.inbox():
            if entry.notice_id == notice_id:
                await market.notifications.mark_read([notice_id])
                return entry
        return None

    found: pb.InboxEntry | None = session.run(work)
    if found is None:
        session.console.print(session.word("nothing"))
        raise typer.Exit(4)
    session.say(found) if session.as_json else _print(session, found)


@app.command()
def read(
    context: typer.Context,
    notice_ids: Annotated[list[str] | None, typer.Argument(metavar="NOTICE…", help="which; else all")] = None,
) -> None:
    """Mark entries as read on every device."""
    session = session_of(context)

    async def work(market: Market) -> int:
        faces = market.notifications
        if notice_ids:
            return await faces.mark_read(notice_ids)
        newest = await first(faces.inbox(), 1)
        return await faces.mark_read(up_to_position=newest[0].position) if newest else 0

    left = session.run(work)
    session.say({"unread": left}) if session.as_json else session.console.print(
        f"{session.word('unread')}: {left}"
    )


def _print(session: Session, entry: pb.InboxEntry) -> None:
    console = session.console
    head = f"{clock(time_of(entry.create_time))}  {entry.title}"
    console.print(Text(head, style=_STYLES.get(entry.urgency, "bold")))
    if entry.body:
        console.print(Text(entry.body))
    for line in entry.card.lines:
        console.print(Text(f"  {text_of(session, line.name)}: {text_of(session, line.value)}", style="dim"))
    console.print(Text(f"  {entry.notice_id}  {_opens(session, entry.card)}", style="dim"))


def _opens(session: Session, card: Any) -> str:
    return f"{session.word(word(notice_pb.CardKind, card.kind))} {card.id}" if card.id else ""
