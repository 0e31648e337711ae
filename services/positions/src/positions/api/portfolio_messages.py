"""Portfolios as messages of the contract. Money is exact: whole micros, and decimals at the rates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from smartex.matching.v1.types_pb2 import Instrument, Money
from smartex.positions.v1 import portfolio_pb2 as pb
from smartex.positions.v1 import position_service_pb2, types_pb2

from positions import wording
from positions.api.told import words
from positions.domain.figures import CashView, GoneView, MarkSource, MarkView, PortfolioView, PositionView
from positions.naming import Instruments

MICRO = Decimal(1).scaleb(-6)
CENT = Decimal("0.01")
_UNKNOWN = Instrument(tick_size="0", lot_size="1")


def portfolio(view: PortfolioView, instruments: Instruments, *, lots: bool) -> pb.Portfolio:
    """An account."""
    message = pb.Portfolio(
        account_id=view.account_id,
        sequence=view.sequence,
        base_currency_code=view.base_currency,
        positions=[
            position(one, instruments.get(one.instrument_id) or _UNKNOWN, lots=lots) for one in view.positions
        ],
        cash=[_cash(one) for one in view.cash],
        totals=totals(view),
        exposure=_exposure(view, instruments),
        open_orders=_open_orders(view),
    )
    message.time.FromNanoseconds(view.time_ns)
    return message


def position(one: PositionView, instrument: Instrument, *, lots: bool) -> pb.Position:
    """A holding."""
    currency = instrument.currency_code
    units = one.quantity_lots * Decimal(instrument.lot_size)
    message = pb.Position(
        instrument_id=one.instrument_id,
        symbol=instrument.symbol,
        quantity_lots=one.quantity_lots,
        available_lots=one.available_lots,
        fifo_cost=_money(currency, one.fifo_cost_micros),
        average_cost=_plain(one.average_cost_micros * MICRO / units, MICRO) if units else "",
        mark=_mark(one.mark, instrument),
        realised=_money(currency, one.realised_micros),
        fees=_money(currency, one.fees_micros),
        profit_today=_money(currency, one.profit_today_micros),
        weight=one.weight,
        industry=instrument.industry,
        risk_level=instrument.risk_level,
    )
    if one.mark.source is not MarkSource.NONE:
        message.value.CopyFrom(_money(currency, one.value_micros))
        message.unrealised.CopyFrom(_money(currency, one.unrealised_micros))
    for lot in one.lots if lots else ():
        kept = message.lots.add(sequence=lot.sequence, quantity_lots=lot.quantity_lots)
        kept.open_time.FromNanoseconds(lot.open_time_ns)
        kept.cost.CopyFrom(_money(currency, lot.cost_micros))
    return message


def totals(view: PortfolioView) -> pb.Totals:
    """Sums in the base currency, exact at the rates, then rounded to the cent."""
    marked = [one for one in view.positions if one.mark.source is not MarkSource.NONE]
    cash = sum((one.total_micros * _rate(one.rate) for one in view.cash), Decimal(0))
    holdings = sum((one.value_micros * _rate(one.rate) for one in marked), Decimal(0))
    figures = view.figures
    held: list[PositionView | GoneView] = [*view.positions, *view.gone]
    return pb.Totals(
        equity=_cents((cash + holdings) * MICRO),
        cash=_cents(cash * MICRO),
        holdings=_cents(holdings * MICRO),
        unrealised=_sum((one.unrealised_micros, one.rate) for one in marked),
        realised=_sum((one.realised_micros, one.rate) for one in held),
        fees=_sum((one.fees_micros, one.rate) for one in held),
        profit_today=_cents(Decimal(float(figures["profit_today"]))),
        net_deposits=_cents(Decimal(float(figures["net_deposits"]))),
        unmarked_positions=int(figures["unmarked"]),
        stale_positions=int(figures["stale"]),
    )


def point(row: Any) -> pb.PortfolioPoint:
    """A row of the history."""
    names = ("equity", "cash", "holdings", "unrealised", "realised", "fees", "profit_today", "net_deposits")
    message = pb.PortfolioPoint(
        trading_day=row["day"],
        sequence=row["sequence"],
        totals=pb.Totals(
            **{name: _cents(Decimal(row[name])) for name in names},
            unmarked_positions=row["unmarked"],
            stale_positions=row["stale"],
        ),
        growth=row["growth"],
        drawdown=row["drawdown"],
    )
    message.time.FromNanoseconds(row["time_ns"])
    return message


def delta(known: pb.Portfolio, now: pb.Portfolio) -> position_service_pb2.PortfolioDelta | None:
    """What changed, None if nothing did but time: the ages of marks and the sequence tell nothing of the account."""
    before = {one.instrument_id: _ageless(one) for one in known.positions}
    after = {one.instrument_id for one in now.positions}
    changed = [one for one in now.positions if before.get(one.instrument_id) != _ageless(one)]
    changed += [
        pb.Position(instrument_id=one.instrument_id, symbol=one.symbol)
        for one in known.positions
        if one.instrument_id not in after
    ]
    cash = {one.total.currency_code: one for one in known.cash}
    moved = [one for one in now.cash if cash.pop(one.total.currency_code, None) != one]
    moved += [_no_cash(one) for one in cash.values() if one.total.currency_code not in _codes(now)]
    same = (known.totals, known.open_orders) == (now.totals, now.open_orders)
    if same and not changed and not moved:
        return None
    return position_service_pb2.PortfolioDelta(
        sequence=now.sequence,
        time=now.time,
        positions=changed,
        cash=moved,
        totals=now.totals,
        exposure=now.exposure,
        open_orders=now.open_orders,
    )


def _codes(message: pb.Portfolio) -> set[str]:
    return {one.total.currency_code for one in message.cash}


def _no_cash(one: pb.CashPosition) -> pb.CashPosition:
    code = one.total.currency_code
    return pb.CashPosition(total=_money(code, 0), held=_money(code, 0), rate=one.rate)


def _ageless(one: pb.Position) -> pb.Position:
    copy = pb.Position()
    copy.CopyFrom(one)
    copy.mark.age_ms = 0
    return copy


def _cash(one: CashView) -> pb.CashPosition:
    return pb.CashPosition(
        total=_money(one.currency, one.total_micros),
        held=_money(one.currency, one.held_micros),
        rate=f"{_rate(one.rate):f}",
    )


def _mark(mark: MarkView, instrument: Instrument) -> pb.Mark:
    price = (
        ""
        if mark.source is MarkSource.NONE
        else _plain(Decimal(mark.price_ticks) * Decimal(instrument.tick_size))
    )
    return pb.Mark(
        price=price,
        source=pb.MarkSource.ValueType(mark.source),
        age_ms=mark.age_ns // 1_000_000,
        stale=mark.stale,
    )


def _exposure(view: PortfolioView, instruments: Instruments) -> pb.Exposure:
    figures, equity = view.figures, float(view.figures["equity"])
    valued = {one.instrument_id: float(one.value_micros * _rate(one.rate) * MICRO) for one in view.positions}
    gross = float(figures["gross"])
    industries: dict[str, float] = defaultdict(float)
    currencies: dict[str, float] = defaultdict(float)
    for cash in view.cash:
        currencies[cash.currency] += float(cash.total_micros * _rate(cash.rate) * MICRO)
    for number, value in valued.items():
        one = instruments.get(number) or _UNKNOWN
        industries[one.industry] += value
        currencies[one.currency_code] += value
    directions = {"long": sum(filter(lambda value: value > 0, valued.values())), "short": gross}
    directions["short"] = directions["long"] - gross
    return pb.Exposure(
        gross=gross,
        net=float(figures["net"]),
        leverage=gross / equity if equity > 0 else 0.0,
        largest_weight=float(figures["largest_weight"]),
        hhi=sum((value / gross) ** 2 for value in valued.values()) if gross > 0 else 0.0,
        by_instrument=_shares(
            ((instruments.symbol(number), number, value) for number, value in valued.items()), equity
        ),
        by_industry=_industries(industries, equity),
        by_currency=_shares(((name, 0, value) for name, value in currencies.items()), equity),
        by_direction=_shares(((name, 0, value) for name, value in directions.items()), equity),
    )


def _shares(parts: Iterable[tuple[str, int, float]], equity: float) -> list[types_pb2.Share]:
    """Parts that are something, largest first."""
    return [
        types_pb2.Share(
            name=name, instrument_id=number, value=value, weight=value / equity if equity > 0 else 0.0
        )
        for name, number, value in sorted(parts, key=lambda part: -abs(part[2]))
        if value
    ]


def _industries(values: Mapping[str, float], equity: float) -> list[types_pb2.Share]:
    shares = _shares(((name, 0, value) for name, value in values.items()), equity)
    for share in shares:
        share.title.CopyFrom(words(wording.industry(share.name)))
    return shares


def _open_orders(view: PortfolioView) -> pb.OpenOrderExposure:
    figures, equity = view.figures, float(view.figures["equity"])
    largest = max(
        (float((one.value_micros + one.open_buy_micros) * _rate(one.rate) * MICRO) for one in view.positions),
        default=0.0,
    )
    return pb.OpenOrderExposure(
        order_count=view.open_orders,
        buy_value=float(figures["open_buy_value"]),
        sell_value=float(figures["open_sell_value"]),
        largest_weight_if_filled=largest / equity if equity > 0 else 0.0,
    )


def _sum(parts: Iterable[tuple[int, float]]) -> str:
    return _cents(sum((micros * _rate(rate) for micros, rate in parts), Decimal(0)) * MICRO)


def _rate(rate: float) -> Decimal:
    return Decimal(repr(rate))


def _money(code: str, micros: int) -> Money:
    return Money(currency_code=code, amount=_plain(micros * MICRO))


def _cents(amount: Decimal) -> str:
    return f"{amount.quantize(CENT):f}"


def _plain(amount: Decimal, step: Decimal | None = None) -> str:
    """A decimal with at least two places and no zeros beyond."""
    whole = f"{amount.quantize(step) if step is not None else amount:f}"
    head, _, places = whole.partition(".")
    return f"{head}.{places.rstrip('0').ljust(2, '0')}"
