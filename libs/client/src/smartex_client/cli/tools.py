"""smartex token …, smartex kafka, smartex standins"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from smartex_client.errors import NotFound, SmartexError
from smartex_client.profile import folders
from smartex_client.tokens import issue

from .session import cannot_write, session_of
from .times import seconds_of

app = typer.Typer(no_args_is_help=True, help="Tokens of a local exchange.")


@app.command("issue")
def issue_token(
    context: typer.Context,
    account: Annotated[int | None, typer.Option(min=1, help="account that it trades for")] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="trade, read, advise, operate or admin; may be repeated")
    ] = None,
    ttl: Annotated[str, typer.Option(help="how long it holds, e.g. 30m, 12h, 7d")] = "12h",
    subject: Annotated[str | None, typer.Option(help="who it is for")] = None,
    keys: Annotated[Path | None, typer.Option(help="folder of the signing key; else <data>/keys")] = None,
    out: Annotated[Path | None, typer.Option(help="write it to this file (mode 0600) instead")] = None,
) -> None:
    """Issue a token with the key of the exchange on this machine."""
    session = session_of(context)
    try:
        scopes = [word for each in scope or ["trade"] for word in each.replace(",", " ").split()]
        token = issue(
            keys or keys_folder(),
            subject=subject or (f"account-{account}" if account else "operator"),
            account_id=account,
            scopes=scopes,
            ttl_seconds=seconds_of(ttl, "ttl"),
        )
        if out is not None:
            _write_secret(out, token + "\n")
    except SmartexError as error:
        session.fail(error)
    if session.as_json:
        session.say({"token_file": str(out)} if out else {"token": token})
    elif out is None:
        typer.echo(token)


def _write_secret(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
    except (OSError, ValueError) as error:
        raise cannot_write(path, error, "out") from None


def keys_folder() -> Path:
    """Where the exchange on this machine keeps its keys."""
    for folder in folders():
        if (folder / "keys").is_dir():
            return folder / "keys"
    raise NotFound(
        "no keys of an exchange on this machine: start it once (`make up`), or name the folder with --keys",
        reason="KEY_NOT_FOUND",
    )


def kafka(context: typer.Context) -> None:
    """Run a local Kafka for development; `smartex kafka --help` prints its options."""
    _become("smartex_bus.kafka_server", context)


def standins(context: typer.Context) -> None:
    """Run stand-ins of the push providers with a phone page; `smartex standins --help` prints their options."""
    _become("smartex_standins", context)


def installed(module: str) -> bool:
    """Whether a library that brings a program of its own is installed."""
    return importlib.util.find_spec(module) is not None


def _become(module: str, context: typer.Context) -> None:
    os.execv(sys.executable, [sys.executable, "-m", module, *context.args])
