"""What keeps advice on an alert from being given in full, and will pass: a halt, or the investor's own open sells."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from positions.domain.advice.account import Account, Held
from positions.domain.advice.draft import Draft


@dataclass(frozen=True)
class Waiting:
    """Instruments that cannot be traded now, and lots that the investor offers already, by instrument."""

    halted: Sequence[int] = ()
    offered: Mapping[int, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.halted or self.offered)

    def over(self, trading: Collection[int], account: Callable[[], Account | None]) -> bool:
        """Whether something of it has passed: one of the instruments is traded again, or less is offered. A share that
        is halted may have very many holders: their accounts are not looked at."""
        if any(number in trading for number in self.halted):
            return True
        now = account() if self.offered else None
        return now is not None and any(
            number not in now.holdings or now.holdings[number].offered_lots < lots
            for number, lots in self.offered.items()
        )


def waiting_for(kind: str, subject: str, subject_id: int, account: Account, draft: Draft | None) -> Waiting:
    """What the advice on an alert waits for; nothing if the draft does all that is to be done."""
    if draft is not None and "partly_sellable" not in draft.caveats and "offered" not in draft.caveats:
        return Waiting()
    concerned = list(_concerned(kind, subject, subject_id, account))
    return Waiting(
        [held.asset.instrument_id for held in concerned if not held.asset.tradable],
        {held.asset.instrument_id: held.offered_lots for held in concerned if held.offered_lots},
    )


def _concerned(kind: str, subject: str, subject_id: int, account: Account) -> Iterable[Held]:
    """Holdings that advice on an alert of the kind may sell."""
    if kind == "price_limit_distance":
        return []
    if kind == "industry_concentration":
        return account.of_industry(subject)
    if subject_id:
        return [held for held in account.by_value() if held.asset.instrument_id == subject_id]
    return account.by_value()
