"""Advice to spread: buy a little of a few instruments that suit the investor, where one or two are all that is held."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from smartex_quant.concentration import hhi

from positions.domain import suitability
from positions.domain.advice.account import Account, Asset, Order
from positions.domain.advice.draft import Draft, with_orders
from positions.domain.advice.orders import buy_orders
from positions.domain.advice.what_if import RiskModel
from positions.domain.alerts import Severity

CONCENTRATED = 0.5
"""A Herfindahl index of the holdings at or above this, two equal ones, calls for spreading."""

LEAST_CASH = 0.1
"""Free cash over equity below which nothing is suggested."""

SPENT = 0.5
"""Part of the free cash that is spent at most."""

LARGEST_BUY = 0.1
"""Weight of one purchase at most."""

MOST_BUYS = 3


def diversify(
    account: Account,
    stated_level: int,
    listed: Sequence[Asset],
    known_industries: Collection[str],
    risk: RiskModel,
) -> Draft | None:
    """Buy up to `MOST_BUYS` instruments of industries that are not held. None without an answered questionnaire.

    Only what suits the class is bought. Industries in which the investor has shown expertise come first, then what
    adds least risk for its money.
    """
    index = hhi([held.value for held in account.holdings.values()])
    if not account.holdings or index < CONCENTRATED:
        return None
    ranked = _ranked(account, _candidates(account, stated_level, listed), known_industries, risk)
    orders = _spend(account, ranked)
    facts = {
        "hhi": index,
        "count": len(account.holdings),
        "symbols": ", ".join(order.asset.symbol for order in orders),
        "stated": stated_level,
    }
    return with_orders("diversify", "", Severity.INFO, facts, account, orders, risk, ("own_choice",))


def _candidates(account: Account, stated_level: int, listed: Sequence[Asset]) -> list[Asset]:
    """What suits, of industries of which nothing is held or on its way."""
    taken = {held.asset.industry for held in account.holdings.values()}
    taken |= {asset.industry for asset in listed if asset.instrument_id in account.bids}
    return [
        asset
        for asset in listed
        if suitability.may_recommend(stated_level, asset.risk_level)
        and asset.tradable
        and asset.instrument_id not in account.holdings
        and asset.instrument_id not in account.bids
        and asset.industry not in taken
    ]


def _ranked(
    account: Account, candidates: Iterable[Asset], known_industries: Collection[str], risk: RiskModel
) -> list[Asset]:
    """Known industries first, then by how much risk one more unit of money adds; one of each industry."""
    values: dict[int, float] = {number: held.value for number, held in account.holdings.items()}
    pool = list(candidates)
    marginals = risk.marginals(values | {asset.instrument_id: 0.0 for asset in pool})
    ordered = sorted(pool, key=lambda asset: _order(asset, known_industries, marginals))
    first: dict[str, Asset] = {}
    for asset in ordered:
        first.setdefault(asset.industry, asset)
    return list(first.values())


def _order(
    asset: Asset, known_industries: Collection[str], marginals: Mapping[int, float]
) -> tuple[bool, float, int]:
    number = asset.instrument_id
    return asset.industry not in known_industries, marginals.get(number, 0.0), number


def _spend(account: Account, ranked: Iterable[Asset]) -> tuple[Order, ...]:
    """Orders within the free cash of each instrument's currency."""
    purses = {
        currency: free * SPENT
        for currency, free in account.free_cash.items()
        if account.weight(free) >= LEAST_CASH
    }
    orders: list[Order] = []
    for asset in ranked:
        money = min(purses.get(asset.currency, 0.0), LARGEST_BUY * account.equity)
        placed = buy_orders(asset, money)
        if placed and len(orders) < MOST_BUYS:
            orders += placed
            spent = sum(order.price_ticks * order.lots * asset.unit_value for order in placed)
            purses[asset.currency] -= spent * (1 + asset.fee_ppm / 1_000_000)
    return tuple(orders)
