"""Advice to sell: too much in one place, a stop that is due, more risk than the limits, what does not suit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from positions.domain import suitability
from positions.domain.advice.account import MILLION, Account, Asset, Held, Order
from positions.domain.advice.draft import Draft, with_orders
from positions.domain.advice.orders import sell_orders
from positions.domain.advice.what_if import RiskModel
from positions.domain.alerts import Severity
from positions.domain.alerts.kinds import CLEAR_AT

UNDER = 0.99
"""Targets lie a little below what clears the alert: prices move while orders fill."""

CALMER = 0.5
"""After a loss beyond its limit, the value at risk is brought to this part of what it is."""

STEPS = 20
"""A holding is sold in so many parts when the least sale is sought that brings the risk down."""


def reduce_concentration(
    account: Account, instrument_id: int, limit: float, severity: Severity, risk: RiskModel
) -> Draft | None:
    """Sell the holding down until its alert clears, beside what the investor offers already."""
    left = account.once_sold()
    held = left.holdings.get(instrument_id)
    if held is None:
        return None
    wanted = lots_to_weight(left, held, held.value, limit * CLEAR_AT * UNDER)
    orders = sell_orders(held, wanted)
    weight = account.weight(account.holdings[instrument_id].value)
    facts = _of_asset(held.asset) | {"weight": weight, "limit": limit}
    facts |= {"after": _weight_after(account, orders, (held,))}
    return with_orders(
        "reduce_concentration",
        held.asset.symbol,
        severity,
        facts,
        account,
        orders,
        risk,
        _caveats(account, (held,), short=held.available_lots < wanted),
    )


def reduce_industry(
    account: Account, industry: str, limit: float, severity: Severity, risk: RiskModel
) -> Draft | None:
    """Sell the industry's holdings down, the largest first, until its alert clears, beside what the investor offers
    already."""
    members, later = account.of_industry(industry), account.once_sold()
    target = limit * CLEAR_AT * UNDER
    orders: list[Order] = []
    left = sum(held.value for held in later.of_industry(industry))
    for held in later.of_industry(industry):
        wanted = min(lots_to_weight(later, held, left, target), held.lots)
        placed = sell_orders(held, wanted)
        orders += placed
        left -= sum(held.asset.value(order.lots) for order in placed)
    weight = account.weight(sum(held.value for held in members))
    facts = {"industry": industry, "weight": weight, "limit": limit}
    facts |= {"after": _weight_after(account, orders, members)}
    told = _caveats(account, members, short=later.weight(left) > limit * CLEAR_AT)
    return with_orders("reduce_industry", industry, severity, facts, account, tuple(orders), risk, told)


def cut_loss(
    account: Account, instrument_id: int, stop: float, severity: Severity, risk: RiskModel
) -> Draft | None:
    """Sell what is not offered yet of a holding whose loss has reached its stop."""
    held = account.holdings.get(instrument_id)
    if held is None:
        return None
    facts = _of_asset(held.asset) | {"loss": held.loss, "limit": stop, "money": held.cost - held.value}
    return with_orders(
        "cut_loss",
        held.asset.symbol,
        severity,
        facts,
        account,
        sell_orders(held, held.lots),
        risk,
        _caveats(account, (held,), short=held.available_lots + held.offered_lots < held.lots),
    )


def sell_unsuitable(account: Account, stated_level: int, risk: RiskModel) -> Iterable[Draft]:
    """Sell what is not offered yet of each holding whose product risk lies above the investor's class."""
    for held in account.by_value():
        if not suitability.unsuitable(stated_level, held.asset.risk_level):
            continue
        facts = _of_asset(held.asset) | {
            "product_risk": held.asset.risk_level,
            "stated": stated_level,
            "weight": account.weight(held.value),
        }
        draft = with_orders(
            "sell_unsuitable",
            held.asset.symbol,
            Severity.WARNING,
            facts,
            account,
            sell_orders(held, held.lots),
            risk,
            _caveats(account, (held,), short=held.available_lots + held.offered_lots < held.lots),
        )
        if draft is not None:
            yield draft


