"""The client: one object for everything that an account or an operator does."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from types import TracebackType

from .connection import Connection, RetryPolicy, Tls
from .conversations import Conversations
from .market_data import MarketData
from .messages import ENGLISH
from .notifications import Notifications
from .operator import Venue
from .orders import Orders
from .positions import Positions
from .profile import read, resolve
from .queries import Queries
from .streams import StreamOptions, TradeStream


class Market(Orders, Queries, MarketData):
    """A connection to the exchange. Make it with `connect`; use it as a context manager, or `close` it.

    Prices and quantities are `Decimal` (or int, or str) in people's units, instruments are symbols or numbers.
    Safe for any number of tasks of one event loop.
    """

    @cached_property
    def venue(self) -> Venue:
        """What operators do."""
        return Venue(self._connection, self._catalogue, self._ids, self._language)

    @cached_property
    def positions(self) -> Positions:
        """What the account has, risks and is advised to do."""
        return Positions(self._connection, self._catalogue, self._ids, self._language)

    @cached_property
    def notifications(self) -> Notifications:
        """What reaches the investor, and how."""
        return Notifications(self._connection, self._catalogue, self._ids, self._language)

    @cached_property
    def conversations(self) -> Conversations:
        """Talk between investors and traders."""
        return Conversations(self._connection, self._catalogue, self._ids, self._language)

    def trade_stream(
        self, *, cancel_on_disconnect: float | None = None, window: int = 0, resume_sequence: int = 0
    ) -> TradeStream:
        """A stream of commands and reports; `async with` opens it. See `StreamOptions` for what is valid."""
        options = StreamOptions(cancel_on_disconnect, window, resume_sequence)
        return TradeStream(self._connection, self._catalogue, self._ids, self._language, options)

    def fresh_ids(self, count: int) -> int:
        """The first of `count` unused order ids in a row, for rows made by hand."""
        return self._ids.take(count)

    async def close(self) -> None:
        """Close the client for good: streams on it end, calls raise `Final`. May be repeated."""
        await self._connection.close()

    async def __aenter__(self) -> Market:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def connect(
    url: str | None = None,
    *,
    token: str | None = None,
    token_file: str | Path | None = None,
    profile: str | None = None,
    tls: Tls | bool | None = None,
    retry: RetryPolicy | None = None,
    lang: str = ENGLISH,
) -> Market:
    """A client; the connection is made with the first call.

    What is left out comes from `SMARTEX_URL`, `SMARTEX_TOKEN` or `SMARTEX_TOKEN_FILE`, and then from the profile
    (`SMARTEX_PROFILE`, or the default one that `make up` writes to `./data/profiles`); the files of `tls` from
    `SMARTEX_CA_FILE`, `SMARTEX_CERT_FILE`, `SMARTEX_KEY_FILE` and the profile likewise. `tls=True` trusts what the
    system trusts, `False` goes in the clear whatever they say. `lang` ("en", "zh-CN") is the language of rejections.
    InvalidInput if a profile is missing or broken.
    """
    given = tls if isinstance(tls, Tls) else None
    found = resolve(url=url, token=token, token_file=token_file, profile=profile, tls=given)
    secure = None if tls is False else found.tls or (Tls() if tls else None)
    connection = Connection(found.url, found.token_source(), secure, retry or RetryPolicy())
    return Market(connection, language=lang)


def connect_as(profile: Path) -> Market:
    """A client as this file says, whatever the environment says: for programs that act as several people."""
    own = read(profile)
    return Market(Connection(own.url, own.token_source(), own.tls, RetryPolicy()))
