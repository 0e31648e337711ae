"""Accounts of the live book as advice, profiles and risk reports see them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from positions.domain.advice import Account, Asset, Held
from positions.domain.book import Book
from positions.domain.book.marking import MICROS
from positions.domain.book.valuing import Freshness
from positions.domain.book.views import mark_view
from positions.domain.figures import MarkSource, PortfolioView
from positions.domain.profile import Behaviour
from positions.domain.profile import Held as HeldRisk
from positions.domain.risk import Portfolio, Position
from positions.naming import Instruments


class Accounts:
    """Reads accounts at the marks of now."""

    def __init__(self, book: Book, instruments: Instruments, freshness: Callable[[], Freshness]) -> None:
        self._book = book
        self._instruments = instruments
        self._freshness = freshness

    def view(self, account_id: int) -> PortfolioView | None:
        """One account in full; None if the market has not named it."""
        return self._book.view(account_id, self._freshness(), lots=False)

    def account(self, account_id: int) -> Account | None:
        """As advice sees it; holdings without a price are left out."""
        view = self.view(account_id)
        if view is None:
            return None
        holdings = [self._held(view, at) for at in range(len(view.positions))]
        rates = {one.currency: one.rate / MICROS for one in view.cash}
        return Account(
            account_id=account_id,
            sequence=view.sequence,
            holdings={held.asset.instrument_id: held for held in holdings if held is not None},
            cash={one.currency: one.total_micros * rates[one.currency] for one in view.cash},
            free_cash={
                one.currency: (one.total_micros - one.held_micros) * rates[one.currency] for one in view.cash
            },
            bids=frozenset(one.instrument_id for one in view.positions if one.open_buy_lots),
        )

    def behaviour(self, account_id: int, volatility: float | None) -> Behaviour:
        """What the account holds, as its profile sees it."""
        account = self.account(account_id)
        if account is None:
            return Behaviour((), 0.0, 0.0, None)
        held = [
            HeldRisk(
                one.asset.instrument_id,
                one.asset.symbol,
                one.value,
                account.weight(one.value),
                one.asset.risk_level,
            )
            for one in account.by_value()
        ]
        largest = max((one.weight for one in held), default=0.0)
        return Behaviour(held, account.weight(account.gross), largest, volatility)

    def portfolio(
        self, account_id: int, time_ns: int, growth: Sequence[float] = (), growth_ns: Sequence[int] = ()
    ) -> Portfolio | None:
        """As the risk report sees it. `growth`: the account's own curve, oldest first."""
        view = self.view(account_id)
        if view is None:
            return None
        priced = [
            one for one in view.positions if one.quantity_lots and one.mark.source is not MarkSource.NONE
        ]
        return Portfolio(
            account_id=account_id,
            sequence=view.sequence,
            time_ns=time_ns,
            currency=view.base_currency,
            equity=float(view.figures["equity"]),
            positions=[
                Position(
                    one.instrument_id,
                    self._instruments.symbol(one.instrument_id),
                    one.value_micros / MICROS * self.rate(one.instrument_id),
                    one.quantity_lots * self._lot_size(one.instrument_id),
                )
                for one in priced
            ],
            growth=growth,
            growth_ns=growth_ns,
            drawdown=float(view.figures["drawdown"]),
            other_currencies=any(self._currency(one.instrument_id) != view.base_currency for one in priced),
            unmarked=int(view.figures["unmarked"]),
        )

    def listed(self) -> list[Asset]:
        """Every instrument that has a price."""
        assets = (self._asset(one.instrument_id) for one in self._instruments.all())
        return [asset for asset in assets if asset is not None]

    def trading(self) -> Collection[int]:
        """Numbers of what is traded now."""
        return self._instruments.open()

    def _asset(self, instrument_id: int) -> Asset | None:
        with self._book.lock:
            mark = mark_view(self._book.tables, instrument_id, self._freshness())
        return self._instruments.asset(self._book, instrument_id, mark)

    def _held(self, view: PortfolioView, at: int) -> Held | None:
        one = view.positions[at]
        asset = self._asset(one.instrument_id) if one.quantity_lots > 0 else None
        if asset is None:
            return None
        cost = one.fifo_cost_micros / MICROS * self.rate(one.instrument_id)
        return Held(asset, one.quantity_lots, max(0, one.available_lots), cost, one.held_lots)

    def _currency(self, instrument_id: int) -> str:
        one = self._instruments.get(instrument_id)
        return one.currency_code if one else ""

    def rate(self, instrument_id: int) -> float:
        """Base currency for one unit of the instrument's own."""
        return self._book.listing.rates.get(self._currency(instrument_id), 1.0)

    def _lot_size(self, instrument_id: int) -> float:
        one = self._instruments.get(instrument_id)
        return float(one.lot_size) if one else 1.0
