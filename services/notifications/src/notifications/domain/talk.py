"""The rules of conversations: who may do what, what a reply in WeChat means, how words are found."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

MOST_TEXT: Final = 4000
MOST_TITLE: Final = 200
MOST_ORDERS: Final = 50
MOST_LINES: Final = 50
"""Of a card."""
DEFAULT_LIFE: Final = timedelta(hours=1)
LONGEST_LIFE: Final = timedelta(days=7)
LEAST_QUERY, MOST_QUERY = 2, 100


class Party(IntEnum):
    """A side of a conversation; the numbers are those of the contract."""

    INVESTOR = 1
    TRADER = 2
    EXCHANGE = 3


class ProposalState(IntEnum):
    """Where a proposal stands; the numbers are those of the contract."""

    OPEN = 1
    ACCEPTED = 2
    DECLINED = 3
    EXPIRED = 4
    WITHDRAWN = 5


@dataclass(frozen=True)
class Caller:
    """Who speaks: an account, a trader, or somebody who is both."""

    account_id: int | None
    trader: str | None

    def party(self, account_id: int, trader: str) -> Party | None:
        """The caller's side of a thread between an account and a trader; None if it is not theirs."""
        if self.account_id == account_id:
            return Party.INVESTOR
        return Party.TRADER if self.trader == trader else None


def state_at(state: ProposalState, expire_time: datetime, now: datetime) -> ProposalState:
    """Where a proposal stands at a time: an open one ends by itself."""
    return ProposalState.EXPIRED if state is ProposalState.OPEN and now >= expire_time else state


@dataclass(frozen=True)
class Answer:
    """A reply that accepts or declines a proposal. `number` 0: the only one that is open."""

    accept: bool
    number: int


_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Controls of terminals and of the direction of writing, which make a text look like another."""


def has_controls(text: str, *, lines: bool = False) -> bool:
    """Whether a text holds characters that readers do not see; with `lines`, new lines and tabs are none of them."""
    return _UNPRINTABLE.search(text) is not None or (not lines and ("\n" in text or "\t" in text))


def printable(text: str) -> str:
    """A text without characters that readers do not see; new lines and tabs stay."""
    return _UNPRINTABLE.sub("", text)


_ACCEPT = "同意|接受|确认|好的|accept|ok|yes|y"
_DECLINE = "拒绝|不同意|不接受|取消|decline|reject|no|n"
_ANSWER = re.compile(
    rf"(?:(?P<accept>{_ACCEPT})|(?P<decline>{_DECLINE}))[\s:：#号]*(?P<number>\d{{0,9}})[.。!！]?"
)


def read_answer(text: str) -> Answer | None:
    """What a reply answers; None if it is plain words.

    Only a reply that says nothing else counts: "同意31", "ok 31", "拒绝 31". Full-width digits count as digits.
    """
    found = _ANSWER.fullmatch(unicodedata.normalize("NFKC", text).strip().lower())
    if found is None:
        return None
    return Answer(found["accept"] is not None, int(found["number"] or 0))


def grams(text: str) -> list[str]:
    """Pairs of neighbouring characters, folded, by which words are found in any language; sorted, each once.

    Chinese is written without spaces, so there are no words to index; every query of two characters or more is made
    of pairs.
    """
    folded = fold(text)
    return sorted({folded[at : at + 2] for at in range(len(folded) - 1)})


def fold(text: str) -> str:
    """Text for comparing: width, case and runs of spaces do not count."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def query_words(query: str) -> list[str]:
    """The words of a query that must all occur, folded."""
    return fold(query).split()
