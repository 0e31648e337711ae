"""Texts cut to a channel's limits: never inside a character as readers see it, nor inside a number."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

ELLIPSIS: Final = "…"
ASCII_ELLIPSIS: Final = "..."

_NUMBER: Final = re.compile(r"[-+−]?[^\w\s]?\d+(?:[.,:/\-\u202f\u00a0']?\d+)*(?:[\s\u202f\u00a0]?[%‰])?")
_JOINER: Final = "\u200d"
_REGIONAL: Final = range(0x1F1E6, 0x1F200)
_SKIN: Final = range(0x1F3FB, 0x1F400)
_TAGS: Final = range(0xE0020, 0xE0080)


def cut(text: str, limit: int, ellipsis: str = ELLIPSIS) -> str:
    """Return the text in at most `limit` characters, the ellipsis counted. 0: no limit."""
    if not limit or len(text) <= limit:
        return text
    room = limit - len(ellipsis)
    if room < 0:
        return ""
    return text[: _place(text, room)].rstrip() + ellipsis


def cut_bytes(text: str, limit: int) -> str:
    """Return the text in at most `limit` bytes of UTF-8, the ellipsis counted."""
    if len(text.encode()) <= limit:
        return text
    low, high = 0, min(len(text), limit)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(cut(text, middle).encode()) <= limit else (low, middle - 1)
    return cut(text, low) if low else ""


def _place(text: str, room: int) -> int:
    """The last place up to `room` at which the text may be cut."""
    numbers = [found.span() for found in _NUMBER.finditer(text) if found.start() < room]
    place = room
    while place > 0:
        begin = next((begin for begin, end in numbers if begin < place < end), None)
        if begin is not None:
            place = begin
        elif _joined(text, place):
            place -= 1
        else:
            break
    return place


def _joined(text: str, at: int) -> bool:
    """Whether the characters around a place belong together: UAX #29 without the rare scripts."""
    before, after = text[at - 1], text[at]
    if unicodedata.category(after) in ("Mn", "Me", "Mc") or _JOINER in (before, after):
        return True
    code = ord(after)
    if code in _SKIN or code in _TAGS or (before, after) == ("\r", "\n"):
        return True
    return (code in _REGIONAL and _regionals_before(text, at) % 2 == 1) or _hangul(ord(before), code)


def _regionals_before(text: str, at: int) -> int:
    count = 0
    while at - count > 0 and ord(text[at - count - 1]) in _REGIONAL:
        count += 1
    return count


def _hangul(before: int, after: int) -> bool:
    """Whether a jamo continues a syllable."""
    vowel, final = 0x1160 <= after < 0x11A8, 0x11A8 <= after < 0x1200
    return (vowel and (0x1100 <= before < 0x11A8 or 0xAC00 <= before < 0xD7A4)) or (
        final and (0x1160 <= before < 0x1200 or 0xAC00 <= before < 0xD7A4)
    )
