"""smartex book, trades, candles, instrument …"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from google.protobuf.json_format import ParseDict, ParseError
from rich.live import Live
from rich.text import Text
from smartex.matching.v1 import types_pb2 as types
from smartex.matching.v1.types_pb2 import Instrument
from smartex.positions.v1.types_pb2 import OrderSuggestion

from smartex_client import model
from smartex_client.convert import decimal, from_lots, from_ticks
from smartex_client.errors import InvalidInput
from smartex_client.market import Market
from smartex_client.words import word

from .orders import Symbol, first, side_text
from .output import clock, facts, number, table
from .session import Session, session_of
from .times import seconds_of
from .venue import trading_state

Rules: TypeAlias = Mapping[int, Instrument]
"""Instruments by number."""

app = typer.Typer(no_args_is_help=True, help="What can be traded, with its rules.")


def book(
    context: typer.Context,
    symbol: Symbol,
    depth: Annotated[int, typer.Option("--depth", "-d", min=1, max=1000, help="levels a side")] = 10,
    once: Annotated[bool, typer.Option("--once", help="print it and leave")] = False,
    interval: Annotated[float, typer.Option(min=0, max=60, help="least seconds between two updates")] = 0.2,
) -> None:
    """Show the book, live until Ctrl-C; once where the output is no terminal; with --json a line for each change."""
    session = session_of(context)

    async def work(market: Market) -> None:
        if once or not (session.as_json or sys.stdout.isatty()):
            found = await market.book(symbol, depth)
            session.say(found) if session.as_json else session.console.print(ladder(session, found))
            return
        async with aclosing(market.live_book(symbol, depth, interval=interval)) as books:  # type: ignore[type-var]
            if session.as_json:
                async for each in books:
                    session.say(each)
                return
            with Live(console=session.console, auto_refresh=False, screen=False) as live:
                async for each in books:
                    live.update(ladder(session, each), refresh=True)

    session.run(work)


def trades(
    context: typer.Context,
    symbol: Symbol,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="at most so many, newest first")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="new ones as they happen")] = False,
) -> None:
    """Show the last trades of an instrument."""
    session = session_of(context)

    async def work(market: Market) -> None:
        if not follow:
            found = await first(market.trades(symbol, limit), limit)
            if session.as_json:
                session.say(found)
            else:
                session.console.print(_trades_table(session, found) if found else session.word("nothing"))
            return
        async with aclosing(market.live_trades([symbol])) as stream:  # type: ignore[type-var]
            async for each in stream:
                if session.as_json:
                    session.say(each)
                else:
                    line = Text(
                        f"{clock(each.time)}  {number(each.price):>14}  {number(each.quantity):>12}  "
                    )
                    session.console.print(line + side_text(session, each.taker_side))

    session.run(work)


def candles(
    context: typer.Context,
    symbol: Symbol,
    interval: Annotated[str, typer.Option("--interval", "-i", help="1s, 5s, 15s, 1m … 1d")] = "1m",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="at most so many, newest first")] = 20,
) -> None:
    """Show past candles of an instrument."""
    session = session_of(context)

    async def work(market: Market) -> list[model.Candle]:
        seconds = seconds_of(interval, "interval")
        return await first(market.candles(symbol, seconds, limit=limit), limit)

    found = session.run(work)
    if session.as_json:
        session.say(found)
        return
    heads = ["time", "open|price", "high", "low", "close", "volume", "value|traded", "trades"]
    rows = [
        (
            each.start_time.astimezone().strftime("%m-%d %H:%M:%S"),
            number(each.open),
            number(each.high),
            number(each.low),
            Text(
                number(each.close),
                style=session.colours.up if each.close >= each.open else session.colours.down,
            ),
            number(each.volume),
            number(each.value),
            each.trades,
        )
        for each in found
    ]
    shown = table([session.word(head) for head in heads], rows, right=range(1, 8))
    session.console.print(shown if found else session.word("nothing"))


@app.command("list")
def list_instruments(context: typer.Context) -> None:
    """List all instruments."""
    session = session_of(context)

    async def work(market: Market) -> list[Instrument]:
        return await market.instruments()

    found = session.run(work)
    if session.as_json:
        session.say(found)
        return
    heads = ["symbol", "name", "currency", "tick", "lot", "board lot", "limits", "state|trading"]
    rows = [
        (
            each.symbol,
            _name(session, each),
            each.currency_code,
            each.tick_size,
            each.lot_size,
            number(from_lots(each, each.board_lot)),
            _limit(each),
            _state(session, each),
        )
        for each in found
    ]
    shown = table([session.word(head) for head in heads], rows, right=(3, 4, 5, 6))
    session.console.print(shown if found else session.word("nothing"))


@app.command("show")
def show_instrument(context: typer.Context, symbol: Symbol) -> None:
    """Show the rules of an instrument."""
    session = session_of(context)

    async def work(market: Market) -> Instrument:
        return await market.instrument(symbol)

    found: Instrument = session.run(work)
    if session.as_json:
        session.say(found)
        return
    pairs: list[tuple[str, Any]] = [
        (session.word("symbol"), found.symbol),
        (session.word("name"), " · ".join(each for each in (found.name, found.name_zh) if each)),
        (session.word("currency"), found.currency_code),
        (session.word("tick"), found.tick_size),
        (session.word("lot"), found.lot_size),
        (session.word("board lot"), number(from_lots(found, found.board_lot))),
        (session.word("state|trading"), _state(session, found)),
        (session.word("reference price"), number(from_ticks(found, found.reference_price_ticks))),
        (session.word("limits"), _limit(found)),
        (session.word("largest order"), number(from_lots(found, found.max_order_lots))),
        (session.word("settlement"), word(types.Settlement, found.settlement).upper()),
        (session.word("fees (maker, taker, duty)"), _rates(found)),
        (session.word("number"), found.instrument_id),
    ]
    session.console.print(facts(pairs))


@app.command("define")
def define(
    context: typer.Context,
    rules: Annotated[
        Path, typer.Argument(help="JSON file with the fields of Instrument; as `instrument show --json`")
    ],
) -> None:
    """Add an instrument or change its rules (operators). `instrument show X --json` prints an example."""
    session = session_of(context)

    async def work(market: Market) -> Instrument:
        return await market.venue.define(read_rules(rules))

    found: Instrument = session.run(work)
    if session.as_json:
        session.say(found)
    else:
        session.console.print(f"{found.symbol} is instrument {found.instrument_id}")


def read_rules(path: Path) -> Instrument:
    """An instrument from a JSON file. InvalidInput says what is wrong with it."""
    try:
        return ParseDict(json.loads(path.read_text()), Instrument())
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}", field="rules") from None
    except (ValueError, ParseError) as error:
        raise InvalidInput(f"{path} is not an instrument in JSON: {error}", field="rules") from None


@app.command("reference")
def reference(
    context: typer.Context,
    symbol: Symbol,
    price: Annotated[str, typer.Argument(help="price that the day's limits are measured from")],
) -> None:
    """Set the reference price of an instrument (operators)."""
    session = session_of(context)

    async def work(market: Market) -> int:
        return await market.venue.set_reference_price(symbol, decimal(price, "price"))

    sequence = session.run(work)
    session.say({"sequence": sequence}) if session.as_json else session.console.print("done")


async def rules_of(market: Market, numbers: Iterable[int]) -> Rules:
    """The rules of instruments, which say what their lots and ticks are."""
    wanted = set(numbers)
    return {each.instrument_id: each for each in await market.instruments()} if wanted else {}


def quantity(session: Session, rules: Rules, instrument_id: int, lots: int) -> str:
    """Lots in people's units; in lots if nothing is known of the instrument."""
    instrument = rules.get(instrument_id)
    return number(from_lots(instrument, lots)) if instrument else f"{number(lots)}{session.word(' lots')}"


