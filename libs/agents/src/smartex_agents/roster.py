"""Who takes part in the demo market, and what each is given at the start."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Role = Literal["maker", "noise", "momentum"]


@dataclass(frozen=True)
class Participant:
    """A synthetic participant with an account of its own."""

    name: str
    account_id: int
    role: Role


@dataclass(frozen=True)
class Endowment:
    """What an account gets at its first opening."""

    account_id: int
    cash: dict[str, Decimal]
    """By currency."""
    worth_of_shares: dict[str, Decimal]
    """Holdings of each instrument of a currency, as their worth at the reference price."""


PARTICIPANTS: tuple[Participant, ...] = (
    Participant("maker-1", 9001, "maker"),
    Participant("maker-2", 9002, "maker"),
    Participant("noise-1", 9011, "noise"),
    Participant("noise-2", 9012, "noise"),
    Participant("noise-3", 9013, "noise"),
    Participant("momentum-1", 9021, "momentum"),
)

_AGENT_CASH = Decimal(10_000_000_000)
_AGENT_SHARES = Decimal(5_000_000_000)


def endowments() -> tuple[Endowment, ...]:
    """Of alice and bob, who are people, and of the participants, who must last for years of trading."""
    people = (
        Endowment(1001, {"CNY": Decimal(1_000_000), "USD": Decimal(100_000)}, {"CNY": Decimal(100_000)}),
        Endowment(
            1002,
            {"CNY": Decimal(1_000_000), "USD": Decimal(100_000)},
            {"CNY": Decimal(100_000), "USD": Decimal(20_000)},
        ),
    )
    agents = tuple(
        Endowment(
            each.account_id,
            {"CNY": _AGENT_CASH, "USD": _AGENT_CASH},
            {"CNY": _AGENT_SHARES, "USD": _AGENT_SHARES},
        )
        for each in PARTICIPANTS
    )
    return people + agents
