"""The feed: takes each applied frame in, and tells subscribers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from itertools import chain

import numpy as np
import structlog
from smartex.matching.v1.market_data_pb2 import BookSnapshot, Channel
from smartex_chassis import Overloaded, counter, gauge, start_task, stop_tasks

from matching.marketdata import messages
from matching.marketdata.books import LevelView, QuoteView, View, read_state, to_snapshot
from matching.marketdata.candles import CandleBoard, bars, joined, tick_value
from matching.marketdata.deltas import Deltas, Ring
from matching.marketdata.deltas import messages as split
from matching.marketdata.settings import MarketDataSettings
from matching.marketdata.subscribers import (
    BookSubscriber,
    CandleSubscriber,
    ConflatedSubscriber,
    StreamSubscriber,
    Subscriber,
)
from matching.marketdata.turnstile import Turnstile
from matching.sources import Bar, Instruments, Market, Rows

L1, L2, L3, TRADES, CANDLES = (
    Channel.CHANNEL_L1,
    Channel.CHANNEL_L2,
    Channel.CHANNEL_L3,
    Channel.CHANNEL_TRADES,
    Channel.CHANNEL_CANDLES,
)

_log = structlog.get_logger("matching.marketdata")
_subscribers = gauge("matching_market_data_subscribers", "Subscriptions being served", ("channel",))
_cuts = counter("matching_market_data_cut_total", "Subscribers cut for reading too slowly", ("channel",))


class Feed:
    """Everything that is published of the books of one pod.

    `on_applied` is called for every frame, in order, on the event loop. It only runs one compiled pass and
    notes what changed; subscribers are told afterwards, a few in each round of the loop.
    """

    def __init__(
        self, market: Callable[[], Market], instruments: Instruments, settings: MarketDataSettings
    ) -> None:
        self.market = market
        self.instruments = instruments
        self.settings = settings
        self.deltas = Deltas(settings.kept_order_changes, settings.kept_trades)
        self.sequence = 0
        self.time_ns = 0
        self._turnstile = Turnstile(settings.turns)
        self._views: dict[int, dict[tuple[int, int], View]] = {}
        self._boards: dict[int, dict[int, CandleBoard]] = {}
        self._followers: dict[int | None, set[Subscriber]] = {}
        self._everyone: set[Subscriber] = set()
        self._changed: dict[int, None] = {}
        self._told: dict[int, int] = {L3: 0, TRADES: 0}
        self._scheduled = False
        self._ticker: asyncio.Task[None] | None = None

    # -- input

    def attach(self, sequence: int) -> None:
        """Begin after `sequence`: before the first frame, and when the core was loaded from a snapshot."""
        self.deltas.reset(sequence)
        self._told = {L3: 0, TRADES: 0}
        self.sequence = sequence

    def on_applied(self, offset: int, first_sequence: int, time_ns: int, events: Rows) -> None:
        """Take an applied frame in; `events` is only read."""
        self.time_ns = max(self.time_ns, time_ns)
        if len(events):
            if first_sequence != self.sequence + 1:
                self.attach(first_sequence - 1)
            self.sequence = first_sequence + len(events) - 1
            touched = self.deltas.apply(first_sequence, self.time_ns, events)
        else:
            touched = []
        if not self._everyone:
            self._told = {L3: self.deltas.orders.head, TRADES: self.deltas.trades.head}
            return
        for instrument_id in touched:
            for view in self._views.get(instrument_id, {}).values():
                view.touch()
            self._changed[instrument_id] = None
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self.tell)

    # -- life

    async def start(self) -> None:
        """Begin to send heartbeats."""
        self._ticker = start_task(self._tick(), "market-data-heartbeats")

    async def stop(self) -> None:
        """Send no more."""
        await stop_tasks(self._ticker)
        self._ticker = None

    @property
    def subscriber_count(self) -> int:
        """Subscriptions being served."""
        return len(self._everyone)

    # -- subscriptions

    def subscribe_stream(
        self, channel: int, wanted: frozenset[int] | None, resume_sequence: int
    ) -> StreamSubscriber:
        """A subscription to L3 or trades, from where it left off or else from snapshots. One that is ahead of this
        pod is told nothing until the pod has come there."""
        self._check_room()
        self._catch_up()  # what is told from here on is after the snapshot
        subscriber = StreamSubscriber(
            channel,
            wanted,
            max_messages=self.settings.queue_messages,
            max_bytes=self.settings.queue_bytes,
        )
        if self._can_resume(self._ring(channel), resume_sequence):
            subscriber.resumed_at = resume_sequence
            subscriber.floors = dict.fromkeys(self.ids_of(wanted), resume_sequence)
            subscriber.start(self._missed(channel, wanted, resume_sequence))
        else:
            for instrument_id in self.ids_of(wanted):
                self._begin(subscriber, instrument_id)
            # Tells the reader that it has all snapshots: from here on it can resume.
            subscriber.start((messages.heartbeat(self.sequence, self.time_ns),))
        self._enter(subscriber)
        return subscriber

    def subscribe_book(self, channel: int, wanted: frozenset[int] | None, depth: int) -> BookSubscriber:
        """A subscription to L1 or L2."""
        self._check_room()
        subscriber = BookSubscriber(
            channel, wanted, lambda instrument_id: self._view(instrument_id, channel, depth)
        )
        subscriber.dirty = dict.fromkeys(self.ids_of(wanted))
        self._enter(subscriber)
        return subscriber

    def subscribe_candles(self, wanted: frozenset[int] | None, seconds: int) -> CandleSubscriber:
        """A subscription to candles; the boards that it needs were opened by `open_board`."""
        self._check_room()
        subscriber = CandleSubscriber(
            CANDLES, wanted, seconds, lambda instrument_id: self.board(instrument_id, seconds)
        )
        subscriber.dirty = dict.fromkeys(self.ids_of(wanted))
        self._enter(subscriber)
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        """End a subscription; may be repeated."""
        if subscriber not in self._everyone:
            return
        self._everyone.discard(subscriber)
        for key in self._keys(subscriber):
            followers = self._followers[key]
            followers.discard(subscriber)
            if not followers:
                del self._followers[key]
        _subscribers.labels(_name(subscriber.channel)).dec()
        if not self._everyone:
            self._views.clear()
            self._boards.clear()

    def ask(self, subscriber: Subscriber) -> None:
        """Queue up for a turn to write."""
        self._turnstile.ask(subscriber.turn)

    def board(self, instrument_id: int, seconds: int) -> CandleBoard:
        """The candles of an instrument; new if nobody follows them yet."""
        boards = self._boards.setdefault(instrument_id, {})
        if seconds not in boards:
            boards[seconds] = self._new_board(instrument_id, seconds)
        return boards[seconds]

    def open_board(self, instrument_id: int, seconds: int, position: int, past: list[Bar]) -> None:
        """Begin to follow candles with what the history tells up to `position`, and what traded since."""
        self._catch_up()  # what is told from here on is not among the kept trades
        rows = self.trades_after(instrument_id, position)
        board = self._new_board(instrument_id, seconds)
        board.add(joined(past, bars(rows, seconds) if rows is not None else ()))
        board.tell_time(self.time_ns)
        self._boards.setdefault(instrument_id, {})[seconds] = board

    def has_board(self, instrument_id: int, seconds: int) -> bool:
        """Whether somebody follows these candles."""
        return seconds in self._boards.get(instrument_id, {})

    def trades_after(self, instrument_id: int, sequence: int) -> Rows | None:
        """Kept trades of an instrument after `sequence`, in order; None if some are no longer kept."""
        ring = self.deltas.trades
        if sequence > 0 and not ring.holds_all_after(sequence):
            return None
        rows = ring.after(sequence)
        chosen: Rows = rows[(rows["instrument_id"] == instrument_id) & (rows["sequence"] > sequence)]
        return chosen

    # -- inner parts

    def _check_room(self) -> None:
        if len(self._everyone) >= self.settings.max_subscribers:
            raise Overloaded(
                "this pod serves as many subscriptions as it may: try another, or again later",
                reason="TOO_MANY_SUBSCRIPTIONS",
            )

    def _enter(self, subscriber: Subscriber) -> None:
        self._everyone.add(subscriber)
        for key in self._keys(subscriber):
            self._followers.setdefault(key, set()).add(subscriber)
        subscriber.spoke_at = time.monotonic()
        _subscribers.labels(_name(subscriber.channel)).inc()
        self.ask(subscriber)

    @staticmethod
    def _keys(subscriber: Subscriber) -> Iterable[int | None]:
        return (None,) if subscriber.wanted is None else subscriber.wanted

    def ids_of(self, wanted: frozenset[int] | None) -> Iterable[int]:
        """The instruments that are wanted, None for all that there are now; ascending."""
        if wanted is None:
            return [instrument.instrument_id for instrument in self.instruments.all()]
        return sorted(wanted)

    def _ring(self, channel: int) -> Ring:
        return self.deltas.orders if channel == L3 else self.deltas.trades

    def _view(self, instrument_id: int, channel: int, depth: int) -> View:
        views = self._views.setdefault(instrument_id, {})
        key = (channel, depth)
        if key not in views:
            views[key] = (
                QuoteView(self.market, instrument_id)
                if channel == L1
                else LevelView(self.market, instrument_id, depth)
            )
        return views[key]

    def _new_board(self, instrument_id: int, seconds: int) -> CandleBoard:
        instrument = self.instruments.get(instrument_id)
        return CandleBoard(instrument_id, seconds, tick_value(instrument) if instrument else 1)

    def _can_resume(self, ring: Ring, sequence: int) -> bool:
        return sequence > 0 and ring.holds_all_after(sequence)

    def _missed(self, channel: int, wanted: frozenset[int] | None, sequence: int) -> list[bytes]:
        """The kept messages with a higher sequence."""
        ring = self._ring(channel)
        encode = messages.order_update if channel == L3 else messages.trade_batch
        found = []
        for rows in split(ring.after(sequence)):
            last = rows[-1]
            if int(last["sequence"]) <= sequence:
                continue
            if wanted is not None and int(last["instrument_id"]) not in wanted:
                continue
            if ring.start_sequence and int(last["previous"]) == ring.start_sequence:
                # What came before is not known to this pod, only that nothing is missing after `sequence`.
                rows["previous"] = sequence
            found.append(encode(rows))
        return found

    def _begin(self, subscriber: StreamSubscriber, instrument_id: int) -> None:
        """Queue the snapshot of an instrument; later messages go on from it."""
        sequence = self._ring(subscriber.channel).last_sequence(instrument_id)
        subscriber.floors[instrument_id] = sequence
        market = self.market()
        if subscriber.channel == L3:
            state = read_state(market, instrument_id, 1000)
            orders = messages.resting(market.orders(instrument_id))
            parts = messages.snapshot_parts(
                to_snapshot(instrument_id, state, sequence), orders, self.settings.snapshot_orders
            )
        else:
            state = read_state(market, instrument_id, 1)
            book = to_snapshot(instrument_id, state, sequence)
            parts = iter((messages.snapshot(book),))
        subscriber.start(parts)

    def _catch_up(self) -> None:
        """Have everything that the market did taken in and told."""
        self.market()
        self.tell()

    def _followers_of(self, instrument_id: int) -> Iterable[Subscriber]:
        return chain(self._followers.get(instrument_id, ()), self._followers.get(None, ()))

    def tell(self) -> None:
        """Note for every subscriber what changed since the last time."""
        self._scheduled = False
        changed, self._changed = self._changed, {}
        for instrument_id in changed:
            for subscriber in self._followers_of(instrument_id):
                if isinstance(subscriber, BookSubscriber):
                    subscriber.dirty[instrument_id] = None
                    self.ask(subscriber)
                elif isinstance(subscriber, CandleSubscriber) and not subscriber.cut.done():
                    self.board(instrument_id, subscriber.seconds)  # the instrument may be newer than it
        trades = self._new_rows(TRADES)
        self._tell_candles(trades)
        self._tell_stream(TRADES, trades, messages.trade_batch)
        self._tell_stream(L3, self._new_rows(L3), messages.order_update)

    def _new_rows(self, channel: int) -> Rows | None:
        """Rows that nobody was told of; None if there are more than the ring holds."""
        ring, told = self._ring(channel), self._told[channel]
        self._told[channel] = ring.head
        return None if told < ring.tail else ring.slice(told, ring.head)

    def _tell_stream(self, channel: int, rows: Rows | None, encode: Callable[[Rows], bytes]) -> None:
        followers = (
            [
                subscriber
                for subscriber in self._everyone
                if subscriber.channel == channel and isinstance(subscriber, StreamSubscriber)
            ]
            if rows is None or len(rows)
            else []
        )
        if not followers:
            return
        if rows is None:
            for subscriber in followers:
                subscriber.cut_off()
            return
        for part in split(self._followed(rows)):
            self._send(channel, part, encode(part))

    def _followed(self, rows: Rows) -> Rows:
        """The rows of instruments that somebody follows."""
        if None in self._followers:
            return rows
        ids = np.fromiter((key for key in self._followers if key is not None), np.uint32)
        return rows[np.isin(rows["instrument_id"], ids)]

    def _send(self, channel: int, part: Rows, data: bytes) -> None:
        instrument_id, sequence = int(part[-1]["instrument_id"]), int(part[-1]["sequence"])
        for subscriber in self._followers_of(instrument_id):
            if subscriber.channel != channel or not isinstance(subscriber, StreamSubscriber):
                continue
            if subscriber.wanted is None and instrument_id not in subscriber.floors:
                # An instrument that is newer than the subscription: its book began empty.
                subscriber.floors[instrument_id] = 0
                subscriber.start((self._empty_book(part),))
            subscriber.push(instrument_id, sequence, data)
            if subscriber.cut.done():
                _cuts.labels(_name(channel)).inc()
            else:
                self.ask(subscriber)

    def _empty_book(self, part: Rows) -> bytes:
        """The snapshot of an instrument before its first message."""
        instrument_id = int(part[0]["instrument_id"])
        row = self.market().instrument(instrument_id)
        return messages.snapshot(
            BookSnapshot(
                instrument_id=instrument_id,
                sequence=int(part[0]["previous"]),
                trading_state=int(row["trading_state"]),  # type: ignore[arg-type]
                market_time_ns=int(part[0]["time_ns"]),
            )
        )

    def _tell_candles(self, rows: Rows | None) -> None:
        if rows is None:
            _log.warning("candles_cut", why="more trades in one go than are kept")
            self._boards.clear()
            for subscriber in self._everyone:
                if isinstance(subscriber, CandleSubscriber):
                    subscriber.cut_off()
        for instrument_id, boards in self._boards.items():
            mine = None if rows is None else rows[rows["instrument_id"] == instrument_id]
            changed = False
            for seconds, board in boards.items():
                if mine is not None and len(mine):
                    board.add(bars(mine, seconds))
                    changed = True
                changed = board.tell_time(self.time_ns) or changed
            if changed:
                self._mark_candles(instrument_id)

    def _mark_candles(self, instrument_id: int) -> None:
        for subscriber in self._followers_of(instrument_id):
            if isinstance(subscriber, CandleSubscriber):
                subscriber.dirty[instrument_id] = None
                self.ask(subscriber)

    async def _tick(self) -> None:
        """Make sure that nobody hears nothing for longer than the heartbeat."""
        while True:
            await asyncio.sleep(self.settings.heartbeat_seconds / 4)
            silent_since = time.monotonic() - self.settings.heartbeat_seconds
            for subscriber in list(self._everyone):
                if subscriber.spoke_at <= silent_since:
                    subscriber.heartbeat_due = True
                    self.ask(subscriber)


def _name(channel: int) -> str:
    return Channel.DESCRIPTOR.values_by_number[channel].name


__all__ = ["CANDLES", "L1", "L2", "L3", "TRADES", "ConflatedSubscriber", "Feed"]
