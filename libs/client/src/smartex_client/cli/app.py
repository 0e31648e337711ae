"""The command's tree and its options."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from smartex_client.messages import CHINESE, ENGLISH
from smartex_client.profile import tls_of

from . import (
    accounts,
    advice,
    chat,
    inbox,
    markets,
    notify,
    orders,
    portfolio,
    replay,
    risk,
    tools,
    trace,
    venue,
)
from .session import Colours, Exit, Session, language_of, mute

EPILOG = (
    "The options above may stand anywhere on the line. Exit codes: 0 done, 1 a bug, 2 wrong usage or input, "
    "3 the market refused, 4 not found, 5 token missing or not allowed, 6 exchange unreachable, busy or silent, "
    "7 a comparison failed, 130 interrupted."
)

app = typer.Typer(
    name="smartex",
    no_args_is_help=True,
    epilog=EPILOG,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(orders.app, name="order")
app.command("book")(markets.book)
app.command("trades")(markets.trades)
app.command("candles")(markets.candles)
app.add_typer(accounts.app, name="account")
app.add_typer(markets.app, name="instrument")
app.add_typer(portfolio.app, name="portfolio")
app.add_typer(risk.app, name="risk")
app.command("habits")(portfolio.habits)
app.add_typer(advice.alerts, name="alert")
app.add_typer(advice.app, name="advice")
app.add_typer(inbox.app, name="inbox")
app.add_typer(chat.app, name="chat")
app.add_typer(notify.app, name="notify")
app.command("trace")(trace.trace)
app.add_typer(venue.app, name="venue")
app.command("status")(venue.status)
app.add_typer(tools.app, name="token")
app.add_typer(replay.app, name="replay")
_PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
if tools.installed("smartex_bus"):
    app.command("kafka", context_settings=_PASSED_ON)(tools.kafka)
if tools.installed("smartex_standins"):
    app.command("standins", context_settings=_PASSED_ON)(tools.standins)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("smartex-client"))
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    url: Annotated[
        str | None, typer.Option(help="host:port of the exchange (or SMARTEX_URL)", show_default=False)
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile", "--as", help="profile: alice, bob, operator, or a file (or SMARTEX_PROFILE)"
        ),
    ] = None,
    token: Annotated[str | None, typer.Option(help="token; better a file (or SMARTEX_TOKEN)")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="file with the token (or SMARTEX_TOKEN_FILE)")
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(help="use TLS and trust these certificates (or SMARTEX_CA_FILE)")
    ] = None,
    cert: Annotated[
        Path | None,
        typer.Option(help="certificate to show to an exchange that asks for one (or SMARTEX_CERT_FILE)"),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="its private key (or SMARTEX_KEY_FILE)")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON on stdout and nothing else; streams: one document a line")
    ] = False,
    lang: Annotated[
        str | None, typer.Option(help="en or zh-CN; else as the locale says", show_default=False)
    ] = None,
    colours: Annotated[
        str | None, typer.Option(help="intl (green is up) or cn (red is up) (or SMARTEX_COLOURS)")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="seconds for a call with all its retries")] = 10.0,
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="print the version and leave")
    ] = False,
) -> None:
    """Trade on a smart exchange, look at its market, and run it."""
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG", "")
    convention = colours or os.environ.get("SMARTEX_COLOURS") or "intl"
    if lang not in (None, ENGLISH, CHINESE):
        raise typer.BadParameter(f"{lang!r} is not one of {ENGLISH}, {CHINESE}", param_hint="--lang")
    if convention not in ("cn", "intl"):
        raise typer.BadParameter(f"{convention!r} is not one of cn, intl", param_hint="--colours")
    context.obj = Session(
        url=url,
        token=token,
        token_file=token_file,
        profile=profile,
        tls=tls_of(ca, cert, key),
        as_json=as_json,
        language=lang or language_of(locale),
        colours=Colours(convention),
        timeout=timeout,
    )


_CONNECTION = ("--url", "--profile", "--as", "--token", "--token-file", "--ca", "--cert", "--key")
_WITH_VALUE = frozenset((*_CONNECTION, "--lang", "--colours", "--timeout"))


def hoisted(words: Sequence[str]) -> list[str]:
    """The command line with the options of the whole command in front, wherever they stood."""
    front: list[str] = []
    rest: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--":
            rest += [word, *left]
        elif word == "--json" or (word.partition("=")[0] in _WITH_VALUE and "=" in word):
            front.append(word)
        elif word in _WITH_VALUE:
            front += [word, *([value] if (value := next(left, None)) is not None else [])]
        else:
            rest.append(word)
    return front + rest


def main(words: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit code."""
    try:
        app(args=hoisted(sys.argv[1:] if words is None else words))
    except SystemExit as left:
        if not isinstance(left.__context__, BrokenPipeError):
            raise
        # A reader (head, less) had enough and Typer left with 1; what was told knows better: usage stays usage.
        mute(sys.stdout)
        mute(sys.stderr)
        raise SystemExit(getattr(left.__context__.__context__, "exit_code", Exit.OK)) from None
