"""The client without asyncio: the same calls, on an event loop of its own in a thread."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from functools import cached_property, update_wrapper
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload
from weakref import WeakSet

from .connection import RetryPolicy, Tls, client_closed
from .conversations import Conversations
from .errors import Final
from .market import Market, connect
from .messages import ENGLISH
from .notifications import Notifications
from .operator import Venue
from .positions import Positions

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)


_GRACE, _PATIENCE = 0.5, 5.0
"""Seconds that work gets to end by itself, and once cancelled to clean up."""

_open_loops: WeakSet[Loop] = WeakSet()


class Loop:
    """An event loop in a daemon thread. What is still open when the program ends is closed then."""

    def __init__(self) -> None:
        self._closed = False
        # Iterators may be collected, and so close, while this very thread submits: hence reentrant.
        self._submitting = threading.RLock()
        self._loop = asyncio.new_event_loop()
        _open_loops.add(self)
        self._thread = threading.Thread(target=self._loop.run_forever, name="smartex-client", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Do it there and wait. An interrupt (Ctrl-C) cancels it. Final if it is closed, or closes meanwhile."""
        future = self._submit(work)
        if future is None:
            raise client_closed()
        try:
            return future.result()
        except CancelledError:
            if self._closed:
                raise client_closed() from None
            raise
        except BaseException:
            future.cancel()
            raise

    def leave(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it there some time, if it is not closed. Never waits: the collector may call it anywhere."""
        self._submit(work)

    def close(self) -> None:
        """Cancel what runs there, then stop the loop and its thread. May be repeated."""
        with self._submitting:
            ending = self._submit(self._end())
            self._closed = True
        if ending is None:
            return
        try:
            ending.result()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _submit(self, work: Coroutine[Any, Any, R]) -> Future[R] | None:
        with self._submitting:
            if not self._closed:
                return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        return None

    async def _end(self) -> None:
        # On a closed connection calls end by themselves, and then say whether they may have been carried out.
        running = asyncio.all_tasks() - {asyncio.current_task()}
        for patience in (_GRACE, _PATIENCE):
            if running:
                _, running = await asyncio.wait(running, timeout=patience)
            for task in running:
                task.cancel()
        await self._loop.shutdown_asyncgens()


@atexit.register
def _close_all() -> None:
    for loop in list(_open_loops):
        loop.close()


class _Part(Generic[S_co]):
    """Something asynchronous and the loop that it lives on."""

    def __init__(self, target: S_co, loop: Loop) -> None:
        self._target = target
        self._loop = loop


class _Call(Generic[S, P, R]):
    """A coroutine method, as a plain one of a `_Part`."""

    def __init__(self, method: Callable[Concatenate[S, P], Awaitable[R]]) -> None:
        self._method = method
        update_wrapper(self, method)  # type: ignore[arg-type]

    @overload
    def __get__(self, part: None, owner: type) -> _Call[S, P, R]: ...
    @overload
    def __get__(self, part: _Part[S], owner: type) -> Callable[P, R]: ...
    def __get__(self, part: _Part[S] | None, owner: type) -> _Call[S, P, R] | Callable[P, R]:
        if part is None:
            return self

        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            async def work() -> R:
                return await self._method(part._target, *args, **kwargs)

            return part._loop.run(work())

        return call


class _List(Generic[S, P, R]):
    """An asynchronous generator method, as a plain one of a `_Part`."""

    def __init__(self, method: Callable[Concatenate[S, P], AsyncIterator[R]]) -> None:
        self._method = method
        update_wrapper(self, method)  # type: ignore[arg-type]

    @overload
    def __get__(self, part: None, owner: type) -> _List[S, P, R]: ...
    @overload
    def __get__(self, part: _Part[S], owner: type) -> Callable[P, Iterator[R]]: ...
    def __get__(self, part: _Part[S] | None, owner: type) -> _List[S, P, R] | Callable[P, Iterator[R]]:
        if part is None:
            return self

        def call(*args: P.args, **kwargs: P.kwargs) -> Iterator[R]:
            return _walk(self._method(part._target, *args, **kwargs), part._loop)

        return call


def _walk(items: AsyncIterator[R], loop: Loop) -> Iterator[R]:
    async def following() -> tuple[bool, R | None]:
        try:
            return True, await anext(items)
        except StopAsyncIteration:
            return False, None

    async def finish() -> None:
        closing = getattr(items, "aclose", None)
        if closing is not None:
            await closing()

    try:
        while True:
            more, item = loop.run(following())
            if not more:
                return
            yield item  # type: ignore[misc]
    finally:
        loop.leave(finish())


class SyncVenue(_Part[Venue]):
    """`Venue`, call by call."""

    status = _Call(Venue.status)
    state_hash = _Call(Venue.state_hash)
    define = _Call(Venue.define)
    set_state = _Call(Venue.set_state)
    open = _Call(Venue.open)
    halt = _Call(Venue.halt)
    close = _Call(Venue.close)
    set_reference_price = _Call(Venue.set_reference_price)
    roll_day = _Call(Venue.roll_day)
    cancel_orders = _Call(Venue.cancel_orders)
    halt_account = _Call(Venue.halt_account)
    open_account = _Call(Venue.open_account)
    deposit = _Call(Venue.deposit)
    withdraw = _Call(Venue.withdraw)
    deposit_shares = _Call(Venue.deposit_shares)
    withdraw_shares = _Call(Venue.withdraw_shares)


class SyncPositions(_Part[Positions]):
    """`Positions`, call by call."""

    portfolio = _Call(Positions.portfolio)
    portfolio_at = _Call(Positions.portfolio_at)
    live_portfolio = _List(Positions.live_portfolio)
    history = _List(Positions.history)
    risk = _Call(Positions.risk)
    profile = _Call(Positions.profile)
    questionnaire = _Call(Positions.questionnaire)
    answer_questionnaire = _Call(Positions.answer_questionnaire)
    habits = _Call(Positions.habits)
    alerts = _List(Positions.alerts)
    acknowledge = _Call(Positions.acknowledge)
    list_advice = _List(Positions.list_advice)
    advice = _Call(Positions.advice)
    accept_advice = _Call(Positions.accept_advice)
    dismiss_advice = _Call(Positions.dismiss_advice)
    advice_records = _Call(Positions.advice_records)
    limits = _Call(Positions.limits)
    set_limits = _Call(Positions.set_limits)
    supervised = _List(Positions.supervised)
    assign_supervisor = _Call(Positions.assign_supervisor)
    import_prices = _Call(Positions.import_prices)
    steps = _Call(Positions.steps)
    place_suggested = _Call(Positions.place_suggested)


class SyncNotifications(_Part[Notifications]):
    """`Notifications`, call by call."""

    inbox = _List(Notifications.inbox)
    unread = _Call(Notifications.unread)
    live_inbox = _List(Notifications.live_inbox)
    mark_read = _Call(Notifications.mark_read)
    preferences = _Call(Notifications.preferences)
    set_preferences = _Call(Notifications.set_preferences)
    addresses = _Call(Notifications.addresses)
    add_address = _Call(Notifications.add_address)
    verify_address = _Call(Notifications.verify_address)
    remove_address = _Call(Notifications.remove_address)
    link_wechat = _Call(Notifications.link_wechat)
    deliveries = _List(Notifications.deliveries)
    replay = _Call(Notifications.replay)
    send = _Call(Notifications.send)
    templates = _Call(Notifications.templates)
    put_template = _Call(Notifications.put_template)
    preview = _Call(Notifications.preview)
    channels = _Call(Notifications.channels)
    steps = _Call(Notifications.steps)


class SyncConversations(_Part[Conversations]):
    """`Conversations`, call by call."""

    grant = _Call(Conversations.grant)
    revoke = _Call(Conversations.revoke)
    mandates = _Call(Conversations.mandates)
    open = _Call(Conversations.open)
    threads = _List(Conversations.threads)
    post = _Call(Conversations.post)
    messages = _List(Conversations.messages)
    live_messages = _List(Conversations.live_messages)
    answer = _Call(Conversations.answer)
    search = _List(Conversations.search)
    export = _Call(Conversations.export)


class SyncMarket(_Part[Market]):
    """`Market` for plain code: the same calls, which wait; lists and subscriptions are plain iterators."""

    buy = _Call(Market.buy)
    sell = _Call(Market.sell)
    place = _Call(Market.place)
    cancel = _Call(Market.cancel)
    amend = _Call(Market.amend)
    mass_cancel = _Call(Market.mass_cancel)
    get_order = _Call(Market.get_order)
    orders = _List(Market.orders)
    fills = _List(Market.fills)
    account = _Call(Market.account)
    ledger = _List(Market.ledger)
    instruments = _Call(Market.instruments)
    instrument = _Call(Market.instrument)
    book = _Call(Market.book)
    trades = _List(Market.trades)
    candles = _List(Market.candles)
    subscribe = _List(Market.subscribe)
    live_book = _List(Market.live_book)
    live_trades = _List(Market.live_trades)

    @cached_property
    def venue(self) -> SyncVenue:
        """What operators do."""
        return SyncVenue(self._target.venue, self._loop)

    @cached_property
    def positions(self) -> SyncPositions:
        """What the account has, risks and is advised to do."""
        return SyncPositions(self._target.positions, self._loop)

    @cached_property
    def notifications(self) -> SyncNotifications:
        """What reaches the investor, and how."""
        return SyncNotifications(self._target.notifications, self._loop)

    @cached_property
    def conversations(self) -> SyncConversations:
        """Talk between investors and traders."""
        return SyncConversations(self._target.conversations, self._loop)

    def close(self) -> None:
        """Close the client for good and stop the thread: iterators in other threads end. May be repeated."""
        try:
            with contextlib.suppress(Final):  # closed before
                self._loop.run(self._target.close())
        finally:
            self._loop.close()

    def __enter__(self) -> SyncMarket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def connect_sync(
    url: str | None = None,
    *,
    token: str | None = None,
    token_file: str | Path | None = None,
    profile: str | None = None,
    tls: Tls | bool | None = None,
    retry: RetryPolicy | None = None,
    lang: str = ENGLISH,
) -> SyncMarket:
    """`connect`, for code without asyncio. Close it, or use it as a context manager."""
    market = connect(
        url, token=token, token_file=token_file, profile=profile, tls=tls, retry=retry, lang=lang
    )
    return SyncMarket(market, Loop())
