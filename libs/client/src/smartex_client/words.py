"""Enumerations of the contract as the words that people write: SIDE_BUY ⇄ "buy"."""

from __future__ import annotations

from functools import cache
from typing import Any

from .errors import InvalidInput


@cache
def _tables(enum: Any) -> tuple[str, dict[int, str], dict[str, int]]:
    descriptor = enum.DESCRIPTOR
    zero = descriptor.values_by_number[0].name
    prefix = zero.removesuffix("UNSPECIFIED")
    words = {
        value.number: "" if value.number == 0 else value.name.removeprefix(prefix).lower()
        for value in descriptor.values
    }
    return prefix, words, {word: number for number, word in words.items()}


def word(enum: Any, value: int) -> str:
    """The word of a value; empty for 0, "unknown" for one that this version does not know."""
    return _tables(enum)[1].get(int(value), "unknown")


def value(enum: Any, name: str | None, field: str) -> int:
    """The value of a word in any case; 0 for None. InvalidInput names `field` and what it may be."""
    if name is None:
        return 0
    numbers = _tables(enum)[2]
    number = numbers.get(name.lower().replace("-", "_"))
    if not number:
        known = ", ".join(each for each in numbers if each)
        raise InvalidInput(f"{field} {name!r} is not one of {known}", field=field)
    return number


def reason_name(enum: Any, number: int) -> str:
    """A reason in UPPER_SNAKE, as errors carry it; empty for none."""
    return word(enum, number).upper()
