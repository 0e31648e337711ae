"""How many parts a text message takes: GSM 03.38 (3GPP TS 23.038) and UCS-2."""

from __future__ import annotations

MAX_GSM_SINGLE = 160
"""Septets of a message in one part."""
MAX_GSM_PART = 153
"""Septets of each part of several; the rest is their header."""
MAX_UCS2_SINGLE = 70
"""UTF-16 units of a message in one part."""
MAX_UCS2_UNITS = 67
"""UTF-16 units of each part of several."""

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")
"""Each takes two septets: an escape and itself."""


def is_gsm(text: str) -> bool:
    """Return whether every character is in the GSM alphabet; one that is not makes the whole message UCS-2."""
    return all(character in _BASIC or character in _EXTENDED for character in text)


def segments(text: str) -> int:
    """Return the number of parts; an empty message takes one. No character is split between two."""
    if is_gsm(text):
        widths = [2 if character in _EXTENDED else 1 for character in text]
        return _parts(widths, MAX_GSM_SINGLE, MAX_GSM_PART)
    widths = [2 if ord(character) > 0xFFFF else 1 for character in text]
    return _parts(widths, MAX_UCS2_SINGLE, MAX_UCS2_UNITS)


def _parts(widths: list[int], single: int, part: int) -> int:
    if sum(widths) <= single:
        return 1
    count, used = 1, 0
    for width in widths:
        if used + width > part:
            count, used = count + 1, 0
        used += width
    return count
