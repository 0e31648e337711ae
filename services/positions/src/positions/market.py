"""The market's side: definitions of instruments, and the middles of their books."""

from __future__ import annotations

import asyncio
import contextlib
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

import grpc
import grpc.aio
import structlog
from smartex.matching.v1 import market_data_pb2 as md
from smartex.matching.v1 import market_data_pb2_grpc as rpc
from smartex.matching.v1.types_pb2 import SETTLEMENT_T1, Instrument
from smartex_chassis import start_task, stop_tasks
from smartex_store import Database

from positions.domain.book import Book, Rules, words
from positions.domain.book.marking import MICROS
from positions.intake import Read, Unfoldable

_log = structlog.get_logger("positions.market")

_PAGE = 1000
_RETRY_SECONDS = 0.5
_TIMEOUT_SECONDS = 5.0
_PATIENCE = 20
"""Times that the market is asked for an instrument of an event before it counts as unknown: a pod may be behind."""
_QUOTES_MS = 200


class Definitions:
    """What instruments are, by version: asked of the market, and kept so that a fold can be repeated without it."""

    def __init__(self, database: Database, channel: grpc.aio.Channel) -> None:
        self._database = database
        self._market = rpc.MarketDataServiceStub(channel)  # type: ignore[no-untyped-call, unused-ignore]
        self._versions: dict[int, list[int]] = {}
        self._known: dict[tuple[int, int], Instrument] = {}
        self.learners: list[Callable[[Iterable[Instrument]], None]] = []
        """Told of definitions, new ones and known ones."""

    async def load(self) -> None:
        """Learn what was kept."""
        rows = await self._database.fetch("SELECT definition FROM positions.definitions ORDER BY version")
        self._learn([Instrument.FromString(row["definition"]) for row in rows])

    async def refresh(self) -> None:
        """Ask the market and keep what is new. Raises grpc.aio.AioRpcError or OSError if it does not answer."""
        listed = await self._listed()
        found = [one for one in listed if (one.instrument_id, one.version) not in self._known]
        await self._database.executemany(
            "INSERT INTO positions.definitions VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            [(one.instrument_id, one.version, one.SerializeToString()) for one in found],
        )
        if found:
            # Whoever asked first has kept it, and everybody goes by what was kept: it tells the reference price of the
            # moment, which values shares that are deposited before the first trade.
            await self.load()
        self._tell(listed)

    def rules(self, sequence: int, instrument_ids: Iterable[int] | None = None) -> list[Rules]:
        """Definitions that hold at an event; the oldest known where the one of then is not."""
        chosen = self._versions.keys() if instrument_ids is None else instrument_ids
        return [self._at(number, sequence) for number in chosen if number in self._versions]

    async def needed(self, book: Book, read: Read) -> list[Rules]:
        """Definitions to be learned before a record is folded. Waits for the market if an instrument is not known yet;
        Unfoldable if the market does not know it either."""
        defined = read.events[read.events["kind"] == words.INSTRUMENT_DEFINED]["instrument_id"]
        wanted = set(defined.tolist()) | book.unknown(read.events)
        if wanted and not all(self._is_known(number, read, defined) for number in wanted):
            await self._ask(wanted)
        return self.rules(read.last_sequence, wanted)

    def _is_known(self, number: int, read: Read, defined: Sequence[int]) -> bool:
        versions = self._versions.get(number, [])
        return bool(versions) and (number not in defined or versions[-1] >= read.first_sequence)

    async def _ask(self, wanted: Iterable[int]) -> None:
        answers = 0
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError, OSError):
                await self.refresh()
                answers += 1
            missing = sorted(number for number in wanted if number not in self._versions)
            if not missing:
                return  # a change of a known one may come with the next refresh
            if answers > _PATIENCE:
                raise Unfoldable(f"the market does not know instrument {missing[0]}")
            _log.info("instruments_awaited", missing=missing[:10])
            await asyncio.sleep(_RETRY_SECONDS)

    async def _listed(self) -> list[Instrument]:
        request, found = md.ListInstrumentsRequest(page_size=_PAGE), list[Instrument]()
        while True:
            page: md.ListInstrumentsResponse = await self._market.ListInstruments(
                request, timeout=_TIMEOUT_SECONDS
            )
            found += page.instruments
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def _learn(self, kept: Sequence[Instrument]) -> None:
        new = [one for one in kept if (one.instrument_id, one.version) not in self._known]
        for one in new:
            versions = self._versions.setdefault(one.instrument_id, [])
            self._versions[one.instrument_id] = sorted([*versions, one.version])
            self._known[one.instrument_id, one.version] = one
        if new:
            self._tell(new)

    def _tell(self, told: Sequence[Instrument]) -> None:
        for learn in self.learners:
            learn(told)

    def _at(self, number: int, sequence: int) -> Rules:
        versions = self._versions[number]
        version = versions[max(0, bisect_right(versions, sequence) - 1)]
        return rules_of(self._known[number, version])


