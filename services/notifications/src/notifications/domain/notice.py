"""What an investor should hear, as the domain knows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import IntEnum
from typing import Final, TypeAlias

from notifications.domain.sending import Urgency

DEFAULT_LIFE: Final = timedelta(days=1)
"""How long a notice is of use that does not say."""
VERIFICATION: Final = "account.verification"
"""The kind of the messages that carry a code to a new address."""
DIGEST: Final = "notifications.digest"
"""The kind of the messages that list what was gathered."""
OWN_DIGESTS: Final = frozenset({"positions.digest"})
"""Kinds that are digests themselves: of low urgency, yet not gathered into another digest."""


@dataclass(frozen=True)
class LocalText:
    """The same words in both languages."""

    zh: str
    en: str

    def language(self, language: str) -> str:
        """Return the words in a language; in the other one if they are missing."""
        return (self.zh or self.en) if language == "zh-CN" else (self.en or self.zh)


@dataclass(frozen=True)
class Number:
    """A plain number."""

    value: Decimal


@dataclass(frozen=True)
class Percent:
    """A part of a whole: 0.254 is 25.4 %."""

    value: Decimal


@dataclass(frozen=True)
class Money:
    """An amount of a currency, e.g. `CNY`."""

    currency: str
    amount: Decimal


Value: TypeAlias = str | LocalText | Number | Percent | Money | datetime
"""A value of a template; a `datetime` is aware."""


@dataclass(frozen=True)
class Card:
    """The thing that a notice is attached to. `kind` is the contract's number; 0 is none."""

    kind: int = 0
    id: str = ""
    title: LocalText = LocalText("", "")


@dataclass(frozen=True)
class Notice:
    """One thing to tell one account. Times are aware, UTC."""

    notice_id: str
    account_id: int
    kind: str
    urgency: Urgency
    cause_time: datetime
    expire_time: datetime
    supersede_key: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)
    card: Card = Card()
    trace_id: str = ""
    withdrawn: bool = False


class State(IntEnum):
    """Where a delivery stands. The numbers are those of the contract."""

    WAITING = 1
    SENDING = 2
    SENT = 3
    DELIVERED = 4
    EXPIRED = 5
    SUPERSEDED = 6
    SUPPRESSED = 7
    DEAD = 8
