"""What the commands beside the market share: texts in two languages, times, shares and ids."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import typer
from google.protobuf.timestamp_pb2 import Timestamp
from rich.text import Text
from smartex.positions.v1 import types_pb2 as types

from smartex_client.convert import from_ns
from smartex_client.words import word

from .session import Session

Whose = Annotated[int, typer.Option("--account", min=0, help="supervisors: whose; else your own")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, help="at most so many, newest first")]

_SEVERITY = {"info": "", "warning": "yellow", "critical": "bold red"}


def text_of(session: Session, text: Any) -> str:
    """A text in the session's language; in the other one if it is said in that alone."""
    said = (text.zh, text.en) if session.language.startswith("zh") else (text.en, text.zh)
    return str(said[0] or said[1])


def time_of(stamp: Timestamp) -> datetime | None:
    """A time; None if it is not set."""
    return from_ns(stamp.ToNanoseconds()) if stamp.seconds or stamp.nanos else None


def percent(value: float) -> str:
    """A share as a percentage."""
    return f"{value * 100:,.1f} %"


def index(value: float) -> str:
    """A figure from 0 to 1 that is no share of anything, such as the concentration index."""
    return f"{value:.3f}"


def money(value: str | float) -> str:
    """An amount with thousands apart, to the cent."""
    return f"{Decimal(str(value) or '0'):,.2f}" if value != "" else ""


def gain(session: Session, value: str | float) -> Text:
    """An amount in the colour of its sign."""
    if value == "":
        return Text("")
    amount = Decimal(str(value))
    style = "" if not amount else session.colours.up if amount > 0 else session.colours.down
    return Text(f"{amount:+,.2f}" if amount else "0.00", style=style)


def severity(session: Session, number: int) -> Text:
    """A severity in its colour."""
    name = word(types.Severity, number)
    return Text(session.word(name), style=_SEVERITY.get(name, ""))