def rules_of(instrument: Instrument) -> Rules:
    """A definition as the book needs it."""
    tick_value = Decimal(instrument.tick_size) * Decimal(instrument.lot_size) * int(MICROS)
    return Rules(
        instrument_id=instrument.instrument_id,
        symbol=instrument.symbol,
        currency=instrument.currency_code,
        tick_value_micros=int(tick_value),
        t1=instrument.settlement == SETTLEMENT_T1,
        fee_ppm=max(instrument.maker_fee_ppm, instrument.taker_fee_ppm),
        industry=instrument.industry,
        reference_ticks=instrument.reference_price_ticks,
        currency_id=instrument.currency_id,
    )


class Mids:
    """Follows the best prices of all instruments and tells the book their middles. The book works without them."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        definitions: Definitions,
        book: Book,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._market = rpc.MarketDataServiceStub(channel)  # type: ignore[no-untyped-call, unused-ignore]
        self._definitions = definitions
        self._book = book
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to follow, whenever the market answers."""
        self._task = start_task(self._run(), "positions-mids")

    async def stop(self) -> None:
        """Stop."""
        await stop_tasks(self._task)
        self._task = None

    async def _run(self) -> None:
        while True:
            try:
                await self._definitions.refresh()
                await self._follow()
            except (grpc.aio.AioRpcError, OSError) as error:
                why = error.code().name if isinstance(error, grpc.aio.AioRpcError) else str(error)
                _log.info("mids_awaited", why=why)
            except Exception:
                # Middles are a help and no more: what keeps them away must not end the supervision.
                _log.exception("mids_stopped_short")
            await asyncio.sleep(_RETRY_SECONDS)

    async def _follow(self) -> None:
        known = len(self._book.listing.rules)
        call = self._market.Subscribe(md.SubscribeRequest(channel=md.CHANNEL_L1, interval_ms=_QUOTES_MS))
        try:
            async for message in call:
                self._take(message)
                if len(self._book.listing.rules) != known:
                    return  # a new instrument: subscribe again, so that it is among them
        finally:
            call.cancel()

    def _take(self, message: md.SubscribeResponse) -> None:
        payload = message.WhichOneof("payload")
        if payload == "quote":
            quote = message.quote
            self._set(quote.instrument_id, quote.bid_price_ticks, quote.ask_price_ticks)
        elif payload == "snapshot":
            book = message.snapshot
            bid = book.bids[0].price_ticks if book.bids else 0
            self._set(book.instrument_id, bid, book.asks[0].price_ticks if book.asks else 0)
        else:
            # While the stream lives, a middle that has not changed is as good as new.
            self._book.confirm_mids(self._clock())

    def _set(self, instrument_id: int, bid: int, ask: int) -> None:
        mid = (bid + ask) / 2 if bid > 0 and ask > 0 else 0.0
        self._book.set_mid(instrument_id, mid, self._clock())
