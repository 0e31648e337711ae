"""Which database failures pass by themselves, and waiting for that."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import asyncpg

from .errors import DatabaseRefused, DatabaseUnavailable, StoreError

_T = TypeVar("_T")

#: The connection broke or cannot be made. asyncpg says InterfaceError if it is closed already.
_LOST: tuple[type[BaseException], ...] = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    OSError,
)
#: All that asyncpg may raise; TimeoutError is an OSError.
CLIENT_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
#: The transaction lost against another one and may be run again as a whole.
_CONFLICT = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)


def is_connection_lost(error: BaseException) -> bool:
    """Whether the error means that the server was out of reach, not that the SQL was wrong."""
    if type(error) is asyncpg.InternalClientError:
        # asyncpg says so if the server sent its farewell while the connection was idle.
        return str(error).startswith("cannot switch to state")
    if isinstance(error, asyncpg.InterfaceError):
        # The pool takes a connection that broke while idle away from its user.
        return any(words in str(error) for words in ("connection is closed", "released back to the pool"))
    return isinstance(error, _LOST)


def is_retryable(error: BaseException) -> bool:
    """Whether running the same whole transaction again may succeed, provided that it is idempotent."""
    if isinstance(error, StoreError):
        return error.category == "retryable"
    return isinstance(error, _CONFLICT) or is_connection_lost(error)


def backoff(
    attempt: int, *, first: float = 0.05, last: float = 2.0, rng: random.Random | None = None
) -> float:
    """Seconds before retry number `attempt` (from 1): doubling up to `last`, the upper half of it random."""
    top = min(last, first * 2.0 ** min(attempt - 1, 30))
    return top / 2 + (rng or random).uniform(0, top / 2)


async def retrying(
    operation: Callable[[], Awaitable[_T]], *, within: float = 30.0, rng: random.Random | None = None
) -> _T:
    """Run an idempotent operation again, with backoff, until it succeeds or `within` seconds are over.

    Only failures that `is_retryable` are repeated; the last one is raised when time is up (a lost connection
    as DatabaseUnavailable). Not for writes that would count twice: see `DatabaseUnavailable.maybe_committed`.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    attempt = 0
    while True:
        try:
            return await operation()
        except Exception as error:
            attempt += 1
            delay = backoff(attempt, rng=rng)
            if not is_retryable(error):
                raise
            if loop.time() + delay > deadline:
                if is_connection_lost(error):
                    raise unavailable(error) from error
                raise
        await asyncio.sleep(delay)


async def connecting(attempt: Callable[[], Awaitable[_T]], within: float) -> _T:
    """Connect, trying for `within` seconds while the server is away; a refusal is final at once."""
    try:
        return await retrying(attempt, within=within)
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise DatabaseRefused(
            f"the database refused the connection ({error}): check the user, password and name in its URL"
        ) from error
    except ValueError:
        # Without the driver's words: where a password holds a / or @, they repeat a part of it.
        raise DatabaseRefused(
            "the database's URL cannot be read: it is postgresql://user:password@host:port/name, with %40 for an @ "
            "and %2F for a / in the password"
        ) from None


@contextlib.contextmanager
def typed(*, maybe_committed: bool = False, body: bool = False) -> Iterator[None]:
    """Make lost connections DatabaseUnavailable. Around a caller's `body`, files and timeouts are its own."""
    try:
        yield
    except CLIENT_ERRORS as error:
        own = body and isinstance(error, OSError) and not isinstance(error, ConnectionError)
        if own or not is_connection_lost(error):
            raise
        raise unavailable(error, maybe_committed=maybe_committed) from error


def unavailable(error: BaseException, *, maybe_committed: bool = False) -> DatabaseUnavailable:
    """The typed error for a lost connection."""
    detail = str(error) or type(error).__name__
    return DatabaseUnavailable(
        f"the database cannot be reached ({detail}): check that it runs and try again",
        maybe_committed=maybe_committed,
    )