def reduce_risk(
    account: Account,
    reason: str,
    value: float,
    limit: float,
    severity: Severity,
    risk: RiskModel,
    told: float = 0.0,
) -> Draft | None:
    """Sell the least that brings the risk within its limit, beside what the investor offers already.

    `reason` is the kind of alert: of `value_at_risk` and `leverage` the alert's own limit is the target; after a
    loss (`loss_today`, `drawdown`) it is `CALMER` times the value at risk of now, or of the one that was `told`
    where advice is sized anew: what was sold since counts.
    """
    at_risk, later = risk.value_at_risk(_values(account)), account.once_sold()

    def enough(now: Account) -> bool:
        if reason == "leverage":
            return now.gross <= limit * CLEAR_AT * UNDER * account.equity
        calm = CALMER * (told or at_risk)
        share = limit * CLEAR_AT * UNDER * account.equity if reason == "value_at_risk" else calm
        return risk.value_at_risk(_values(now)) <= share

    orders = least_sales(later, risk, enough)
    sold = sum(order.asset.value(order.lots) for order in orders)
    facts = {"alert": reason, "figure": value, "limit": limit, "at_risk": at_risk, "sold": sold}
    caveats = _caveats(account, account.by_value(), short=not enough(later.after(orders)))
    return with_orders("reduce_risk", reason, severity, facts, account, orders, risk, caveats)


def least_sales(account: Account, risk: RiskModel, enough: Callable[[Account], bool]) -> tuple[Order, ...]:
    """Sales until `enough(account)`: always a part of the holding that takes most risk away for its money.

    The value at risk is convex in the holdings or nearly so, and its gradient tells what one more unit of money
    sold takes away; following it step by step sells little more than the least that is needed.
    """
    wanted: dict[int, int] = {}
    now = account
    while not enough(now):
        held = _riskiest(account, now, risk)
        if held is None:
            break
        number = held.asset.instrument_id
        wanted[number] = wanted.get(number, 0) + _part(held.asset, account.holdings[number].available_lots)
        now = account.after(_all_sales(account, wanted))
    return tuple(_all_sales(account, wanted))


def _riskiest(start: Account, now: Account, risk: RiskModel) -> Held | None:
    """The holding to sell from next: of those that have lots left to sell, the one that adds most risk."""
    marginals = risk.marginals(_values(now))
    left = [
        held
        for held in now.holdings.values()
        if sell_orders(held, 1) and marginals.get(held.asset.instrument_id, 0.0) > 0
    ]
    return max(
        left, key=lambda held: (marginals[held.asset.instrument_id], -held.asset.instrument_id), default=None
    )


def _all_sales(account: Account, wanted: Mapping[int, int]) -> list[Order]:
    return [order for number, lots in wanted.items() for order in sell_orders(account.holdings[number], lots)]


def _part(asset: Asset, available: int) -> int:
    return max(math.ceil(available / STEPS), asset.board_lot)


def lots_to_weight(account: Account, held: Held, value: float, target: float) -> int:
    """Lots of `held` to sell so that `value`, which it is part of, falls to a weight of `target`.

    Selling x of it costs c·x: (value − x) / (equity − c·x) ≤ target, so x ≥ (value − target·equity) / (1 − c·target).
    """
    over = value - target * account.equity
    rate = (held.asset.fee_ppm + held.asset.duty_ppm) / MILLION
    unit = held.asset.value(1)
    return max(0, math.ceil(over / (1 - rate * target) / unit)) if unit > 0 else 0


def _weight_after(account: Account, orders: Iterable[Order], members: Iterable[Held]) -> float:
    after = account.after(orders)
    numbers = {held.asset.instrument_id for held in members}
    return after.weight(sum(held.value for number, held in after.holdings.items() if number in numbers))


def _of_asset(asset: Asset) -> dict[str, object]:
    return {"symbol": asset.symbol, "name_en": asset.name_en, "name_zh": asset.name_zh or asset.name_en}


def _caveats(account: Account, members: Iterable[Held], *, short: bool) -> tuple[str, ...]:
    """The sentences for what cannot be sold now, and for what the investor offers already."""
    offered = any(account.holdings[held.asset.instrument_id].offered_lots for held in members)
    return (*(("partly_sellable",) if short else ()), *(("offered",) if offered else ()))


def _values(account: Account) -> dict[int, float]:
    return {number: held.value for number, held in account.holdings.items()}
