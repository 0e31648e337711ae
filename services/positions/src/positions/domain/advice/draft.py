"""What a rule of advice gives, before it has words and an id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from positions.domain.advice.account import Account, Order
from positions.domain.advice.what_if import Figure, RiskModel, compare
from positions.domain.alerts import Severity

Facts = Mapping[str, object]


@dataclass(frozen=True)
class Draft:
    """One piece of advice. `facts` are the values that its words are written with, `caveats` keys of sentences.

    `subject` is an instrument's symbol, an industry, a habit or empty: newer advice of the same kind and subject
    takes its place.
    """

    kind: str
    subject: str
    severity: Severity
    facts: Facts
    orders: tuple[Order, ...] = ()
    what_if: tuple[Figure, ...] = ()
    caveats: tuple[str, ...] = field(default=("past",))


def with_orders(
    kind: str,
    subject: str,
    severity: Severity,
    facts: Facts,
    account: Account,
    orders: tuple[Order, ...],
    risk: RiskModel,
    caveats: tuple[str, ...] = (),
) -> Draft | None:
    """Advice that consists of orders, with what they change; None without any."""
    if not orders:
        return None
    after = account.after(orders)
    told = ("past", *caveats) if risk.known else ("past", "no_history", *caveats)
    return Draft(kind, subject, severity, facts, orders, compare(account, after, risk), told)
