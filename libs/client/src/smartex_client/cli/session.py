"""What every command needs: where to connect, how to speak, and what an error means to the shell."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, NoReturn, TextIO

import typer
from rich.console import Console

from smartex_client import errors
from smartex_client.connection import RetryPolicy, Tls
from smartex_client.market import Market, connect
from smartex_client.messages import CHINESE, ENGLISH

from .failures import in_words
from .labels import label
from .output import Harmless, plain


class Exit(IntEnum):
    """What the exit code says."""

    OK = 0
    FAULT = 1
    """A bug, here or in the exchange."""
    USAGE = 2
    """The command or its input is wrong."""
    REJECTED = 3
    """The market said no."""
    NOT_FOUND = 4
    AUTH = 5
    """The token is missing, expired, or not allowed to."""
    UNAVAILABLE = 6
    """The exchange cannot be reached, is busy, or did not answer in time."""
    DISAGREES = 7
    """A comparison failed (replay, state hash)."""
    INTERRUPTED = 130


_CODES: tuple[tuple[type[errors.SmartexError], Exit], ...] = (
    (errors.InvalidInput, Exit.USAGE),
    (errors.OrderRejected, Exit.REJECTED),
    (errors.FailedPrecondition, Exit.REJECTED),
    (errors.NotFound, Exit.NOT_FOUND),
    (errors.Unauthenticated, Exit.AUTH),
    (errors.PermissionDenied, Exit.AUTH),
    (errors.Retryable, Exit.UNAVAILABLE),
)


def exit_code(error: errors.SmartexError) -> Exit:
    """What an error means to the shell."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.FAULT)


def cannot_write(path: Path, error: Exception, field: str) -> errors.InvalidInput:
    """The error for a file that could not be written."""
    why = getattr(error, "strerror", None) or error
    return errors.InvalidInput(f"cannot write {path}: {why}", field=field)


def mute(stream: TextIO) -> None:
    """Let what is still to be written go nowhere: the reader (head, less) has enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _leave_quietly() -> NoReturn:
    mute(sys.stdout)
    raise typer.Exit(Exit.OK)


class _Console(Console):
    """Text is what people wrote: nothing in it is markup, or tells the terminal what to do."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)
        self.push_render_hook(Harmless())

    def on_broken_pipe(self) -> None:
        """Rich would leave with 1. Who does not read an error is told by the exit code all the same."""
        if not self.stderr:
            _leave_quietly()
        mute(sys.stderr)


class Colours:
    """Green is up in most of the world, red is up in China."""

    def __init__(self, convention: str) -> None:
        self.up, self.down = ("red", "green") if convention == "cn" else ("green", "red")

    def side(self, side: str) -> str:
        """The colour of buy or sell."""
        return self.up if side == "buy" else self.down


@dataclass
class Session:
    """The options of the whole command."""

    url: str | None = None
    token: str | None = None
    token_file: Path | None = None
    profile: str | None = None
    tls: Tls | None = None
    as_json: bool = False
    language: str = ENGLISH
    colours: Colours = Colours("intl")  # noqa: RUF009 - never changed
    timeout: float = 10.0

    @property
    def console(self) -> Console:
        """Where tables go."""
        # Where no terminal limits the lines, nothing is cut.
        width = None if sys.stdout.isatty() else 200
        return _Console(width=width)

    def word(self, text: str) -> str:
        """A heading or state in the chosen language."""
        return label(text, self.language)

    def market(self) -> Market:
        """The client that the options describe."""
        return connect(
            self.url,
            token=self.token,
            token_file=self.token_file,
            profile=self.profile,
            tls=self.tls,
            retry=RetryPolicy(deadline=self.timeout, attempt_deadline=min(5.0, self.timeout)),
            lang=self.language,
        )

    def run(self, work: Callable[[Market], Awaitable[Any]]) -> Any:
        """Do `work` with a client; leave with a line and an exit code if it fails."""

        async def connected() -> Any:
            async with self.market() as market:
                return await work(market)

        try:
            return asyncio.run(connected())
        except errors.SmartexError as error:
            self.fail(error)
        except KeyboardInterrupt:
            raise typer.Exit(Exit.INTERRUPTED) from None

    def say(self, answer: Any) -> None:
        """One JSON document on a line of its own."""
        try:
            sys.stdout.write(json.dumps(plain(answer), ensure_ascii=False) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            _leave_quietly()

    def write(self, path: Path, content: bytes, field: str) -> None:
        """A file; leaves with a line if it cannot be written."""
        try:
            path.write_bytes(content)
        except (OSError, ValueError) as error:
            self.fail(cannot_write(path, error, field))

    def fail(self, error: errors.SmartexError) -> NoReturn:
        """One line on stderr, then the exit code."""
        self.tell(error)
        raise typer.Exit(exit_code(error))

    def tell(self, error: errors.SmartexError, *, about: str = "") -> None:
        """One line on stderr."""
        if self.as_json:
            try:
                sys.stderr.write(json.dumps(_as_json(error), ensure_ascii=False) + "\n")
            except BrokenPipeError:
                mute(sys.stderr)
            return
        said = in_words(error, self.language)
        text = " ".join(f"{about}{said}{self._advice(error)}".split())
        _Console(stderr=True, soft_wrap=True).print(f"{self.word('error')}: {text}", style="red")

    def _advice(self, error: errors.SmartexError) -> str:
        if isinstance(error, errors.Unauthenticated):
            return self.word("; choose a profile with --as, or make a token with `smartex token issue`")
        if isinstance(error, errors.PermissionDenied):
            if "trade" in error.metadata.get("required", ""):
                return self.word("; choose an investor's profile with --as")
            return self.word("; choose another profile with --as (operators: --as operator)")
        if isinstance(error, errors.OutcomeUnknown) and "client_order_id" in error.metadata:
            return f"; smartex order show --client-id {error.metadata['client_order_id']}"
        if error.reason == "UNREACHABLE":
            return self.word("; `make up` starts one here, --url names another")
        return ""


def _as_json(error: errors.SmartexError) -> dict[str, Any]:
    answer: dict[str, Any] = {"error": error.reason or type(error).__name__, "message": str(error)}
    for name in ("field", "required", "available", "retry_after"):
        found = getattr(error, name, None)
        if found not in (None, ""):
            answer[name] = plain(found)
    return answer | ({"metadata": error.metadata} if error.metadata else {})


def session_of(context: typer.Context) -> Session:
    """The session that the top command made."""
    found = context.find_object(Session)
    return found or Session()


def language_of(environment: str) -> str:
    """The language for a locale such as zh_CN.UTF-8."""
    return CHINESE if environment.lower().startswith("zh") else ENGLISH