def suggested(session: Session, rules: Rules, order: OrderSuggestion) -> str:
    """A suggested order as it would be placed: the market goes by the number, so does the symbol here."""
    instrument = rules.get(order.instrument_id)
    ticks = order.price_ticks
    side = session.word(word(types.Side, order.side))
    symbol = instrument.symbol if instrument else order.symbol
    price = number(from_ticks(instrument, ticks)) if instrument else f"{ticks}{session.word(' ticks')}"
    return f"{side} {symbol} {quantity(session, rules, order.instrument_id, order.quantity_lots)} @ {price}"


def ladder(session: Session, shown: model.Book) -> Any:
    """A book as a ladder: asks above, bids below, best in the middle."""
    up, down = session.colours.up, session.colours.down
    widest = max((each.quantity for each in (*shown.asks, *shown.bids)), default=Decimal(1)) or Decimal(1)
    rows: list[tuple[Any, ...]] = []
    for side, levels, colour in (("ask", shown.asks[::-1], down), ("bid", shown.bids, up)):
        for each in levels:
            bar = Text("█" * max(1, int(each.quantity / widest * 20)), style=colour)
            price = Text(number(each.price), style=colour)
            rows.append((session.word(side), price, number(each.quantity), each.orders, bar))
        if side == "ask":
            last = Text(number(shown.last_price) or "—", style="bold")
            rows.append((session.word("last"), last, "", "", ""))
    heads = [shown.symbol, *(session.word(head) for head in ("price", "quantity", "orders")), ""]
    made = table(heads, rows, right=(1, 2, 3))
    state = "" if shown.state == "open" else f" · {session.word(shown.state)}"
    made.caption = f"#{shown.sequence} · {clock(shown.time)}{state}"
    return made


def _trades_table(session: Session, found: list[model.Trade]) -> Any:
    heads = ["time", "price", "quantity", "side", "trade"]
    rows = [
        (
            clock(each.time),
            Text(number(each.price), style=session.colours.side(each.taker_side)),
            number(each.quantity),
            side_text(session, each.taker_side),
            each.trade_id,
        )
        for each in found
    ]
    return table([session.word(head) for head in heads], rows, right=(1, 2, 4))


def _state(session: Session, instrument: Instrument) -> str:
    return session.word(trading_state(word(types.TradingState, instrument.trading_state)))


def _name(session: Session, instrument: Instrument) -> str:
    chinese = session.language.startswith("zh") and instrument.name_zh
    return instrument.name_zh if chinese else instrument.name


def _limit(instrument: Instrument) -> str:
    return f"±{Decimal(instrument.price_limit_ppm) / 10_000:f} %" if instrument.price_limit_ppm else "—"


def _rates(instrument: Instrument) -> str:
    rates = (instrument.maker_fee_ppm, instrument.taker_fee_ppm, instrument.stamp_duty_ppm)
    return ", ".join(f"{Decimal(each) / 10_000:f} %" for each in rates)
