"""smartex replay …"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from smartex_client.errors import InvalidInput, SmartexError
from smartex_client.lobster import BookRow, Message, read_books, read_messages
from smartex_client.market import Market
from smartex_client.profile import find, resolve
from smartex_client.replaying import Result, replay

from .session import Exit, Session, session_of
from .tools import keys_folder

app = typer.Typer(no_args_is_help=True, help="Replay recorded markets through the exchange.")


@app.callback()
def group() -> None:
    """Replay recorded markets through the exchange."""


@app.command("lobster")
def lobster(
    context: typer.Context,
    messages: Annotated[Path, typer.Argument(help="LOBSTER message file (…_message_10.csv)")],
    books: Annotated[Path, typer.Argument(help="LOBSTER book file (…_orderbook_10.csv)")],
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="only the first messages")] = None,
    keys: Annotated[Path | None, typer.Option(help="folder of the signing key; else <data>/keys")] = None,
) -> None:
    """Replay a LOBSTER sample in a new instrument and compare the book after every message.

    Uses the profile `operator` unless told otherwise. Exit code 7 if anything differs.
    """
    session = session_of(context)
    try:
        recorded, rows = read_messages(messages)[:limit], read_books(books)[:limit]
        folder = keys or keys_folder()
        if (
            session.profile is None
            and session.token is None
            and session.token_file is None
            and find("operator")
        ):
            session.profile = "operator"
    except SmartexError as error:
        session.fail(error)
    result = session.run(lambda market: _replay(session, market, folder, recorded, rows))
    if session.as_json:
        session.say(dataclasses.asdict(result) | {"agrees": result.agrees})
    else:
        session.console.print(
            f"books {result.books}/{result.messages}, executions {result.executions}/{result.executions_total}"
        )
        if not result.agrees:
            session.console.print(f"refused {result.refused}; {result.first_difference}", style="red")
    if not result.agrees:
        raise typer.Exit(Exit.DISAGREES)


async def _replay(
    session: Session, market: Market, keys: Path, messages: list[Message], books: list[BookRow]
) -> Result:
    found = resolve(
        url=session.url,
        token=session.token,
        token_file=session.token_file,
        profile=session.profile,
        tls=session.tls,
    )
    if found.tls is not None:
        raise InvalidInput("the replay runs on a local exchange, without TLS", field="ca")
    columns = (
        TextColumn("replaying"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replay", total=len(messages))
        return await replay(
            market, found.url, keys, messages, books, lambda done: progress.update(task, completed=done)
        )
